# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module agent_secret with signs of life."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.modules import agent_secret
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options
from ansible_collections.voiceops.livekit.plugins.plugin_utils.progress import progress


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = options.given(agent_secret.ARGUMENT_SPEC, self._task.args)
        at_most = float(args.get("deadline") or agent_secret.ARGUMENT_SPEC["deadline"]["default"])
        with progress(Display().display, f"setting the agent's secret {args.get('name')}", at_most_s=at_most):
            result.update(self._execute_module(module_args=args, task_vars=task_vars))
        return result
