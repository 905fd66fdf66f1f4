# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for tests: a system in which nothing is wrong, and the changes that make it another one."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.record import record

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
}
CONTEXT = {"attempt": ATTEMPT, "settings": SETTINGS}

# The agent runs, nobody is in a room any more, and our own probe was served within two seconds.
HEALTHY: dict[str, dict[str, Any]] = {
    "client": {
        "sessions": 0,
        "waiting": 0,
        "served": 0,
        "room": None,
        "room_created_at": None,
        "waiting_since": None,
        "waiting_seconds": None,
        "person_connected": None,
        "microphone_published": None,
        "microphone_muted": None,
        "agent_state": None,
        "dispatches": None,
        "dispatch_names": None,
        "dispatch_deployments": None,
        "jobs": None,
        "credentials_accepted": True,
        "server_clock_offset_ms": 0,
    },
    "tunnel": {
        "reachable": True,
        "dns_ok": True,
        "tcp_ok": True,
        "tls_ok": True,
        "tls_error": None,
        "tls_days_left": 60.0,
        "scheme": "https",
        "host": "proto-trainer.ngrok.io",
        "status": 405,
        "error_code": "",
        "route_exists": True,
        "redirect_host": "",
        "html": False,
        "edge_clock_offset_ms": 0,
        "failure": "",
        "inspector_readable": None,
        "inspector_covers": None,
        "inspector_callbacks": None,
        "inspector_statuses": None,
        "inspector_oldest": None,
        "tunnel_urls": None,
    },
    "secrets": {
        "listed": True,
        "names": ["NEXT_APP_URL", "INTERNAL_SERVICE_KEY", "OPENAI_API_KEY"],
        "missing": [],
        "all_present": True,
        "updated_at": {"NEXT_APP_URL": "2026-02-01T10:00:00Z"},
        "last_change": "2026-02-01T10:00:00Z",
        "changed_together": False,
    },
    "callback": {
        "probe": "validate",
        "status": 400,
        "wrong_key_status": 401,
        "key_accepted": True,
        "wrong_key_rejected": True,
        "route_exists": True,
        "error_code": "",
        "fake_user_status": None,
        "prisma_code": None,
        "answered_by_app": True,
    },
    "service": {
        "unit_found": True,
        "load_state": "loaded",
        "active_state": "active",
        "sub_state": "running",
        "result": "success",
        "active": True,
        "restarts": 0,
        "started_at": "2026-02-06T22:31:00.000Z",
        "up_before_attempt": True,
        "up_through_attempt": True,
        "crash_looping": False,
        "systemd": True,
        "journal_readable": True,
        "journal_oldest": "2026-02-01T00:00:00.000Z",
        "journal_covers": True,
        "suppressed": 0,
        "entries_seen": 3,
        "callbacks": 0,
        "callback_statuses": [],
        "codes": [],
        "other_codes": [],
        "self_entries": 0,
        "control_heard": True,
        "control_at": "2026-02-05T09:00:00.000Z",
        "silence_counts": True,
        "first_error": "",
        "disk_full": False,
        "ntp_synchronized": True,
        "local_time_offset_ms": 0,
        "calls": 0,
        "call_statuses": [],
    },
    "agent": {
        "lk_version": "2.18.2",
        "found": True,
        "id": "CA_lab000000001",
        "name": "",
        "deployments": [{"region": "us-east", "deployment": "production", "status": "Running", "replicas": 1}],
        "status": "Running",
        "condition": "ready",
        "replicas": 1,
        "version": "20260204101112",
        "deployed_at": "2026-02-04T10:12:30Z",
        "crashes": 0,
        "events_types": [],
        "versions": [{"version": "20260204101112", "current": True, "status": "Running"}],
        "newest_version_failed": False,
        "newest_is_current": True,
        "logs": "read",
        "log_lines": 2,
        "log_registered": True,
        "log_job_received": None,
        "log_crashed": False,
        "log_missing_names": [],
        "log_errors": [],
        "log_codes": [],
        "credentials_accepted": True,
        "project": "lab",
    },
    "dispatch": {
        "ran": True,
        "source": "probe",
        "why_not": None,
        "requested": True,
        "accepted": True,
        "joined": True,
        "joined_after_s": 1.2,
        "retry_joined_after_s": None,
        "ready": True,
        "path": 1,
        "deadline_s": 90.0,
        "cold_start_s": 10.0,
        "scaled": None,
        "agent_status_after": "Running",
        "wait_s": 1.2,
        "agent_state": "ACTIVE",
        "cleaned_up": True,
    },
}

# What each is to the healthy system, as {layer: {signal: value}}.
NOT_PROBED = {
    "dispatch": {
        **dict.fromkeys(HEALTHY["dispatch"]),
        "ran": False,
        "source": "none",
        "why_not": "nobody asked for it",
        "deadline_s": 90.0,
        "cold_start_s": 10.0,
        "wait_s": 0.0,
    }
}
NO_AGENT_CAME = {
    "dispatch": {
        "accepted": False,
        "joined": False,
        "joined_after_s": None,
        "ready": None,
        "path": 2,
        "wait_s": 90.0,
        "agent_state": None,
    }
}
ASLEEP = {
    "agent": {
        "status": "Sleeping",
        "condition": "asleep",
        "replicas": 0,
        "logs": "asleep",
        "log_lines": None,
        "log_registered": None,
        "log_crashed": None,
        "log_missing_names": None,
        "log_errors": None,
        "log_codes": None,
    }
}
PERSON_WAITS = {
    "client": {
        "sessions": 1,
        "waiting": 1,
        "room": "session-41",
        "room_created_at": "2026-02-06T22:39:00.000Z",
        "waiting_since": "2026-02-06T22:39:00.000Z",
        "waiting_seconds": 540.0,
        "person_connected": True,
        "microphone_published": True,
        "microphone_muted": False,
        "dispatches": 1,
        "dispatch_names": [""],
        "dispatch_deployments": [""],
        "jobs": 0,
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
