# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module evidence_facts so that a host that does not answer is evidence too, and measures the host's clock.

What LiveKit tells of its agent is asked from here where the host is not to be asked, or could not tell.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, record_layer, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import known, redact, redact_data
from ansible_collections.voiceops.livekit.plugins.modules import evidence_facts
from ansible_collections.voiceops.livekit.plugins.plugin_utils import connection, options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress

# The first exchange may have to connect, which tells little of the clock; over a connection that exists it is quick.
MOST_SAMPLES, SHARP_ENOUGH_MS = 3, 50.0
# What asking LiveKit from here may take beyond the deadline; the roles' own limit on the task is 15 s beyond it.
BEYOND_S = 12.0
NO_ROOM = re.compile(r"No usable temporary directory|No space left on device")
_TIME = re.compile(r"(\d{9,11})(?:\.(\d{9}))?", re.ASCII)


class Sample(NamedTuple):
    """One reading of a host's clock: it showed from C(shown) to C(at_most), somewhen between C(sent) and C(received).

    All are in seconds since 1970; the first two on the host's clock, the others on the controller's.
    """

    sent: float
    shown: float
    at_most: float
    received: float


def clock_bounds(samples: Iterable[Sample]) -> dict[str, float]:
    """Bound the host's clock minus the controller's by all samples; milliseconds. Empty without a sample.

    Each sample bounds the offset by two differences. Where the bounds of two exclude each other, as when a clock was
    set in between, the wider of all of them count.
    """
    bounds = [((each.shown - each.received) * 1000, (each.at_most - each.sent) * 1000) for each in samples]
    if not bounds:
        return {}
    low, high = max(low for low, _high in bounds), min(high for _low, high in bounds)
    if low > high:
        low, high = min(low for low, _high in bounds), max(high for _low, high in bounds)
    return {"offset_ms": round((low + high) / 2, 1), "uncertainty_ms": round((high - low) / 2, 1)}


def read_time(text: str) -> tuple[float, float] | None:
    """Read what C(date +%s.%N) printed as the earliest and latest time that it means; None if it is no time.

    A date(1) without nanoseconds, such as macOS', prints its whole seconds and some letters.
    """
    match = _TIME.match(text.strip())
    if match is None:
        return None
    seconds = float(match[1])
    return (seconds, seconds + 1) if match[2] is None else (seconds + float(f"0.{match[2]}"),) * 2


