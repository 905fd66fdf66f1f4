# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module redispatch with a sign of life, and sets its record as a fact beside the other layers'."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import DEADLINE_S
from ansible_collections.voiceops.livekit.plugins.modules import redispatch
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns, its record also as C(ansible_facts.voiceops_evidence.dispatch)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = options.given(redispatch.ARGUMENT_SPEC, self._task.args)
        gathered = args.pop("gathered", {})
        at_most = float(args.get("deadline") or DEADLINE_S)
        with progress(Display().display, "waiting for an agent to join the person", at_most_s=at_most):
            result.update(
                self._execute_module(module_name="voiceops.livekit.redispatch", module_args=args, task_vars=task_vars)
            )
        if not result.get("failed") and result.get("record"):
            result["ansible_facts"] = {"voiceops_evidence": {**gathered, "dispatch": result["record"]}}
        return result
