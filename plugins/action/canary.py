# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes one step of a canary run on the controller, and keeps what came of it before the next one."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    canary,
    canary_metrics,
    canary_page,
    canary_store,
    lock,
    whole_file,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import DEADLINE_S
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import plain, to_ascii, wrap
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_duration, rfc3339
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import add_probes, artifacts_dir, state_dir
from ansible_collections.voiceops.livekit.plugins.plugin_utils.terminal import abilities

ARGUMENT_SPEC: dict[str, Any] = {
    "step": {"type": "str", "choices": ["begin", "decide", "end", "close"], "required": True},
    "agent": {"type": "str", "required": True},
    "run": {"type": "str"},
    "artifacts": {"type": "path"},
    "state_dir": {"type": "path"},
    "metrics_dir": {"type": "path"},
    "interval": {"type": "str", "default": "6h"},
    "retry": {"type": "str", "default": "10m"},
    "keep_warm": {"type": "bool", "default": False},
    "dispatch_probe": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
    "deadline": {"type": "float", "default": DEADLINE_S},
    "evidence": {"type": "dict", "default": {}},
    "not_tried": {"type": "str", "default": ""},
    "incident": {"type": "str", "default": ""},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}
# Which variable people set for an option; what the others hold comes from the run itself.
VARIABLES = {
    "artifacts": "voiceops_artifacts",
    "state_dir": "voiceops_state_dir",
    "metrics_dir": "voiceops_canary_metrics_dir",
    "interval": "voiceops_canary_interval",
    "retry": "voiceops_canary_retry",
    "keep_warm": "voiceops_canary_keep_warm",
    "dispatch_probe": "voiceops_dispatch_probe",
    "deadline": "voiceops_dispatch_deadline",
}
COLUMNS = 80
# No run takes longer than this and the wait of a probe, not even one that diagnoses.
_LONGEST_S = 600.0
# A page or a collector's file may be read by others on the host; what is in them is no secret.
_READABLE = 0o644


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the step; return what it decided."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {name: ARGUMENT_SPEC[name] for name in VARIABLES}
        self._task.args = options.given(spec, self._task.args, VARIABLES.__getitem__)
        _checked, self._args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        playbook_dir = str((task_vars or {}).get("playbook_dir", "."))
        self._artifacts = artifacts_dir(self._args["artifacts"], playbook_dir)
        self._folder = state_dir(self._args["state_dir"], self._args["artifacts"], playbook_dir)
        self._agent, self._run, self._now = self._args["agent"], self._args["run"] or str(uuid.uuid4()), time.time()
        self._warnings: list[str] = []
        self._settings = canary.Settings(
            interval_s=self._seconds("interval"),
            retry_s=self._seconds("retry"),
            keep_warm=self._args["keep_warm"],
            probing=self._args["dispatch_probe"] != "never",
            deadline_s=self._args["deadline"],
        )
        try:
            result.update(getattr(self, f"_{self._args['step']}")(), changed=False)
        except OSError as exc:
            raise AnsibleActionFail(f"voiceops_state_dir: {self._cannot(self._folder, exc)}") from None
        if self._warnings:
            result["warnings"] = self._warnings
        return result

    def _seconds(self, name: str) -> float:
        seconds = parse_duration(self._args[name])
        if seconds is None:
            raise AnsibleActionFail(
                f"{VARIABLES[name]}: expected a duration such as 6h, 10m or 90s, got {self._args[name]!r}"
            )
        return seconds

    def _begin(self) -> dict[str, Any]:
        """Keep other canary runs of this agent out; say whether to go on, and what would keep this one from keeping."""
        if self._task.check_mode:
            return {"go": True, "problem": "", "run": self._run}
        try:
            taken = self._lock(canary_store.lock_name(self._agent), _LONGEST_S + self._args["deadline"])
            if taken.ours:
                # Seen to be possible now, rather than after a probe.
                canary_store.write(self._folder, self._agent, self._state())
        except OSError as exc:
            self._release()
            lost = "Without it no dispatch is tried, and no failure is remembered."
            problem = f"voiceops_state_dir: {self._cannot(self._folder, exc)} {lost}"
            return {"go": True, "problem": problem, "run": self._run}
        if taken.sentence:
            self._say([f"CANARY {'goes on' if taken.ours else 'busy'}", taken.sentence])
        return {"go": taken.ours, "problem": "", "run": self._run}

    def _decide(self) -> dict[str, Any]:
        """Say whether to try a dispatch; if so, that is written down first."""
        if not self._ours():
            why = "check mode changes nothing" if self._task.check_mode else "that it was could not be kept"
            return {"probe": False, "why": why}
        state, seen = self._state(), self._seen()
        found = canary.decide(state, seen, self._settings, self._now)
        if found.probe:
            taken = self._lock(self._agent, lock.EXPIRES_S)
            found = found if taken.ours else canary.Decision(False, taken.sentence)
            # Only looked at: a canary that is killed must not keep a repair out.
            lock.release(self._folder, self._agent, self._run)
        if found.probe:
            canary_store.write(self._folder, self._agent, canary.begun(state, self._now))
        return {"probe": found.probe, "why": found.why}

    def _end(self) -> dict[str, Any]:
        """Judge the run, and keep it: the state, the history, the figures, and the windows of its probes."""
        ours = self._ours()
        state = self._state() if ours else canary.new_state()
        found = canary.advance(state, self._seen(), self._settings, self._now)
        page = ""
        if ours:
            canary_store.write(self._folder, self._agent, found.state)
            canary_store.append(self._folder, self._agent, found.entry)
            self._keep_windows()
            page = self._publish(found.state)
        self._tell(found.state, found.entry)
        return {
            "state": found.entry["state"],
            "failing": found.state["failing"],
            "opens": found.opens and ours,
            "page": page,
        }

    def _close(self) -> dict[str, Any]:
        """Note the incident that was opened, and let other runs in."""
        if self._ours():
            if self._args["incident"]:
                state = {**self._state(), "incident": self._args["incident"]}
                canary_store.write(self._folder, self._agent, state)
                opened = {"at": rfc3339(self._now), "opened": self._args["incident"]}
                canary_store.append(self._folder, self._agent, opened)
                self._publish(state)
            self._release()
        return {}

    def _lock(self, name: str, expires_s: float) -> lock.Taken:
        mine = lock.holder(self._run, os.getppid(), self._now)
        return lock.take(self._folder, name, mine, self._now, expires_s)

    def _release(self) -> None:
        # A lock that cannot be removed is taken over from this run once it is over.
        with contextlib.suppress(OSError):
            lock.release(self._folder, canary_store.lock_name(self._agent), self._run)

    def _ours(self) -> bool:
        """Whether this run keeps the agent's files."""
        try:
            holder = lock.read(self._folder, canary_store.lock_name(self._agent))
        except OSError:
            return False
        return holder is not None and holder.get("run") == self._run

    def _state(self) -> canary.State:
        kept = canary_store.read(self._folder, self._agent, self._now)
        if kept.problem:
            self._warnings.append(kept.problem)
        return kept.state

    def _seen(self) -> canary.Seen:
        seen = canary.see(self._args["evidence"], self._settings)
        secrets = self._args["secrets"]
        return seen._replace(because={layer: redact(text, secrets) for layer, text in seen.because.items()})

    def _keep_windows(self) -> None:
        """Let later diagnoses know what this run caused."""
        probes = [probe for record in self._args["evidence"].values() for probe in record.get("probes") or []]
        try:
            self._artifacts.mkdir(mode=0o700, parents=True, exist_ok=True)
            add_probes(self._artifacts, probes, self._now)
        except OSError as exc:
            self._warnings.append(f"voiceops_artifacts: our probes could not be noted in {self._artifacts} ({exc}).")

    def _publish(self, state: canary.State) -> str:
        """Write the status page and the metrics; return the page's path. What cannot be written is told, no more."""
        history = canary_store.history(self._folder, self._agent)
        last = [entry for entry in history.entries if "opened" not in entry][-1]
        metrics = canary_metrics.exposition(canary_metrics.families(self._agent, state, last))
        html = canary_page.html(self._agent, history.entries, history.damaged, state, self._settings, self._now)
        own = self._artifacts / "canary"
        given = self._args["metrics_dir"]
        page = own / f"{lock.slug(self._agent)}.html"
        self._put("voiceops_artifacts", page, html)
        self._put("voiceops_canary_metrics_dir", Path(given or own) / canary_metrics.file_name(self._agent), metrics)
        return str(page)

    def _put(self, variable: str, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole_file.write(path, text, _READABLE)
        except OSError as exc:
            self._warnings.append(f"{variable}: {self._cannot(path.parent, exc)}")

    @staticmethod
    def _cannot(folder: Path, error: OSError) -> str:
        return f"expected a folder that can be written to, got {folder} ({error.strerror or error})."

    def _tell(self, state: canary.State, entry: dict[str, Any]) -> None:
        """Show how the run ended, in a few lines."""
        well = [layer for layer, found in entry["layers"].items() if found == "healthy"]
        test = entry["test"] or {}
        took = f" after {test['joined_after_s']:.1f} s" if test.get("joined_after_s") is not None else ""
        lines = [
            f"CANARY {entry['state']}",
            *canary.why(state, entry, self._settings, self._now),
            f"well: {', '.join(well) or 'none'}",
            f"an agent joined{took}" if test.get("outcome") == "joined" else "",
            f"no dispatch was tried: {self._args['not_tried']}" if self._args["not_tried"] and not test else "",
        ]
        self._say([line for line in lines if line])

    def _say(self, lines: list[str]) -> None:
        shown = [lines[0], *(f"  {part}" for line in lines[1:] for part in wrap(plain(line), COLUMNS - 2))]
        text = "\n".join(shown)
        Display().display(f"\n{text if abilities()['unicode'] else to_ascii(text)}\n")