def _deadline(args: dict[str, Any]) -> float:
    return float(args.get("deadline") or evidence_facts.ARGUMENT_SPEC["deadline"]["default"])


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the records of all O(layers), asking only for those that O(gathered) lacks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = options.given(evidence_facts.ARGUMENT_SPEC, self._task.args, "voiceops_{}".format)
        gathered = dict(args.pop("gathered", {}))
        reason = args.pop("reason", None)
        wanted = args.get("layers") or []
        wanted = [wanted] if isinstance(wanted, str) else wanted
        missing = [layer for layer in wanted if layer not in gathered]

        # The run's fact also tells people what was wrong with their input, and so on; the module has no use for that.
        not_its_own = ("problems", "incident")
        args["run"] = {key: value for key, value in (args.get("run") or {}).items() if key not in not_its_own}

        clock: dict[str, int] = {}
        began = time.monotonic()
        found: dict[str, Record] = {}
        if reason:
            found = {layer: unknown(record_layer(layer), redact(str(reason))) for layer in missing}
        elif missing or not wanted:
            result.update(self._ask_both_ways(args, missing, task_vars or {}))
            if result.get("failed"):
                return result
            facts = result.pop("ansible_facts")
            found, clock = facts["voiceops_evidence"], facts["voiceops_clock"]
        # What was asked straight a moment ago would be told no better.
        if reason or agent_via.asked_by(args) != agent_via.API:
            found = {**found, **self._ask_again(args, found, began)}
        gathered.update(found)
        result["ansible_facts"] = {"voiceops_evidence": gathered}
        if clock:
            result["ansible_facts"]["voiceops_clock"] = clock
        if address := self._address():
            result["ansible_facts"]["voiceops_address"] = address
        result["changed"] = False
        result["summary"] = [gathered[layer]["summary"] for layer in wanted if layer in gathered]
        return result

    def _ask_both_ways(self, args: dict[str, Any], layers: list[str], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask the host and, at the same time, LiveKit for what is to be asked without the host."""
        straight = [
            layer for layer in layers if layer in agent_via.TOLD_BY and agent_via.asked_by(args) == agent_via.API
        ]
        by_host = [layer for layer in layers if layer not in straight]
        if not straight:
            return self._ask({**args, "layers": by_host}, by_host, task_vars)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._ask_straight, args, straight, _deadline(args))
            answer: dict[str, Any] = {"ansible_facts": {"voiceops_evidence": {}, "voiceops_clock": {}}}
            if by_host:
                answer = self._ask({**args, "layers": by_host}, by_host, task_vars)
            records = asked.result()
        if not answer.get("failed"):
            answer["ansible_facts"]["voiceops_evidence"].update(records)
        return answer

    def _ask_again(self, args: dict[str, Any], found: dict[str, Record], began: float) -> dict[str, Record]:
        """Ask LiveKit itself for what lk did not tell, where that may and can be done; C(began) is C(monotonic())."""
        layers = agent_via.untold(found)
        if not layers or args.get("agent_via") == agent_via.LK or not agent_via.can_ask_straight(args):
            return {}
        seconds = min(_deadline(args), _deadline(args) + BEYOND_S - (time.monotonic() - began))
        records = self._ask_straight(args, layers, seconds)
        return {layer: agent_via.fuller(found[layer], records[layer]) for layer in layers}

    @staticmethod
    def _ask_straight(args: dict[str, Any], layers: list[str], seconds: float) -> dict[str, Record]:
        """Ask LiveKit's agent API in this very process, whatever host the task is for."""
        own = {**args, "layers": layers, "agent_via": agent_via.API, "deadline": seconds}
        checked = ArgumentSpecValidator(evidence_facts.ARGUMENT_SPEC).validate(own)
        if checked.error_messages:
            raise AnsibleActionFail("; ".join(checked.error_messages))
        records: dict[str, Record] = evidence_facts.gather(checked.validated_parameters)["voiceops_evidence"]
        for record in records.values():
            record["signals"]["host_reachable"] = True
        return records

    def _ask(self, args: dict[str, Any], layers: list[str], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = self._task.delegate_to or task_vars.get("inventory_hostname", "the host")
        display = Display()
        try:
            with progress(display.display, f"{host}: {', '.join(layers)}", at_most_s=_deadline(args)):
                args["run"]["clock"] = self._clock()
                answer = self._run_module(args, task_vars)
        except AnsibleConnectionFailure as exc:
            why = f"{host} could not be reached over {self._connection.transport}: {connection.why(exc.message)}"
            return {"ansible_facts": {"voiceops_evidence": self._unknown(layers, why, False), "voiceops_clock": {}}}
        if answer.get("failed"):
            if "ansible_facts" not in answer and "module_stderr" in answer:
                heard = redact(str(answer["module_stderr"] or answer.get("msg")), self._secrets(args)).strip()
                # A traceback says last what went wrong.
                why = f"{host} cannot run the probes: {heard[-300:]}"
                return {"ansible_facts": {"voiceops_evidence": self._unknown(layers, why, True), "voiceops_clock": {}}}
            return answer
        # The host could not mask what it was not given.
        records = redact_data(answer["ansible_facts"]["voiceops_evidence"], self._secrets(args))
        for record in records.values():
            record["signals"]["host_reachable"] = True
            if record["repeat"] and (address := self._address()):
                record["repeat"] = f"ssh {address} {shlex.quote(record['repeat'])}"
        answer["ansible_facts"]["voiceops_evidence"] = records
        return answer

    @staticmethod
    def _secrets(args: dict[str, Any]) -> list[str]:
        return known(evidence_facts.ARGUMENT_SPEC, args)

    def _address(self) -> str:
        """Where people reach the host by ssh, as ssh(1) takes it; empty where Ansible does not use ssh either."""
        if self._connection.transport != "ssh":
            return ""
        user, host, port = (self._connection.get_option(name) for name in ("remote_user", "host", "port"))
        who = f"{user}@" if user else ""
        if not port or int(port) == 22:
            return f"{who}{host}"
        return f"ssh://{who}{f'[{host}]' if ':' in host else host}:{port}"

    def _clock(self) -> dict[str, float]:
        """Measure the host's clock; where that is this very process' own, there is nothing to measure."""
        if self._connection.transport == "local":
            return {"offset_ms": 0.0, "uncertainty_ms": 0.0}
        samples: list[Sample] = []
        for _number in range(MOST_SAMPLES):
            sent = time.time()
            answer = self._low_level_execute_command("date +%s.%N", sudoable=False)
            shown = read_time(answer["stdout"])
            if shown is not None:
                samples.append(Sample(sent, *shown, time.time()))
            if samples and clock_bounds(samples)["uncertainty_ms"] <= SHARP_ENOUGH_MS:
                break
        return clock_bounds(samples)

    def _run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module on the host; where that is this very process' own, without the cost of another one."""
        if connection.is_own_process(self):
            checked = ArgumentSpecValidator(evidence_facts.ARGUMENT_SPEC).validate(args)
            if checked.error_messages:
                return {"failed": True, "msg": "; ".join(checked.error_messages)}
            return {"ansible_facts": evidence_facts.gather(checked.validated_parameters)}
        given = evidence_facts.needed(args, args["layers"])
        asked = {"module_name": "voiceops.livekit.evidence_facts", "module_args": given, "task_vars": task_vars}
        answer: dict[str, Any] = self._execute_module(**asked)
        if NO_ROOM.search(str(answer.get("module_stderr"))):
            # A full disk that holds /tmp, too, is what is to be told: unpack the module in memory.
            self._task.environment = [*(self._task.environment or []), {"TMPDIR": "/dev/shm"}]
            answer = self._execute_module(**asked)
        return answer

    @staticmethod
    def _unknown(layers: list[str], why: str, reachable: bool) -> dict[str, Any]:
        signals = {"host_reachable": reachable}
        return {layer: unknown(record_layer(layer), why, signals=dict(signals)) for layer in layers}
