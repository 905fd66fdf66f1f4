# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes one step of a repair's envelope on the controller, and writes down what came of it before the next one."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils import incident as incidents
from ansible_collections.voiceops.livekit.plugins.module_utils import ledger, lock, remediation, rules
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.remediation import Remediation
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_duration, parse_time, rfc3339
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import (
    add_probes,
    artifacts_dir,
    find_incident,
    state_dir,
)
from ansible_collections.voiceops.livekit.plugins.plugin_utils.ending import RENDERERS, show

ARGUMENT_SPEC: dict[str, Any] = {
    "step": {"type": "str", "choices": ["plan", "may", "acted", "proven", "heard", "end"], "required": True},
    "path": {"type": "path", "required": True},
    "artifacts": {"type": "path"},
    "state_dir": {"type": "path"},
    "agent": {"type": "str", "default": ""},
    "based_on": {"type": "str", "default": ""},
    "max_age": {"type": "str", "default": "30m"},
    "approve": {"type": "bool", "default": False},
    "allow": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "dict", "default": {}},
    "play_hosts": {"type": "list", "elements": "str", "default": []},
    "rules_dir": {"type": "path"},
    "extra_rules_dir": {"type": "path"},
    "lock_expires": {"type": "str", "default": "1h"},
    "cooldown": {"type": "str", "default": "10m"},
    "per_hour": {"type": "int", "default": 2},
    "per_day": {"type": "int", "default": 4},
    "remedy": {"type": "str", "default": ""},
    "client": {"type": "dict"},
    "result": {"type": "dict"},
    "failure": {"type": "str", "default": ""},
    "judged": {"type": "dict"},
    "callbacks": {"type": "dict", "default": {}},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}
