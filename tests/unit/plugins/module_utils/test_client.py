# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the people and agents in rooms mean for the attempt."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import room_agents
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


def room(
    name: str, *people: dict[str, Any], agents: tuple[dict[str, Any], ...] = (), most_people: int = 0
) -> dict[str, Any]:
    return {
        "name": name,
        "created_at": NOW - 600,
        "most_people": most_people,
        "people": list(people),
        "agents": list(agents),
    }


def jwt(claims: dict[str, Any]) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


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
    rooms = [{**chosen, "agents": room_agents.present(chosen["agents"])}] if chosen else []
    rooms = room_agents.tell_apart(rooms, more.get("agent_name", ""), lambda _room: dispatches)
    result = examine(rooms, rooms[0] if rooms else None, dispatches, {"now": NOW, **more}, [], 3)
    assert set(result["signals"]) == set(SIGNALS)
    return result


def test_a_person_waits_alone() -> None:
    dispatch = {"id": "AD_1", "agent_name": "voice", "deployment": "", "created_at": NOW - 540, "jobs": []}
    result = look(room("r; 1", someone(-540, "STANDARD", "ACTIVE", MICROPHONE)), [dispatch])
    assert result["state"] == "healthy"
    assert result["signals"] == {
        **dict.fromkeys(SIGNALS),
        "sessions": 1,
        "waiting": 1,
        "served": 0,
        "served_by_agent": 0,
        "served_by_names": [],
        "room": "r; 1",
        "room_created_at": rfc3339(NOW - 600),
        "waiting_since": rfc3339(NOW - 540),
        "waiting_seconds": 540.0,
        "person_connected": True,
        "microphone_published": True,
        "microphone_muted": False,
        "people": 1,
        "agent_alone_in": "",
        "dispatches": 1,
        "dispatch_names": ["voice"],
        "dispatch_deployments": [""],
        "jobs": 0,
        "asked_at": rfc3339(NOW - 540),
        "asked_by_token": [],
        "credentials_accepted": True,
        "limit_reached": False,
        "server_clock_offset_ms": 3,
    }
    assert "'r; 1'" in result["repeat"]
    assert [event["at"] for event in result["events"]] == [rfc3339(NOW - 600), rfc3339(NOW - 540)]


@pytest.mark.parametrize(
    ("tracks", "published", "muted", "state"),
    [
        ([], False, None, "faulty"),
        ([{"type": "VIDEO", "source": "CAMERA", "muted": False}], False, None, "faulty"),
        ([{**MICROPHONE, "source": "SCREEN_SHARE_AUDIO"}], False, None, "faulty"),
        ([{**MICROPHONE, "muted": True}, {**MICROPHONE, "source": "SCREEN_SHARE_AUDIO"}], True, True, "faulty"),
        ([{**MICROPHONE, "muted": True}], True, True, "faulty"),
        ([{**MICROPHONE, "muted": True}, {**MICROPHONE, "source": "UNKNOWN"}], True, False, "healthy"),
    ],
)
def test_the_microphone(tracks: list[dict[str, Any]], published: bool, muted: bool | None, state: str) -> None:
    result = look(room("r", someone(-540, "STANDARD", "ACTIVE", *tracks)))
    signals = result["signals"]
    assert (signals["microphone_published"], signals["microphone_muted"], result["state"]) == (published, muted, state)


@pytest.mark.parametrize(
    ("agents", "state"),
    [
        ((someone(-530, "AGENT", "JOINED"), agent()), "ACTIVE"),
        ((someone(-25, "AGENT", "JOINING"),), "JOINING"),
        ((someone(-5, "AGENT", "JOINED"),), None),
        ((someone(-5, "AGENT", "ACTIVE"),), "ACTIVE"),
    ],
)
def test_an_agent_that_only_just_joins_is_not_judged(agents: tuple[dict[str, Any], ...], state: str | None) -> None:
    found = look(room("r", someone(-540, "STANDARD", "ACTIVE", MICROPHONE), agents=agents))
    assert found["signals"]["agent_state"] == state


def test_a_served_person_does_not_wait() -> None:
    signals = look(room("r", someone(-540, "STANDARD", "ACTIVE", MICROPHONE), agents=(agent("JOINED"),)))["signals"]
    assert (signals["waiting"], signals["served"], signals["agent_state"]) == (0, 0, "JOINED")
    assert (signals["waiting_since"], signals["waiting_seconds"]) == (None, None)


@pytest.mark.parametrize(
    ("wanted", "state", "attributes", "served"),
    [
        ("voice", "ACTIVE", {"lk.agent.name": "voice"}, 1),
        ("voice", "JOINING", {"lk.agent_name": "voice"}, 1),
        ("voice", "ACTIVE", {}, 1),
        ("voice", "ACTIVE", {"lk.agent.name": "another"}, 0),
        ("", "ACTIVE", {"lk.agent.name": "another"}, 1),
        ("voice", "DISCONNECTED", {"lk.agent.name": "voice"}, 0),
    ],
)
def test_whom_a_repair_of_our_agent_might_cut_off(
    wanted: str, state: str, attributes: dict[str, str], served: int
) -> None:
    served_room = room("r", someone(-540), agents=({**agent(state), "attributes": attributes},))
    assert look(served_room, agent_name=wanted)["signals"]["served_by_agent"] == served


