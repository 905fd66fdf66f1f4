# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module agent with signs of life; on the controller itself, with the steps of a build as they begin."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.modules import agent
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress

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
        args = dict(self._task.args)
        at_most = float(args.get("deadline") or agent.ARGUMENT_SPEC["deadline"]["default"])
        what = _DOES.get(str(args.get("state")), "changing the agent")
        with progress(Display().display, what, at_most_s=at_most):
            result.update(self._run_module(args, task_vars or {}))
        return result

    def _run_module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module on the host; where that is this very process' own, in it, so that it can show its progress."""
        if self._connection.transport == "local" and not self._play_context.become and not any(self._task.environment):
            checked = ArgumentSpecValidator(agent.ARGUMENT_SPEC).validate(args)
            if checked.error_messages:
                return {"failed": True, "msg": "; ".join(checked.error_messages)}
            return agent.run(checked.validated_parameters, self._task.check_mode, self._tell)
        answer: dict[str, Any] = self._execute_module(
            module_name="voiceops.livekit.agent", module_args=args, task_vars=task_vars
        )
        return answer

    def _tell(self, line: str) -> None:
        if not self._task.no_log:
            Display().display(f"  ... {line}")
