# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the answers of C(lk agent status) and C(versions), tables or JSON, into the same plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import lk
from ansible_collections.voiceops.livekit.plugins.module_utils.lk_output import moment

PRODUCTION = "production"

# LiveKit's own list of status values; all else is unknown, never a failure.
CONDITIONS = {
    "Running": "ready",
    "Sleeping": "asleep",
    "Waking": "waking",
    "Setting Up": "progressing",
    "Building": "progressing",
    "Scheduling": "progressing",
    "Updating": "progressing",
    "Error": "failed",
    "CrashLoop": "failed",
    "Build Failed": "failed",
    "Server Error": "failed",
    "Suspended": "failed",
    "Deleting": "gone",
    "Deleted": "gone",
}
# An agent that runs in one region serves the others, where it may sleep.
WORST_FIRST = ("failed", "gone", None, "progressing", "waking", "ready", "asleep")


def spelled(status: Any) -> Any:
    """Return a status as LiveKit documents it, whatever its case and what joins its words; another one as it is."""
    return _SPELLINGS.get(_letters(status), status) if isinstance(status, str) else status


def condition_of(status: object) -> str | None:
    """Return what a status string means, however it is spelled; None if it is not known."""
    return CONDITIONS.get(spelled(status)) if isinstance(status, str) else None


def _letters(status: str) -> str:
    return re.sub(r"[\s_-]", "", status).lower()


_SPELLINGS = {_letters(status): status for status in CONDITIONS}


def deployments_of(answer: lk.Answer, agent_id: str | None) -> list[dict[str, Any]] | None:
    """Return the agent's deployments in every region, None if the project has no such agent.

    C(deployment) is 'production' for the one without a name, None if this lk does not tell them apart.
    """
    if answer.document is None:
        rows = [row for row in answer.rows if agent_id in (None, row.get("ID"))]
        return [_deployment_of_row(row) for row in rows]
    agent = _agent_of(answer, agent_id)
    return (
        None if agent is None else [_deployment_of_json(agent, item) for item in _dicts(agent.get("agentDeployments"))]
    )


def versions_of(answer: lk.Answer) -> list[dict[str, Any]]:
    """Return the agent's versions, newest first; C(draining), C(active), C(commit) are None where lk does not tell."""
    if answer.document is None:
        return [_version_of_row(row) for row in answer.rows]
    return [
        {
            "version": item.get("version"),
            "current": bool(item.get("current")),
            "status": spelled(item.get("status")),
            "created_at": moment(item.get("createdAt")),
            "deployed_at": moment(item.get("deployedAt")),
            "draining": bool(item.get("draining")),
            "active": bool(item.get("active")),
            "commit": _commit(item.get("attributes")),
        }
        for item in _dicts(answer.document.get("versions"))
    ]


def name_of(answer: lk.Answer, agent_id: str | None) -> str | None:
    """Return the agent's dispatch name, empty if it has none; None if lk does not tell, or LiveKit does not know."""
    if answer.document is None:
        return next((row["Name"] for row in answer.rows if row.get("Name", "--") != "--"), None)
    agent = _agent_of(answer, agent_id) or {}
    deployments = _dicts(agent.get("agentDeployments"))
    name = next((item["agentName"] for item in (agent, *deployments) if item.get("agentName")), None)
    # An empty name is left out of the JSON: it is known to be empty once the agent was looked at.
    return "" if name is None and any(item.get("lastScrapedAt") for item in deployments) else name


def events_of(answer: lk.Answer, agent_id: str | None) -> list[dict[str, Any]] | None:
    """Return LiveKit's events of the production deployment: type, count, timestamp; None if this lk shows none."""
    agent = _agent_of(answer, agent_id)
    if agent is None:
        return None
    production = [item for item in _dicts(agent.get("agentDeployments")) if not item.get("deployment")]
    return [
        {
            "type": str(item.get("type", "UNKNOWN")).replace("AGENT_EVENT_TYPE_", ""),
            "count": _count(item.get("count", 0)) or 0,
            "at": moment(item.get("timestamp")),
        }
        for deployment in production
        for item in _dicts(deployment.get("events"))
    ]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _agent_of(answer: lk.Answer, agent_id: str | None) -> dict[str, Any] | None:
    agents = _dicts((answer.document or {}).get("agents"))
    return next((agent for agent in agents if agent_id in (None, agent.get("agentId"))), None)


def _deployment_of_json(agent: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    # protojson leaves out what is zero or empty.
    return {
        "region": item.get("region"),
        "deployment": item.get("deployment") or PRODUCTION,
        "status": spelled(item.get("status")),
        "replicas": _count(item.get("replicas", 0)),
        "min": _count(item.get("minReplicas", 0)),
        "max": _count(item.get("maxReplicas", 0)),
        "version": item.get("version") or agent.get("version"),
        "deployed_at": moment(agent.get("deployedAt")),
        "last_observed": moment(item.get("lastScrapedAt")),
    }


def _deployment_of_row(row: Mapping[str, str]) -> dict[str, Any]:
    replicas = [_count(part) for part in row.get("Replicas", "").split("/")]
    current, least, most = replicas if len(replicas) == 3 else (None, None, None)
    named = row.get("Deployment")
    return {
        "region": row.get("Region"),
        "deployment": PRODUCTION if named == "--" else named,
        "status": spelled(row.get("Status")),
        "replicas": current,
        "min": least,
        "max": most,
        "version": _told(row.get("Version")),
        "deployed_at": moment(row.get("Deployed At")),
        "last_observed": moment(row.get("Last Observed")),
    }


def _version_of_row(row: Mapping[str, str]) -> dict[str, Any]:
    def mark(header: str) -> bool | None:
        return row[header] in ("✓", "true") if header in row else None

    return {
        "version": _told(row.get("Version")),
        "current": mark("Production") if "Production" in row else mark("Current"),
        "status": spelled(_told(row.get("Status"))),
        "created_at": moment(row.get("Created At")),
        "deployed_at": moment(row.get("Deployed At")),
        "draining": mark("Draining"),
        "active": mark("Active"),
        "commit": _commit(row.get("Attributes")),
    }


def _commit(attributes: object) -> str | None:
    """Return the commit that lk ≥ 2.18 notes at a deployment; None if it noted none, or a changed tree beside it."""
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes)
        except ValueError:
            return None
    if not isinstance(attributes, dict) or attributes.get("git_tree"):
        return None
    commit = attributes.get("git_commit")
    return commit if isinstance(commit, str) and commit else None


def _told(cell: str | None) -> str | None:
    return None if cell is None or cell.strip("-") == "" else cell


def _count(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
