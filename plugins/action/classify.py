# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module classify on the controller without a process of its own, which would cost more than the judging."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError
from ansible_collections.voiceops.livekit.plugins.modules.classify import ARGUMENT_SPEC, judge
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options

# Which variable people set for an option; what the others hold comes from the run itself.
VARIABLES = {
    "synthetic_users": "voiceops_synthetic_users",
    "dispatch_deadline": "voiceops_dispatch_deadline",
    "extra_rules_dir": "voiceops_rules",
}


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {name: ARGUMENT_SPEC[name] for name in VARIABLES}
        self._task.args = options.given(spec, self._task.args, VARIABLES.__getitem__)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        if args["extra_rules_dir"] and not os.path.isdir(args["extra_rules_dir"]):
            wanted = f"{VARIABLES['extra_rules_dir']}: expected a folder with rules (*.yml)"
            raise AnsibleActionFail(f"{wanted}, got {args['extra_rules_dir']}")
        try:
            result.update(judge(args), changed=False)
        except RuleError as exc:
            raise AnsibleActionFail(f"The rules cannot be used: {exc}") from None
        return result
