# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far an agent came in a dispatch test."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import DEADLINE_S, from_waiting_room
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import wrap
from ansible_collections.voiceops.livekit.plugins.module_utils.verification import verification
from ansible_collections.voiceops.livekit.plugins.plugin_utils import options

ARGUMENT_SPEC: dict[str, Any] = {
    "client": {"type": "dict", "required": True},
    "dispatch": {"type": "dict"},
    "deadline": {"type": "float", "default": DEADLINE_S},
}
COLUMNS = 80


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module promises, and show the sentence."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {"deadline": ARGUMENT_SPEC["deadline"]}
        self._task.args = options.given(spec, self._task.args, "voiceops_dispatch_{}".format)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        record = args["dispatch"] or from_waiting_room(args["client"], args["deadline"])
        if args["client"]["state"] == "unknown" and not args["dispatch"]:
            record["summary"] = args["client"]["summary"]
        found = verification(record)
        shown = "\n".join(wrap(found["line"], COLUMNS))
        Display().display(f"\n{shown}\n")
        result.update(found, changed=False)
        return result
