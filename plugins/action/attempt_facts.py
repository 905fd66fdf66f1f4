# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says when the user tried."""

from __future__ import annotations

import gc
import time
import uuid
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, test_loader

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import resolve_attempt
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import (
    artifacts_dir,
    find_incident,
    read_probes,
)

# Each task runs in a copy of the process that imports this: what all need is loaded here once, and what is here by now
# is no copy's garbage to look for. Together that is a tenth of a diagnosis.
filter_loader.get("default")
test_loader.get("defined")
gc.freeze()


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the run with its attempt as a fact."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(
            argument_spec={
                "at": {"type": "str", "default": ""},
                "window": {"type": "str", "default": "10m"},
                "waiting_since": {"type": "str"},
                "artifacts": {"type": "path"},
                "incident": {"type": "str", "default": ""},
                "run": {"type": "dict", "default": {}},
                "forget": {"type": "bool", "default": False},
            }
        )
        folder = artifacts_dir(args["artifacts"], str((task_vars or {}).get("playbook_dir", ".")))
        run = args["run"] or self._new_run(folder)
        earlier = find_incident(folder, args["incident"])
        at = earlier["attempt"]["at"] if earlier else args["at"]
        # "latest" is another one as soon as this run has written its own.
        named = earlier["incident_id"] if earlier else args["incident"] or run.get("incident", "")
        attempt, problems = resolve_attempt(at, args["window"], args["waiting_since"], float(run["started_at"]))
        if args["incident"] and earlier is None:
            problems.append(
                f"voiceops_incident_id: expected the id of an incident in {folder}, got {args['incident']!r}"
            )
        # What the run's earlier look at the attempt found wrong is wrong still.
        problems = list(dict.fromkeys([*run.get("problems", []), *problems]))
        result["ansible_facts"] = {"voiceops_run": {**run, "attempt": attempt, "problems": problems, "incident": named}}
        if args["forget"]:
            result["ansible_facts"]["voiceops_evidence"] = {}
        result["changed"] = False
        return result

    @staticmethod
    def _new_run(folder: Path) -> dict[str, Any]:
        now = time.time()
        return {"started_at": now, "probe_id": str(uuid.uuid4()), "probes": read_probes(folder, now)}
