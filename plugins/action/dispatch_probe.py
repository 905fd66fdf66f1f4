# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module dispatch_probe with a sign of life, and sets its record as a fact beside the other layers'."""

from __future__ import annotations

import contextlib
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import DEADLINE_S
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import LiveKitError, sdk
from ansible_collections.voiceops.livekit.plugins.modules import dispatch_probe
from ansible_collections.voiceops.livekit.plugins.plugin_utils import connection, options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress

# Ansible makes a process for each task. What is imported before that is imported once for all of them.
with contextlib.suppress(LiveKitError):
    sdk()
# The slow path: the first wait, a second dispatch into the same room within it, and one retry to tell a cold start.
WAITS = 2


def _variable(option: str) -> str:
    return f"voiceops_{'dispatch_' if option in ('deadline', 'cold_start', 'listen') else ''}{option}"


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the probe's record, also as C(ansible_facts.voiceops_evidence.dispatch)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = options.given(dispatch_probe.ARGUMENT_SPEC, self._task.args, _variable)
        gathered = args.pop("gathered", {})
        at_most = WAITS * float(args.get("deadline") or DEADLINE_S)
        with progress(Display().display, "waiting for an agent to join the probe's room", at_most_s=at_most):
            result.update(self._probe(args, task_vars))
        if not result.get("failed") and "record" in result:
            result["ansible_facts"] = {"voiceops_evidence": {**gathered, "dispatch": result["record"]}}
        return result

    def _probe(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Run the module; in this very process where that serves, which spares the start of another one."""
        checked = ArgumentSpecValidator(dispatch_probe.ARGUMENT_SPEC).validate(args)
        # To listen takes a native library, which is kept out of Ansible's own process.
        if not connection.is_own_process(self) or checked.validated_parameters.get("listen"):
            module = "voiceops.livekit.dispatch_probe"
            answer: dict[str, Any] = self._execute_module(module_name=module, module_args=args, task_vars=task_vars)
            return answer
        params = checked.validated_parameters
        if wrong := "; ".join(checked.error_messages) or dispatch_probe.problem(params):
            return {"failed": True, "msg": wrong}
        return {"changed": False, "record": dispatch_probe.tried(params, self._task.check_mode)}
