# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence records as a canary run gathers them, made from what is the case."""

from __future__ import annotations

from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import dispatch
from ansible_collections.voiceops.livekit.plugins.module_utils.canary import Settings
from ansible_collections.voiceops.livekit.plugins.module_utils.record import record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

# 2026-03-02T00:00:00Z, a Monday.
MIDNIGHT = 1772409600.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
STANDARD = Settings()


def asked(
    now: float = MIDNIGHT,
    *,
    sessions: int | None = 0,
    person: str = "",
    asleep: bool | None = False,
    without: tuple[str, ...] = (),
    **states: str,
) -> dict[str, Any]:
    """The records of the cheap layers: healthy but for those whose state is given, and C(without) those.

    C(person) is what a person in a room shows: C(got) an agent, C(waits) long enough to prove that none comes, or
    C(came) just now.
    """
    waited = {"got": 5.0, "waits": 120.0, "came": 3.0}.get(person)
    client = {
        "credentials_accepted": None if sessions is None else True,
        "sessions": sessions,
        "room": "session-1" if person else None,
        "waiting_seconds": waited if person in ("waits", "came") else None,
        "agent_state": "ACTIVE" if person == "got" else None,
        "waiting": int(person in ("waits", "came")),
    }
    condition = None if asleep is None else "asleep" if asleep else "ready"
    signals = {"client": client, "agent": {"condition": condition}}
    # Of nobody in a room, the client's record itself can say nothing.
    records = {"client": record("client", "unknown", "no room of the attempt is open now", signals=client)}
    for layer in ("tunnel", "secrets", "callback", "agent"):
        state = states.get(layer, "healthy")
        records[layer] = record(layer, state, f"{layer} is {state}", signals=signals.get(layer))
    if sessions is None:
        records["client"] = unknown("client", "LiveKit did not answer", signals=client)
    return {layer: found for layer, found in records.items() if layer not in without}


def probed(now: float, joined: bool | None, after_s: float = 1.0, again_s: float | None = None) -> dict[str, Any]:
    """The record of a probe that ended C(now)."""
    signals = dispatch.all_signals(
        90.0,
        10.0,
        ran=joined is not None,
        source="probe",
        joined=joined,
        joined_after_s=after_s if joined else None,
        retry_joined_after_s=again_s,
    )
    state = {True: "healthy" if after_s <= 10 else "faulty", False: "faulty", None: "unknown"}[joined]
    took = (after_s + 2.0) if joined else 90.0
    found = record("dispatch", state, "an agent joined" if joined else "no agent joined within 90 s", signals=signals)
    found["probes"] = [{"since": rfc3339(now - took), "until": rfc3339(now), "what": "dispatch probe"}]
    return found
