# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader of an incident asks first: what it is, what it is not, what is not known, and what to type next.

Pure functions from the incident record (incident.py) to plain data, shared by the three reports.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clock

Incident = dict[str, Any]

QUESTIONS = {
    "client": "Client side working?",
    "tunnel": "Tunnel reachable?",
    "secrets": "Agent secrets present?",
    "callback": "API callback working?",
    "service": "Service up, and its log in order?",
    "agent": "Agent in order on LiveKit Cloud?",
    "dispatch": "Does an agent join a room?",
}
# The branches of the team's own decision tree: what a tired operator suspects first, and so wants to see excluded.
USUAL_SUSPECTS = (
    "user_missing_in_db",
    "callback_auth_mismatch",
    "tunnel_offline",
    "agent_missing_secret",
    "service_down",
    "callback_bad_request",
)
# Verdicts of health: they are judged by rules as causes are, but cause nothing.
WELL = ("healthy", "agent_asleep_healthy")
_SOURCES = {"given": "Attempt at", "waiting_session": "Somebody waits since", "now": "As of now,"}


def title(cause: dict[str, Any]) -> str:
    """Return a cause's title; its id in words if it has none."""
    return str(cause.get("title") or cause["id"].replace("_", " ").capitalize())


def records(incident: Incident) -> list[dict[str, Any]]:
    """Return the evidence records in the order of the layers."""
    return [incident["evidence"][layer] for layer in LAYERS]


def ruled_out(incident: Incident) -> list[dict[str, Any]]:
    """Return the causes that were ruled out, the usual suspects first."""
    rank = {cause_id: number for number, cause_id in enumerate(USUAL_SUSPECTS)}
    causes = [cause for cause in _others(incident) if cause["state"] == "ruled_out"]
    return sorted(causes, key=lambda cause: rank.get(cause["id"], len(rank)))


def also_confirmed(incident: Incident) -> list[dict[str, Any]]:
    """Return the causes that are confirmed beside the verdict and its other faults, such as their effects."""
    faults = {fault["id"] for fault in incident["verdict"].get("also") or []}
    return [cause for cause in _others(incident) if cause["state"] == "confirmed" and cause["id"] not in faults]


def verdict_line(verdict: dict[str, Any]) -> str:
    """Return the verdict's state, id and certainty, such as C(fault: tunnel_offline, certainty high)."""
    words = ": ".join(dict.fromkeys((verdict["state"], verdict["id"])))
    certainty = verdict.get("certainty")
    return f"{words}, certainty {certainty['level']}" if certainty else words


def undecided(incident: Incident) -> list[dict[str, Any]]:
    """Return the causes that are suspected, then those that are open."""
    return [cause for state in ("suspected", "open") for cause in _others(incident) if cause["state"] == state]


def _others(incident: Incident) -> list[dict[str, Any]]:
    known = (*WELL, incident["verdict"]["id"])
    return [cause for cause in incident["causes"] if cause["id"] not in known]


def unknown_layers(incident: Incident) -> list[dict[str, Any]]:
    """Return the records of the layers that could not be judged."""
    return [record for record in records(incident) if record["state"] == "unknown"]


def next_step(incident: Incident) -> dict[str, str]:
    """Return the next thing to do as C(say), and as C(command) what to type for it; either may be empty.

    That is the remedy; else the advice; else asking by hand what could not be asked, the verdict's own layer first.
    """
    verdict = incident["verdict"]
    remedy = verdict["remedy"]
    advice = verdict.get("advice") or ""
    if remedy and remedy["command"]:
        return {"say": advice, "command": remedy["command"]}
    if verdict["state"] == "healthy":
        return {"say": advice or "Nothing to do.", "command": ""}
    if verdict["state"] == "fault":
        layer = verdict["layer"]
        return {"say": advice, "command": incident["evidence"][layer]["repeat"] if layer and not advice else ""}
    ask = sorted(unknown_layers(incident), key=lambda record: record["layer"] != verdict["layer"])
    command = next((record["repeat"] for record in ask if record["repeat"]), "")
    if command and not advice:
        return {"say": "Ask by hand what could not be asked:", "command": command}
    return {"say": advice or "; ".join(verdict["needs"][:1]), "command": command}


def attempt_line(incident: Incident) -> str:
    """Tell when the user tried and where was looked, such as C(Attempt at 22:39 UTC; looked at 22:29 to 22:49)."""
    attempt = incident["attempt"]
    at = clock(attempt["at"], date=attempt["at"][:10] != incident["started_at"][:10])
    return f"{_SOURCES[attempt['source']]} {at} UTC; looked at {clock(attempt['since'])} to {clock(attempt['until'])}"
