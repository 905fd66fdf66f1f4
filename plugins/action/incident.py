# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the incident record of a diagnosis with its reports, and shows how it ended."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils import incident as incidents
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import add_probes, artifacts_dir
from ansible_collections.voiceops.livekit.plugins.plugin_utils.ending import RENDERERS, show

ARGUMENT_SPEC: dict[str, Any] = {
    "artifacts": {"type": "path"},
    "run": {
        "type": "dict",
        "required": True,
        "options": {
            "started_at": {"type": "float", "required": True},
            "attempt": {"type": "dict", "required": True},
            "problems": {"type": "list", "elements": "str", "default": []},
            "probe_id": {"type": "str"},
            "probes": {"type": "list", "elements": "dict", "default": []},
            "incident": {"type": "str"},
        },
    },
    "verdict": {"type": "dict", "required": True},
    "causes": {"type": "list", "elements": "dict", "required": True},
    "evidence": {"type": "dict", "required": True},
    "timeline": {"type": "list", "elements": "dict", "default": []},
    "clocks": {"type": "dict", "default": {}},
    "problems": {"type": "list", "elements": "str", "default": []},
    "red_herrings": {"type": "list", "elements": "str", "default": []},
    "conflicts": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}},
    "notes": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Assemble, check, write and show the record."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        incident = self._assemble(args)
        if errors := incidents.validate(incident):
            raise AnsibleActionFail(f"The findings make no valid incident record: {' '.join(errors)}")
        remedy = incident["verdict"]["remedy"]
        result.update(
            changed=False,
            incident_id=incident["incident_id"],
            verdict=incident["verdict"]["id"],
            state=incident["verdict"]["state"],
            action=remedy["id"] if remedy else "none",
            automatic=bool(remedy and remedy["automatic"]),
            path="",
        )
        folder = artifacts_dir(args["artifacts"], str((task_vars or {}).get("playbook_dir", ".")))
        try:
            result["path"], warnings, error = incidents.keep(incident, str(folder), RENDERERS)
            if not error:
                probes = [probe for record in args["evidence"].values() for probe in record.get("probes") or []]
                add_probes(folder, probes, time.time())
        except OSError as exc:
            warnings, error = [], f"voiceops_artifacts: expected a folder that can be written to, got {folder} ({exc})."
        show(incident, result["path"])
        if warnings:
            result["warnings"] = warnings
        if error:
            result.update(failed=True, msg=error)
        return result

    @staticmethod
    def _assemble(args: dict[str, Any]) -> dict[str, Any]:
        names = (
            "verdict",
            "causes",
            "evidence",
            "timeline",
            "clocks",
            "red_herrings",
            "conflicts",
            "settings",
            "notes",
        )
        findings = redact_data(
            {
                **{name: args[name] for name in names},
                "attempt": args["run"]["attempt"],
                "problems": [*args["run"]["problems"], *args["problems"]],
            },
            args["secrets"],
        )
        return incidents.assemble(
            started_at=rfc3339(args["run"]["started_at"]), finished_at=rfc3339(time.time()), **findings
        )
