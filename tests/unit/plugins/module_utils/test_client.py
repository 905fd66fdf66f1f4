# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the people and agents in rooms mean for the attempt."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.layers.client import (
    SIGNALS,
    choose,
    collect,
    examine,
    is_person,
    is_waiting,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

NOW = 1_770_417_900.0
MICROPHONE = {"type": "AUDIO", "source": "MICROPHONE", "muted": False}


def someone(
    joined: float = -540, kind: str = "STANDARD", state: str = "ACTIVE", *tracks: dict[str, Any]
) -> dict[str, Any]:
    return {
        "identity": f"user-{joined}",
        "kind": kind,
        "state": state,
        "joined_at": NOW + joined,
        "attributes": {},
        "tracks": list(tracks),
    }


def room(name: str, *people: dict[str, Any], agents: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"name": name, "created_at": NOW - 600, "people": list(people), "agents": list(agents)}


def attempt(at: float, around: float = 600) -> dict[str, Any]:
    return {
        "at": rfc3339(NOW + at),
        "source": "given",
        "since": rfc3339(NOW + at - around),
        "until": rfc3339(min(NOW, NOW + at + around)),
        "precision_s": 60,
    }


def agent(state: str = "ACTIVE") -> dict[str, Any]:
    return someone(-530, "AGENT", state)


@pytest.mark.parametrize(
    ("participant", "person"),
    [
        (someone(), True),
        (someone(-1, "SIP"), True),
        (someone(-1, "STANDARD", "JOINED"), True),
        (someone(-1, "STANDARD", "DISCONNECTED"), False),
        (someone(-1, "AGENT"), False),
        (someone(-1, "EGRESS"), False),
        ({**someone(), "identity": "user-00000000-0000"}, False),
    ],
)
def test_who_is_a_person(participant: dict[str, Any], person: bool) -> None:
    assert is_person(participant, ["00000000-0000"]) is person


def test_who_waits() -> None:
    assert is_waiting(room("a", someone()))
    assert not is_waiting(room("a", someone(-1, "STANDARD", "JOINED")))
    assert not is_waiting(room("a", someone(), agents=(agent("JOINING"),)))


@pytest.mark.parametrize(
    ("rooms", "at", "name"),
    [
        ([], -540, None),
        ([room("short", someone(-60)), room("long", someone(-540))], -540, "long"),
        ([room("stale tab", someone(-7200)), room("user", someone(-530))], -540, "user"),
        ([room("stale tab", someone(-7200))], -540, "stale tab"),
        ([room("after the window", someone(-60))], -3600, None),
        ([room("joined after the run began", someone(5))], -540, None),
        ([room("served", someone(-540), agents=(agent(),)), room("waits", someone(-60))], -540, "waits"),
        (
            [room("near", someone(-500), agents=(agent(),)), room("far", someone(-100), agents=(agent(),))],
            -540,
            "near",
        ),
        ([room("another day", someone(-80000), agents=(agent(),))], -540, None),
    ],
)
def test_which_room_is_the_attempts(rooms: list[dict[str, Any]], at: float, name: str | None) -> None:
    chosen = choose(rooms, {"now": NOW, "attempt": attempt(at)})
    assert (chosen["name"] if chosen else None) == name


def test_before_the_attempt_is_known_the_one_who_waits_is_it() -> None:
    chosen = choose([room("waits", someone(-3000))], {"now": NOW, "attempt": None})
    assert chosen is not None
    assert chosen["name"] == "waits"


def look(chosen: dict[str, Any] | None, dispatches: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    rooms = [chosen] if chosen else []
    result = examine(rooms, chosen, dispatches, {"now": NOW, **more}, [], 3)
    assert set(result["signals"]) == set(SIGNALS)
    return result


def test_a_person_waits_alone() -> None:
    dispatch = {"id": "AD_1", "agent_name": "voice", "deployment": "", "created_at": NOW - 540, "jobs": []}
    result = look(room("r; 1", someone(-540, "STANDARD", "ACTIVE", MICROPHONE)), [dispatch])
    assert result["state"] == "healthy"
    assert result["signals"] == {
        "sessions": 1,
        "waiting": 1,
        "served": 0,
        "room": "r; 1",
        "room_created_at": rfc3339(NOW - 600),
        "waiting_since": rfc3339(NOW - 540),
        "waiting_seconds": 540.0,
        "person_connected": True,
        "microphone_published": True,
        "microphone_muted": False,
        "agent_state": None,
        "dispatches": 1,
        "dispatch_names": ["voice"],
        "dispatch_deployments": [""],
        "jobs": 0,
        "credentials_accepted": True,
        "server_clock_offset_ms": 3,
    }
    assert "'r; 1'" in result["repeat"]
    assert [event["at"] for event in result["events"]] == [rfc3339(NOW - 600), rfc3339(NOW - 540)]


@pytest.mark.parametrize(
    ("tracks", "published", "muted", "state"),
    [
        ([], False, None, "faulty"),
        ([{"type": "VIDEO", "source": "CAMERA", "muted": False}], False, None, "faulty"),
        ([{**MICROPHONE, "muted": True}], True, True, "faulty"),
        ([{**MICROPHONE, "muted": True}, {**MICROPHONE, "source": "UNKNOWN"}], True, False, "healthy"),
    ],
)
def test_the_microphone(tracks: list[dict[str, Any]], published: bool, muted: bool | None, state: str) -> None:
    result = look(room("r", someone(-540, "STANDARD", "ACTIVE", *tracks)))
    signals = result["signals"]
    assert (signals["microphone_published"], signals["microphone_muted"], result["state"]) == (published, muted, state)


def test_a_served_person_does_not_wait() -> None:
    signals = look(room("r", someone(-540, "STANDARD", "ACTIVE", MICROPHONE), agents=(agent("JOINED"),)))["signals"]
    assert (signals["waiting"], signals["served"], signals["agent_state"]) == (0, 0, "JOINED")
    assert (signals["waiting_since"], signals["waiting_seconds"]) == (None, None)


def test_dispatches_that_could_not_be_listed_are_not_none() -> None:
    assert look(room("r", someone()))["signals"]["dispatches"] is None
    assert look(room("r", someone()), [])["signals"]["dispatches"] == 0


def test_nobody_now_says_nothing_of_the_attempt() -> None:
    result = look(None)
    assert result["state"] == "unknown"
    assert (result["signals"]["person_connected"], result["signals"]["sessions"]) == (None, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "voiceops_livekit_url: expected"),
        ({"livekit_url": "my-project"}, "voiceops_livekit_url: expected"),
        ({"livekit_url": "wss://u:geheim@[x", "livekit_api_key": "k"}, "voiceops_livekit_url: expected"),
        ({"livekit_url": "wss://a.livekit.cloud"}, "voiceops_livekit_api_key: expected"),
        ({"livekit_url": "wss://a.livekit.cloud", "livekit_api_key": "k"}, "voiceops_livekit_api_secret: expected"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], expected: str) -> None:
    result = collect(options, 0)
    assert result["state"] == "unknown"
    assert result["summary"].startswith(expected)
    assert "geheim" not in result["summary"]
    assert set(result["signals"]) == set(SIGNALS)
