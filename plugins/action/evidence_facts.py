# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module evidence_facts so that a host that does not answer is evidence too, and measures the host's clock."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils.record import record_layer, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact
from ansible_collections.voiceops.livekit.plugins.modules import evidence_facts
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress


def clock_offset(sent: float, host_began: float, host_ended: float, received: float) -> dict[str, int]:
    """Bound the host's clock minus the controller's, all in seconds since 1970, by one exchange; milliseconds.

    The host began after C(sent) and ended before C(received), so the offset lies between the two differences.
    """
    low, high = host_ended - received, host_began - sent
    return {"offset_ms": round((low + high) * 500), "uncertainty_ms": round(abs(high - low) * 500)}


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the records of all O(layers), asking only for those that O(gathered) lacks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        gathered = dict(args.pop("gathered", None) or {})
        reason = args.pop("reason", None)
        wanted = args.get("layers") or []
        wanted = [wanted] if isinstance(wanted, str) else wanted
        missing = [layer for layer in wanted if layer not in gathered]

        # The run's fact also tells people what was wrong with their input; the module has no use for that.
        args["run"] = {key: value for key, value in (args.get("run") or {}).items() if key != "problems"}

        clock: dict[str, int] = {}
        if reason:
            gathered.update({layer: unknown(record_layer(layer), redact(str(reason))) for layer in missing})
        elif missing or not wanted:
            result.update(self._ask({**args, "layers": missing}, missing, task_vars or {}))
            if result.get("failed"):
                return result
            facts = result.pop("ansible_facts")
            gathered.update(facts["voiceops_evidence"])
            clock = facts["voiceops_clock"]
        result["ansible_facts"] = {"voiceops_evidence": gathered}
        if clock:
            result["ansible_facts"]["voiceops_clock"] = clock
        result["changed"] = False
        result["summary"] = [gathered[layer]["summary"] for layer in wanted if layer in gathered]
        return result

    def _ask(self, args: dict[str, Any], layers: list[str], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars.get("inventory_hostname", "the host")
        display = Display()
        at_most = float(args.get("deadline") or evidence_facts.ARGUMENT_SPEC["deadline"]["default"])
        sent = time.time()
        args["run"]["asked_at"] = sent
        try:
            with progress(display.display, f"{host}: {', '.join(layers)}", at_most_s=at_most):
                answer = self._run_module(args, task_vars)
        except AnsibleConnectionFailure as exc:
            why = f"{host} could not be reached over {self._connection.transport}: {redact(str(exc.message)).strip()}"
            return {"ansible_facts": {"voiceops_evidence": self._unknown(layers, why, False), "voiceops_clock": {}}}
        received = time.time()
        if answer.get("failed"):
            if "ansible_facts" not in answer and "module_stderr" in answer:
                heard = redact(str(answer["module_stderr"] or answer.get("msg"))).strip()
                why = f"{host} cannot run the probes: {heard[:300]}"
                return {"ansible_facts": {"voiceops_evidence": self._unknown(layers, why, True), "voiceops_clock": {}}}
            return answer
        facts = answer["ansible_facts"]
        times = facts["voiceops_clock"]
        facts["voiceops_clock"] = clock_offset(sent, times["began"], times["ended"], received)
        for record in facts["voiceops_evidence"].values():
            record["signals"]["host_reachable"] = True
        return answer

    def _run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module on the host; where that is this very process' own, without the cost of another one."""
        if self._connection.transport == "local" and not self._play_context.become and not any(self._task.environment):
            checked = ArgumentSpecValidator(evidence_facts.ARGUMENT_SPEC).validate(args)
            if checked.error_messages:
                return {"failed": True, "msg": "; ".join(checked.error_messages)}
            return {"ansible_facts": evidence_facts.gather(checked.validated_parameters)}
        answer: dict[str, Any] = self._execute_module(
            module_name="voiceops.livekit.evidence_facts", module_args=args, task_vars=task_vars
        )
        return answer

    @staticmethod
    def _unknown(layers: list[str], why: str, reachable: bool) -> dict[str, Any]:
        signals = {"host_reachable": reachable}
        return {layer: unknown(record_layer(layer), why, signals=dict(signals)) for layer in layers}