@pytest.mark.parametrize(("age", "jobs"), [(4, None), (7, 0)])
def test_that_nobody_took_the_job_is_known_only_some_seconds_after_it_was_asked_for(
    age: float, jobs: int | None
) -> None:
    dispatch = {"id": "AD_1", "agent_name": "voice", "deployment": "", "created_at": NOW - age, "jobs": []}
    assert look(room("r", someone()), [dispatch])["signals"]["jobs"] == jobs


def test_dispatches_that_could_not_be_listed_are_not_none() -> None:
    assert look(room("r", someone()))["signals"]["dispatches"] is None
    assert look(room("r", someone()), [])["signals"]["dispatches"] == 0


def job(started: float) -> dict[str, Any]:
    return {"identity": "agent-1", "status": "JS_RUNNING", "worker_id": "AW_1", "started_at": NOW + started}


def dispatched(*jobs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "AD_1", "agent_name": "", "deployment": "", "created_at": NOW - 600, "jobs": list(jobs)}]


@pytest.mark.parametrize(
    ("jobs", "before"),
    [
        ([], None),
        ([job(-600)], True),
        ([job(-600), job(-539)], False),
        ([job(-545)], False),
        ([{**job(0), "started_at": 0.0}], None),
    ],
)
def test_a_job_that_was_accepted_before_the_person_came_was_not_for_them(
    jobs: list[dict[str, Any]], before: bool | None
) -> None:
    assert look(room("r", someone(-540)), dispatched(*jobs))["signals"]["jobs_before_person"] is before


def test_who_is_served_has_no_earlier_job_to_be_told_of() -> None:
    served = room("r", someone(-540), agents=(agent(),))
    assert look(served, dispatched(job(-600)))["signals"]["jobs_before_person"] is None


@pytest.mark.parametrize(("joined", "state", "audio"), [(-530, "initializing", False), (-5, "initializing", None)])
def test_an_agent_without_audio(joined: float, state: str, audio: bool | None) -> None:
    silent = {**someone(joined, "AGENT"), "attributes": {"lk.agent.state": state}}
    signals = look(room("r", someone(-540), agents=(silent,)))["signals"]
    assert (signals["agent_session"], signals["agent_audio"]) == (state, audio)


def test_an_avatar_speaks_for_the_agent() -> None:
    mute = {**someone(-530, "AGENT"), "identity": "agent-1"}
    avatar = {**someone(-525, "AGENT", "ACTIVE", MICROPHONE), "attributes": {"lk.publish_on_behalf": "agent-1"}}
    assert look(room("r", someone(-540), agents=(avatar, mute)))["signals"]["agent_audio"] is True


def test_an_agent_with_audio() -> None:
    speaking = someone(-5, "AGENT", "ACTIVE", MICROPHONE)
    assert look(room("r", someone(-540), agents=(speaking,)))["signals"]["agent_audio"] is True


@pytest.mark.parametrize(("joined", "found"), [(-545, "elsewhere"), (-481, "elsewhere"), (-479, ""), (-3000, "")])
def test_an_agent_that_is_alone_in_another_room(joined: float, found: str) -> None:
    waits, elsewhere = room("r", someone(-540)), room("elsewhere", agents=(someone(joined, "AGENT"),))
    result = examine([waits, elsewhere], waits, None, {"now": NOW}, [], 0)
    assert (result["signals"]["agent_alone_in"], result["signals"]["sessions"]) == (found, 1)


@pytest.mark.parametrize(
    ("most_people", "identity", "full"),
    [(1, "late", True), (2, "late", False), (0, "late", False), (1, "user--540", False), (1, None, None)],
)
def test_a_room_is_full_for_who_is_not_in_it(most_people: int, identity: str | None, full: bool | None) -> None:
    token = jwt({"sub": identity} if identity else {})
    known = room("r", someone(-540), most_people=most_people)
    signals = look(known, client_token=token, access={"token_room": "r"})["signals"]
    assert signals["room_full"] is full


@pytest.mark.parametrize(
    ("issued", "older"),
    [(NOW - 400, True), (NOW - 590, None), (NOW - 610, None), (NOW - 800, False), (None, None)],
)
def test_a_room_is_older_than_a_token_only_by_more_than_clocks_differ(issued: float | None, older: bool | None) -> None:
    access = {"token_issued_at": None if issued is None else rfc3339(issued)}
    assert look(room("r", someone()), access=access)["signals"]["room_older_than_token"] is older


def test_the_room_of_the_persons_token_is_the_attempts() -> None:
    rooms = [room("waits longer", someone(-590)), room("theirs", someone(-60))]
    chosen = choose(rooms, {"now": NOW, "attempt": attempt(-540)}, "theirs")
    assert chosen is rooms[1]


def test_the_room_that_is_named_is_the_attempts_and_no_other() -> None:
    rooms = [room("waits longer", someone(-590)), room("theirs", someone(-60)), room("named", someone(-30))]
    options = {"now": NOW, "attempt": attempt(-540)}
    assert choose(rooms, {**options, "room": "named"}, "theirs") is rooms[2]
    assert choose(rooms, {**options, "room": "gone"}, "theirs") is None
    assert "voiceops_room: no person is in the room gone now" in look(None, room="gone")["limits"]


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