# Which variable people set for an option; what the others hold comes from the run itself.
VARIABLES = {
    "artifacts": "voiceops_artifacts",
    "state_dir": "voiceops_state_dir",
    "approve": "voiceops_approve",
    "allow": "voiceops_allow",
    "extra_rules_dir": "voiceops_rules",
    **{name: f"voiceops_repair_{name}" for name in ("max_age", "lock_expires", "cooldown", "per_hour", "per_day")},
}
# By how much an incident of another controller may seem to be of the future: its clock is not quite this one's.
_CLOCKS_S = 60.0


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the step, and return how the remediation stands after it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {name: ARGUMENT_SPEC[name] for name in VARIABLES}
        self._task.args = options.given(spec, self._task.args, VARIABLES.__getitem__)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        self._args, self._now = args, time.time()
        self._playbook_dir = str((task_vars or {}).get("playbook_dir", "."))
        self._folder = state_dir(args["state_dir"], args["artifacts"], self._playbook_dir)
        try:
            self._incident = incidents.read(args["path"])
            before = self._incident["remediation"] or {}
            found = getattr(self, f"_{args['step']}")(before)
            found = redact_data(found, args["secrets"])
            renderers = RENDERERS if args["step"] == "end" else {}
            self._incident, warnings = incidents.update(args["path"], found, renderers)
        except (OSError, ValueError) as exc:
            raise AnsibleActionFail(f"The record in {args['path'] or '(no folder)'} cannot be kept: {exc}") from None
        if args["step"] == "end":
            show(self._incident, args["path"], repair=True)
        if warnings:
            result["warnings"] = warnings
        last = found["steps"][-1] if found["steps"] else {}
        result.update(
            changed=args["step"] == "acted" and last.get("outcome") == "done",
            plan=found["plan"],
            verdict=found["verdict"],
            is_open=found["verdict"] is None,
            go=found["verdict"] is None and last.get("outcome") == "started",
            acted=found["verdict"] is None and last.get("outcome") in ("done", "unchanged"),
            because=found["because"],
            state=self._state(found),
        )
        return result

    def _state(self, found: Remediation) -> str:
        """What is left of the diagnosis' state, for a scheduler that asks whether all is well."""
        if found["verdict"] in ("repaired", "not_needed"):
            return "healthy"
        return str(self._incident["verdict"]["state"])

    def _seconds(self, name: str) -> float:
        seconds = parse_duration(self._args[name])
        if seconds is None:
            raise AnsibleActionFail(
                f"{VARIABLES[name]}: expected a duration such as 10m, 90s or 1h30m, got {self._args[name]!r}"
            )
        return seconds

    def _limits(self) -> ledger.Limits:
        return ledger.Limits(self._seconds("cooldown"), self._args["per_hour"], self._args["per_day"])

    def _plan(self, _before: Remediation) -> Remediation:
        """Make the plan, and take the lock; what the operator got wrong is told before anything is done."""
        args = self._args
        self._limits()
        self._seconds("lock_expires")
        ruleset = rules.load(args["rules_dir"], args["extra_rules_dir"])
        unknown = [name for name in args["allow"] if name not in ruleset.remedies]
        if unknown:
            known = ", ".join(ruleset.remedies)
            raise AnsibleActionFail(f"voiceops_allow: expected ids of remedies ({known}), got {', '.join(unknown)}")
        based_on = None
        if args["based_on"]:
            based_on = self._based_on()
        hosts = {name: members[0] for name, members in args["groups"].items() if members}
        start = remediation.Start(
            run=self._incident["incident_id"],
            hosts=hosts,
            left_out=set(hosts.values()).difference(args["play_hosts"]) if args["play_hosts"] else (),
            approved=args["approve"],
            allowed=args["allow"],
            check_mode=self._task.check_mode,
            based_on=based_on,
        )
        planned = remediation.begin(self._incident, ruleset, start)
        return planned if planned["verdict"] else self._lock(planned)

    def _based_on(self) -> dict[str, Any]:
        """Return the incident that the operator named, if it is recent enough to be acted on."""
        name = self._args["based_on"]
        folder = artifacts_dir(self._args["artifacts"], self._playbook_dir)
        earlier = find_incident(folder, name)
        # Where "latest" was none before the diagnosis, it is the diagnosis itself by now.
        itself = name == incidents.LATEST and earlier and earlier["incident_id"] == self._incident["incident_id"]
        if earlier is None or itself:
            raise AnsibleActionFail(f"voiceops_incident_id: expected the id of an incident in {folder}, got {name!r}")
        age, most = self._now - (parse_time(earlier["finished_at"]) or 0.0), self._seconds("max_age")
        if age > most or age < -_CLOCKS_S:
            end = earlier["finished_at"]
            old = f"is {age / 60:.0f} minutes old" if age > most else f"ended in the future, at {end}"
            raise AnsibleActionFail(
                f"voiceops_incident_id: expected an incident of the last {self._args['max_age']} "
                f"(voiceops_repair_max_age), {name} {old}: diagnose again"
            )
        return earlier

    def _lock(self, found: Remediation) -> Remediation:
        """Take the agent's lock, and see that the ledger can be used."""
        mine = lock.holder(found["run"], os.getppid(), self._now)
        try:
            taken = lock.take(self._folder, self._args["agent"], mine, self._now, self._seconds("lock_expires"))
            ledger.write(self._folder, self._args["agent"], self._entries(), self._now) if taken.ours else None
        except ledger.LedgerError as exc:
            return remediation.close(found, "blocked", f"{exc}.")
        except OSError as exc:
            why = f"expected a folder that can be written to, got {self._folder} ({exc.strerror or exc})"
            return remediation.close(found, "blocked", f"voiceops_state_dir: {why}. Without it nothing is repaired.")
        if not taken.ours:
            return remediation.close(found, "blocked", taken.sentence)
        if taken.sentence:
            return remediation.step(found, at=rfc3339(self._now), what=taken.sentence)
        return found

    def _entries(self) -> list[ledger.Entry]:
        return ledger.read(self._folder, self._args["agent"])

    def _rung(self, found: Remediation) -> dict[str, Any]:
        rung: dict[str, Any] = next(each for each in found["plan"] if each["remedy"] == self._args["remedy"])
        return rung

    def _is_last(self, found: Remediation) -> bool:
        return bool(found["plan"][-1]["remedy"] == self._args["remedy"])

    def _may(self, found: Remediation) -> Remediation:
        """Say whether the remedy may be done now; if so, write that down before it is done."""
        # A run that slept for long, as a laptop does, may have lost its lock to another one meanwhile.
        found = self._lock(found)
        if found["verdict"]:
            return found
        rung, entries = self._rung(found), self._entries()
        why = remediation.live_sessions(rung, self._args["client"])
        if not rung["permitted"]:
            return remediation.close(found, "needs_approval", remediation.approval(rung))
        if why:
            return remediation.close(found, "blocked", why)
        at = rfc3339(self._now)
        if remediation.nobody_waits(rung, self._args["client"]):
            what = "Nobody waits alone, so there is nobody to ask an agent for."
            return remediation.step(found, at=at, what=what, remedy=rung["remedy"], outcome="unchanged")
        remedy = {"id": rung["remedy"], "harmless": rung["harmless"]}
        where = ledger.path_of(self._folder, self._args["agent"])
        refused = ledger.refusal(entries, remedy, found["run"], self._now, self._limits(), where)
        if refused and refused.verdict == "skip" and not self._is_last(found):
            return remediation.step(found, at=at, what=refused.because, remedy=rung["remedy"], outcome="refused")
        if refused:
            return remediation.close(found, refused.verdict.replace("skip", "needs_human"), refused.because)
        entry = {"run": found["run"], "cause": found["cause"], "remedy": rung["remedy"], "harmless": rung["harmless"]}
        ledger.write(self._folder, self._args["agent"], ledger.started(entries, entry, self._now), self._now)
        what = f"{rung['title']}, on {rung['host']}"
        return remediation.step(found, at=at, what=what, remedy=rung["remedy"], outcome="started")

    def _acted(self, found: Remediation) -> Remediation:
        """Note what the remedy's role did, or on what it failed."""
        rung, result = self._rung(found), self._args["result"] or {}
        failure = self._args["failure"] or ("" if "summary" in result else f"{rung['host']} could not be reached")
        steps = [each for each in found["steps"] if each["outcome"] == "started"]
        took = max(0.0, self._now - (parse_time(steps[-1]["at"]) or self._now))
        told = [line for each in result.get("steps") or [] for line in (each["what"], *each.get("output", []))]
        output = [result.get("summary") or failure, *told]
        outcome = remediation.outcome(failure, result)
        found = remediation.acted(found, rung["remedy"], outcome, round(took, 1), output)
        if not failure:
            return found
        self._conclude(found, "failed")
        verdict = "blocked" if outcome == "refused" else "broken"
        return remediation.close(found, verdict, f"{rung['remedy']} failed: {failure}")

    def _proven(self, found: Remediation) -> Remediation:
        """Judge the remedy by a fresh diagnosis, and say whether the next one is to be tried."""
        judged = self._args["judged"] or {}
        seen = remediation.proof(found, judged)
        probes = [probe for record in judged["evidence"].values() for probe in record.get("probes") or []]
        add_probes(Path(self._args["path"]).parent, probes, self._now)
        outcome = {True: "helped", False: "in_vain", None: "not_proven"}[seen.helped]
        self._conclude(found, "helped" if seen.helped else "failed")
        found = remediation.step(found, at=rfc3339(self._now), what=seen.because, outcome=outcome)
        return remediation.verified(found, seen, last=self._is_last(found))

    def _conclude(self, found: Remediation, outcome: str) -> None:
        """Note in the ledger how the act ended; what did nothing was none, and is taken out again."""
        acts = [each for each in found["steps"] if each["remedy"] == self._args["remedy"]]
        entries = ledger.ended(self._entries(), found["run"], self._args["remedy"], outcome)
        if acts[-1]["outcome"] in ("unchanged", "refused"):
            key = (found["run"], self._args["remedy"])
            entries = [entry for entry in entries if (entry["run"], entry["remedy"]) != key]
        ledger.write(self._folder, self._args["agent"], entries, self._now)

    def _heard(self, found: Remediation) -> Remediation:
        """Add to the proof whether a call of the agent reached the service."""
        heard = {name: self._args["callbacks"].get(name) for name in ("journal", "inspector")}
        return {**found, "after": {**found["after"], "callbacks": heard}}

    def _end(self, found: Remediation) -> Remediation:
        """End what was not ended, and give the lock back."""
        if self._args["failure"]:
            found = remediation.close(found, "broken", f"The repair could not be finished: {self._args['failure']}")
        # A lock that cannot be removed is taken over from this run once it is over.
        with contextlib.suppress(OSError):
            lock.release(self._folder, self._args["agent"], found["run"])
        return remediation.close(found, "broken", "The repair ended before anything was decided.")
