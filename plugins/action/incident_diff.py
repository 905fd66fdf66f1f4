# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells in what a saved incident differs from another one, or from what other rules make of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import report_difference
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.replay import difference, judged_again
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError, RuleSet, load
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import artifacts_dir
from ansible_collections.voiceops.livekit.plugins.plugin_utils.saved_incidents import SavedIncidentError, read
from ansible_collections.voiceops.livekit.plugins.plugin_utils.terminal import abilities

ARGUMENT_SPEC: dict[str, Any] = {
    "incident": {"type": "str", "default": "latest"},
    "other": {"type": "str"},
    "rules_dir": {"type": "path"},
    "extra_rules_dir": {"type": "path"},
    "artifacts": {"type": "path"},
    "file": {"type": "path"},
}
# Which variable gives which folder of rules.
RULES = {"rules_dir": "voiceops_core_rules", "extra_rules_dir": "voiceops_rules"}
KEPT = ("incident_id", "verdict", "causes")


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return both sides and what differs, and show it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(
            argument_spec=ARGUMENT_SPEC,
            required_one_of=[("other", "rules_dir")],
            mutually_exclusive=[("other", "rules_dir"), ("other", "extra_rules_dir")],
        )
        artifacts = artifacts_dir(args["artifacts"], str((task_vars or {}).get("playbook_dir", ".")))
        try:
            before = redact_data(read("voiceops_incident", args["incident"], artifacts))
            if args["other"] is not None:
                sides = ("first", "other")
                after = redact_data(read("voiceops_incident_other", args["other"], artifacts))
            else:
                sides = ("was", "now")
                after = judged_again(before, _rules(args))
        except SavedIncidentError as exc:
            raise AnsibleActionFail(str(exc)) from None
        except RuleError as exc:
            raise AnsibleActionFail(f"The rules cannot be used: {exc}") from None
        found = difference(before, after)
        suppressed: list[str] = after.get("suppressed") or []
        told = {
            "differs": any(found.values()),
            "difference": found,
            "before": {name: before[name] for name in KEPT},
            "after": {name: after[name] for name in KEPT},
            "suppressed": suppressed,
        }
        if args["file"]:
            _write(args["file"], told)
        text = report_difference.terminal(
            before, after, found, sides, notes=suppressed, where=args["file"] or "", **abilities()
        )
        Display().display(f"\n{text}\n")
        return {**result, **told, "changed": False}


def _rules(args: dict[str, Any]) -> RuleSet:
    """Load the rules; raise RuleError, naming the variable where its folder is none."""
    for option, variable in RULES.items():
        if args[option] and not os.path.isdir(args[option]):
            raise RuleError(f"{variable}: expected a folder with rules (*.yml), got {args[option]}")
    rules = load(args["rules_dir"], args["extra_rules_dir"])
    if not rules.rules:
        raise RuleError(f"{RULES['rules_dir']}: expected a folder with rules (*.yml), {args['rules_dir']} has none")
    return rules


def _write(path: str, told: dict[str, Any]) -> None:
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    try:
        # A lone surrogate, left by broken UTF-8, has no bytes of its own; its escape is valid in JSON.
        Path(path).write_bytes(text.encode("utf-8", errors="backslashreplace"))
    except OSError as exc:
        raise AnsibleActionFail(
            f"voiceops_difference_file: expected a file that can be written, got {path} ({exc.strerror or exc})."
        ) from None
