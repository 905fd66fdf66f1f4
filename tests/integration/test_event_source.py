# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: what it lets in, and when it says that a person waits."""

from __future__ import annotations

import base64
import hashlib
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.webhook import WebhookEvent

from lab.cloud_jwt import sign

# As ansible-rulebook loads it.
SOURCE = runpy.run_path(str(Path(__file__).parents[2] / "extensions/eda/plugins/event_source/livekit_webhook.py"))
RefusedError = SOURCE["RefusedError"]
KEY, SECRET = "APIofTheTest", "secret-of-the-test-0123456789abcdef"
NOW = 1_770_416_880
PERSON, AGENT = ParticipantInfo.Kind.STANDARD, ParticipantInfo.Kind.AGENT


def event(
    what: str, identity: str = "", kind: int = PERSON, room: str = "r", at: int = NOW, number: str = "1"
) -> WebhookEvent:
    made = WebhookEvent(event=what, id=f"EV_{number}", created_at=at)
    made.room.name = room
    made.participant.identity = identity
    made.participant.kind = ParticipantInfo.Kind.ValueType(kind)
    return made


def token(body: str, secret: str = SECRET, **claims: Any) -> str:
    """What LiveKit sends as Authorization: a token over the hash of the body, valid for five minutes."""
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    return sign({"iss": KEY, "exp": time.time() + 300, "sha256": digest, **claims}, secret)


def door(now: float = NOW) -> Any:
    return SOURCE["Door"](KEY, SECRET, 300, lambda: now)


BODY = MessageToJson(event("participant_joined", "someone"))


def test_what_livekit_signed_is_taken() -> None:
    assert door().admit(BODY, token(BODY)).participant.identity == "someone"


@pytest.mark.parametrize(
    ("body", "authorization"),
    [
        (BODY, ""),
        (BODY, "no token"),
        (BODY, token(BODY, "another-secret-0123456789abcdef0123")),
        (BODY, token(BODY, iss="APIofSomebody")),
        (BODY, token(BODY, exp=NOW - 86400)),
        (BODY, token(BODY, sha256="")),
        (BODY, token("another body")),
        (BODY.replace("someone", "mallory"), token(BODY)),
        ("no JSON", token("no JSON")),
    ],
    ids=["unsigned", "no token", "other secret", "other key", "expired", "no hash", "other body", "changed", "no JSON"],
)
def test_what_is_not_signed_so_is_refused_and_why_holds_nothing_of_it(body: str, authorization: str) -> None:
    with pytest.raises(RefusedError) as refused:
        door().admit(body, authorization)
    assert "someone" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("age", [301, -301])
def test_what_is_stale_or_of_the_future_is_refused(age: int) -> None:
    with pytest.raises(RefusedError, match="too old"):
        door(NOW + age).admit(BODY, token(BODY))


def test_what_was_taken_before_is_refused_however_it_is_signed() -> None:
    at_the_door = door()
    at_the_door.admit(BODY, token(BODY))
    with pytest.raises(RefusedError, match="before"):
        at_the_door.admit(BODY, token(BODY, nbf=NOW))


def test_what_has_no_id_is_refused() -> None:
    made = event("participant_joined")
    made.id = ""
    body = MessageToJson(made)
    with pytest.raises(RefusedError, match="no id"):
        door().admit(body, token(body))


def test_ids_are_kept_only_while_they_matter() -> None:
    now = [float(NOW)]
    at_the_door = SOURCE["Door"](KEY, SECRET, 300, lambda: now[0])
    for minute in range(60):
        now[0] = NOW + minute * 60
        body = MessageToJson(event("room_started", at=int(now[0]), number=str(minute)))
        at_the_door.admit(body, token(body))
    assert len(at_the_door._taken) <= 6


class Later:
    """An event loop's C(call_later), with the time in the test's hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[tuple[float, Callable[[], None], list[bool]]] = []

    def __call__(self, seconds: float, run_out: Callable[[], None]) -> Any:
        cancelled = [False]
        self.waiting.append((self.now + seconds, run_out, cancelled))

        class Handle:
            def cancel(self) -> None:
                cancelled[0] = True

        return Handle()

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self.waiting if one[0] <= self.now]
        self.waiting = [one for one in self.waiting if one[0] > self.now]
        for _at, run_out, cancelled in due:
            if not cancelled[0]:
                run_out()


class World:
    """A watch, what it told, and the events that it sees."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []
        self.later = Later()
        self.watch = SOURCE["Watch"](lambda *what: self.told.append(what), self.later, 45, 5, "zz-probe-")

    def see(self, what: str, identity: str = "", kind: int = PERSON, room: str = "r") -> None:
        self.watch.see(event(f"participant_{what}", identity, kind, room, NOW + int(self.later.now)))


