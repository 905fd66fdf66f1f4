# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what the host of a worker tells, which the team runs itself, with the agent's record. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.client_access import project_of
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import agent as agent_layer
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import worker
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record

# Added to the signals of the layers agent and worker.
SIGNALS = {
    "in_cloud": "bool|None: whether the agent is one of LiveKit Cloud's; false where the team runs a worker itself, "
    "and LiveKit Cloud told of none",
}


def joined(agent: Record | None, found: Record | None) -> Record | None:
    """Return the agent's record with the worker's signals; C(found) is its host's record, None without such a host."""
    if found is not None:
        record = _with_worker(agent, found)
    elif agent is not None:
        none = {**dict.fromkeys(worker.SIGNALS), "worker_self_hosted": False}
        record = {**agent, "signals": {**agent["signals"], **none}}
    else:
        return None
    record["signals"]["in_cloud"] = _is_in_cloud(record["signals"])
    return record


def _with_worker(agent: Record | None, found: Record) -> Record:
    """Add what the worker's host tells to the agent's record; what its log tells stands in where lk has no log."""
    own = {name: found["signals"].get(name) for name in worker.SIGNALS}
    signals = {**(agent["signals"] if agent else dict.fromkeys(agent_layer.SIGNALS)), **own, "worker_self_hosted": True}
    signals.update({name: value for name, value in by_its_log(own).items() if signals.get(name) is None})
    if agent is None or agent["state"] == "unknown":
        return {**copy.deepcopy(found), "signals": signals}
    return {
        **agent,
        "state": "faulty" if found["state"] == "faulty" else agent["state"],
        "summary": f"{agent['summary']}; {found['summary']}",
        "signals": signals,
        "events": [*agent["events"], *found["events"]],
        "limits": [*agent["limits"], *found["limits"]],
    }


def by_its_log(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker's own signals tell of the agent, by the names of the agent's."""
    said = own["worker_said"]
    return {
        "name": own["worker_name"],
        "log_registered": own["worker_registered"],
        "log_job_received": True if own["worker_jobs_received"] else None,
        "log_crashed": None if said is None else "crashed" in said,
        "log_errors": own["worker_errors"],
        "log_codes": own["worker_codes"],
        "configured_project": project_of(f"wss://{own['worker_project_host']}"),
    }


def _is_in_cloud(agent: Mapping[str, Any]) -> bool | None:
    if not agent["worker_self_hosted"]:
        return True
    return True if agent.get("found") else False if agent["worker_unit_found"] else None
