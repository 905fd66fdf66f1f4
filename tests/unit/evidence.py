# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for tests: a system in which nothing is wrong, and the changes that make it another one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.record import record
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleSet

SITUATIONS: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "scenarios" / "evidence" / "situations.yml").read_text(encoding="utf-8")
)
HEALTHY, ASLEEP, STAYS_ASLEEP, NO_AGENT_CAME, NOT_PROBED, PERSON_WAITS, SILENCE_UNPROVEN = (
    SITUATIONS[name]
    for name in (
        "healthy",
        "asleep",
        "stays_asleep",
        "no_agent_came",
        "not_probed",
        "person_waits",
        "silence_unproven",
    )
)
ATTEMPT = {
    "at": "2026-02-06T22:39:00.000Z",
    "source": "given",
    "since": "2026-02-06T22:29:00.000Z",
    "until": "2026-02-06T22:49:00.000Z",
    "precision_s": 60.0,
}
SETTINGS = {
    "agent_dir": "livekit-agent",
    "agent_id": "CA_lab000000001",
    "agent_name": "",
    "callback_url": "https://proto-trainer.ngrok.io/api/internal/sessions",
    "service_host": "pi-hub",
    "service_unit": "proto-trainer-next",
    "tunnel_host": "mac",
    "tunnel_unit": "ngrok",
    "database_unit": "postgresql",
}
CONTEXT = {"attempt": ATTEMPT, "settings": SETTINGS}


def edge_error(code: str, status: int) -> dict[str, dict[str, Any]]:
    """ngrok's edge answers instead of the app."""
    return {
        "tunnel": {"reachable": False, "status": status, "error_code": code, "route_exists": None, "html": True},
        "callback": {
            "status": status,
            "wrong_key_status": status,
            "key_accepted": None,
            "wrong_key_rejected": None,
            "route_exists": None,
            "error_code": code,
            "answered_by_app": False,
        },
    }


def logged(
    *codes: str, statuses: tuple[int, ...] = (500,), error: str = "the first error"
) -> dict[str, dict[str, Any]]:
    """The agent called at the attempt, and the service logged this."""
    return {
        "service": {
            "callbacks": len(statuses),
            "callback_statuses": list(statuses),
            "calls": len(statuses),
            "call_statuses": list(statuses),
            "codes": list(codes),
            "first_error": error if codes else "",
        }
    }


def evidence(*changes: dict[str, dict[str, Any]], without: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Return the healthy system's records by layer, with the changes made in turn and some layers left out."""
    signals = copy.deepcopy(HEALTHY)
    for change in changes:
        for layer, values in change.items():
            assert values.keys() <= signals[layer].keys(), f"{layer} has no such signals: {values}"
            signals[layer].update(copy.deepcopy(values))
    return {
        layer: record(layer, "healthy", f"{layer} was asked", signals=values)
        for layer, values in signals.items()
        if layer not in without
    }


def saved(rules: RuleSet, *changes: dict[str, dict[str, Any]], suffix: str = "0000") -> dict[str, Any]:
    """Return the incident record of the healthy system with the changes, judged by the rules."""
    records = evidence(*changes)
    found = classify(records, rules, CONTEXT)
    return assemble(
        started_at=ATTEMPT["until"],
        finished_at=ATTEMPT["until"],
        attempt=ATTEMPT,
        evidence=records,
        settings=SETTINGS,
        suffix=suffix,
        **{name: found[name] for name in ("verdict", "causes", "conflicts")},
    )
