# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module classify on the controller without a process of its own, which would cost more than the judging."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError
from ansible_collections.voiceops.livekit.plugins.modules.classify import ARGUMENT_SPEC, judge


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            result.update(judge(args), changed=False)
        except RuleError as exc:
            raise AnsibleActionFail(f"The rules cannot be used: {exc}") from exc
        return result
