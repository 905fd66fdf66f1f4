# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module agent with signs of life; on the controller itself, with the steps of a build as they begin.

Where lk is not to be used, or its host does not answer, LiveKit is told from here.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_act import ChangeError, Steps, failed
from ansible_collections.voiceops.livekit.plugins.modules import agent
from ansible_collections.voiceops.livekit.plugins.plugin_utils import connection, options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress

# More than ssh itself waits for a connection; one that hangs later, as to a host that fell asleep, has no bound.
_ANSWERS_WITHIN_S = 15.0
_DOES = {
    "deployed": "deploying the agent",
    "restarted": "restarting the agent",
    "rolled_back": "rolling the agent back",
}


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = options.given(agent.ARGUMENT_SPEC, self._task.args)
        at_most = float(args.get("deadline") or agent.ARGUMENT_SPEC["deadline"]["default"])
        what = _DOES.get(str(args.get("state")), "changing the agent")
        with progress(Display().display, what, at_most_s=at_most):
            result.update(self._either_way(args, task_vars or {}))
        return result

    def _either_way(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what the module made of it by lk, or without lk where that is wanted."""
        if agent_via.asked_by(args) == agent_via.API:
            return self._run_here(args)
        by_lk = self._by_lk(args, task_vars)
        if not self._may_be_done_here(args, by_lk):
            return by_lk
        straight = self._run_here({**args, "agent_via": agent_via.API})
        return {**straight, "limits": [*straight.get("limits", []), f"lk was of no use: {by_lk['msg']}"]}

    @staticmethod
    def _may_be_done_here(args: dict[str, Any], result: dict[str, Any]) -> bool:
        """Say whether lk failed before anything was begun, and LiveKit may and can be told without it."""
        not_begun = result.get("failed") and result.get("before") == {} and result.get("reason") != "no_agent"
        chosen = args.get("agent_via") != agent_via.LK and args.get("state") != "deployed"
        return bool(not_begun) and chosen and agent_via.can_ask_straight(args)

    def _by_lk(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module on lk's host, once it is known to answer: what breaks off later may have been done."""
        try:
            if self._connection.transport != "local":
                connection.expect_answer(self, _ANSWERS_WITHIN_S)
        except AnsibleConnectionFailure as exc:
            host = task_vars.get("inventory_hostname", "lk's host")
            why = f"{host}, which has lk, could not be reached: {connection.why(exc.message)}"
            error = ChangeError("unreachable", why)
            return failed(error, Steps(self._tell, ()), None)
        return self._run_module(args, task_vars)

    def _run_here(self, args: dict[str, Any]) -> dict[str, Any]:
        """Run the module in this process, whatever host the task is for."""
        checked = ArgumentSpecValidator(agent.ARGUMENT_SPEC).validate(args)
        if checked.error_messages:
            return {"failed": True, "msg": "; ".join(checked.error_messages)}
        return agent.run(checked.validated_parameters, self._task.check_mode, self._tell)

    def _run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module on the host; where that is this very process' own, in it, so that it can show its progress."""
        if connection.is_own_process(self):
            return self._run_here(args)
        answer: dict[str, Any] = self._execute_module(
            module_name="voiceops.livekit.agent", module_args=args, task_vars=task_vars
        )
        return answer

    def _tell(self, line: str) -> None:
        if not self._task.no_log:
            Display().display(f"  ... {line}")