@pytest.fixture
def world() -> World:
    return World()


def test_a_person_without_an_agent_is_told_after_the_deadline_and_once(world: World) -> None:
    world.see("joined", "ada")
    world.later.pass_(44)
    assert world.told == []
    world.later.pass_(1)
    assert world.told == [("agent_missing", "r", NOW)]
    world.later.pass_(1000)
    assert len(world.told) == 1


@pytest.mark.parametrize("first", ["ada", "agent"])
def test_an_agent_that_comes_in_time_or_was_there_is_not_told(world: World, first: str) -> None:
    kinds = {"ada": PERSON, "agent": AGENT}
    for identity in (first, *(kinds.keys() - {first})):
        world.see("joined", identity, kinds[identity])
        world.later.pass_(44)
    world.later.pass_(100)
    assert world.told == []


def test_a_person_who_leaves_waits_no_more(world: World) -> None:
    world.see("joined", "ada")
    world.see("left", "ada")
    world.later.pass_(100)
    assert world.told == []
    assert world.watch.rooms == {}


def test_a_second_person_does_not_begin_the_waiting_anew(world: World) -> None:
    world.see("joined", "ada")
    world.later.pass_(30)
    world.see("joined", "bob")
    world.later.pass_(15)
    assert world.told == [("agent_missing", "r", NOW)]


def test_who_stays_has_waited_since_they_came_themselves(world: World) -> None:
    world.see("joined", "ada")
    world.later.pass_(30)
    world.see("joined", "bob")
    world.later.pass_(5)
    world.see("left", "ada")
    world.later.pass_(39)
    assert world.told == []
    world.later.pass_(1)
    assert world.told == [("agent_missing", "r", NOW + 30)]


def test_who_leaves_after_the_agent_does_not_put_off_what_the_others_wait_for(world: World) -> None:
    for identity, kind in (("ada", PERSON), ("bob", PERSON), ("agent", AGENT)):
        world.see("joined", identity, kind)
    world.later.pass_(60)
    world.see("left", "agent", AGENT)
    world.see("left", "ada")
    world.later.pass_(5)
    assert world.told == [("agent_left", "r", NOW + 60)]


def test_rooms_are_told_apart(world: World) -> None:
    world.see("joined", "ada", room="one")
    world.see("joined", "bob", room="two")
    world.see("joined", "agent", AGENT, room="one")
    world.later.pass_(45)
    assert world.told == [("agent_missing", "two", NOW)]


@pytest.mark.parametrize("leaving", ["left", "connection_aborted"])
def test_an_agent_that_leaves_a_person_behind_is_told_after_the_grace(world: World, leaving: str) -> None:
    world.see("joined", "ada")
    world.see("joined", "agent", AGENT)
    world.later.pass_(60)
    world.see(leaving, "agent", AGENT)
    world.later.pass_(4)
    assert world.told == []
    world.later.pass_(1)
    assert world.told == [("agent_left", "r", NOW + 60)]


def test_the_end_of_a_session_is_not_told(world: World) -> None:
    world.see("joined", "ada")
    world.see("joined", "agent", AGENT)
    world.see("left", "agent", AGENT)
    world.later.pass_(3)
    world.see("left", "ada")
    world.later.pass_(100)
    assert world.told == []


def test_an_agent_that_is_taken_over_from_is_not_told(world: World) -> None:
    world.see("joined", "ada")
    world.see("joined", "old", AGENT)
    world.see("left", "old", AGENT)
    world.see("joined", "new", AGENT)
    world.later.pass_(100)
    assert world.told == []


def test_a_room_that_ends_is_forgotten_with_all_in_it(world: World) -> None:
    world.see("joined", "ada")
    world.watch.see(event("room_finished"))
    world.later.pass_(100)
    assert (world.told, world.watch.rooms) == ([], {})


@pytest.mark.parametrize(
    ("room", "kind"),
    [("zz-probe-1", PERSON), ("r", ParticipantInfo.Kind.INGRESS), ("r", ParticipantInfo.Kind.EGRESS), ("", PERSON)],
)
def test_our_own_rooms_and_what_is_no_person_are_not_watched(world: World, room: str, kind: int) -> None:
    world.see("joined", "someone", kind, room)
    world.later.pass_(100)
    assert (world.told, world.watch.rooms) == ([], {})


def test_a_caller_by_telephone_is_a_person(world: World) -> None:
    world.see("joined", "caller", ParticipantInfo.Kind.SIP)
    world.later.pass_(45)
    assert len(world.told) == 1
