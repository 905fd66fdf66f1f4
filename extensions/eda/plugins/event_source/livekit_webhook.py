# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes LiveKit's webhooks and tells when a person is left waiting for an agent.

It follows who is in which room, so that a rule needs one condition only: what it tells has stood for a while already.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.webhook import WebhookEvent

DOCUMENTATION = r"""
---
module: livekit_webhook
short_description: Tell from LiveKit's webhooks when a person waits for an agent
description:
  - Listens for LiveKit's webhooks, and takes those that are signed with the project's API key and secret.
    What is unsigned, too old, or was taken before is refused with 401, without a reason.
  - >-
    Tells C(livekit.what): C(agent_missing) if a person has been in a room for O(deadline) seconds without an agent, or
    C(agent_left) if an agent left people behind and no other came within O(grace) seconds.
    With it, C(livekit.room), C(livekit.agent), and C(livekit.since), when the waiting began. It tells nobody's name.
  - The key and the secret come from the environment, E(LIVEKIT_API_KEY) and E(LIVEKIT_API_SECRET).
  - It speaks plain HTTP, so a reverse proxy or a tunnel in front of it must do TLS.
  - What happened while it did not listen, it does not know.
options:
  port:
    description: The TCP port to listen on.
    type: int
    required: true
  host:
    description: The address to listen on.
    type: str
    default: 127.0.0.1
  agent:
    description: The name of the agent, or any word for it; events of one agent are throttled together.
    type: str
    default: ""
  deadline:
    description: Seconds until an agent that has not joined counts as missing.
    type: float
    default: 45
  grace:
    description: Seconds in which another agent may take over from one that left, or people may leave after it.
    type: float
    default: 5
  max_age:
    description: Seconds after which a webhook is too old to be taken.
    type: float
    default: 300
  own_rooms:
    description: Rooms whose names begin so are our own probes, and are not watched.
    type: str
    default: zz-probe-
"""

EXAMPLES = r"""
- name: LiveKit's webhooks
  voiceops.livekit.livekit_webhook:
    port: 5055
    deadline: 45
"""

logger = logging.getLogger(__name__)
AGENT = ParticipantInfo.Kind.AGENT
# What carries media in or out is nobody who waits.
NOBODY = (ParticipantInfo.Kind.INGRESS, ParticipantInfo.Kind.EGRESS)
LEAVING = ("participant_left", "participant_connection_aborted")
LARGEST_BODY = 256 * 1024
NUMBERS = {"deadline": 45.0, "grace": 5.0, "max_age": 300.0}


class RefusedError(Exception):
    """A call that is not taken. The text is for our own log, and holds nothing of the call."""


class Door:
    """Lets in what LiveKit signed, once, and while it is fresh."""

    def __init__(self, api_key: str, api_secret: str, max_age: float, now: Callable[[], float] = time.time) -> None:
        self._receiver = WebhookReceiver(TokenVerifier(api_key, api_secret))
        self._max_age, self._now = max_age, now
        self._taken: dict[str, float] = {}

    def admit(self, body: str, token: str) -> WebhookEvent:
        """Return the event, or raise RefusedError."""
        try:
            event = self._receiver.receive(body, token)
        except Exception as exc:  # whatever is wrong with the token, the hash or the body
            raise RefusedError(f"it is not signed with the project's key ({type(exc).__name__})") from None
        now = self._now()
        if abs(now - event.created_at) > self._max_age:
            raise RefusedError("it is too old, or from the future: is the clock right?")
        # Whatever is older than this would be refused for its age.
        self._taken = {seen: at for seen, at in self._taken.items() if abs(now - at) <= self._max_age}
        if not event.id or event.id in self._taken:
            raise RefusedError("it was taken before, or has no id by which that could be told")
        self._taken[event.id] = event.created_at
        return event


class Timer(Protocol):
    """What runs out later, unless it is cancelled."""

    def cancel(self) -> None:
        """Do not run out."""


@dataclass
class Room:
    """Who is in a room: people with the second since when, agents; and C(what) is told if nothing changes in time."""

    people: dict[str, int] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    timer: Timer | None = None
    what: str = ""

    def stop(self) -> None:
        """Let nothing run out."""
        if self.timer:
            self.timer.cancel()
        self.timer = None


class Watch:
    """Follows the rooms, and tells who waits: C(tell) gets C(what), the room's name, and since when, in epoch seconds.

    C(later) runs a function after some seconds, as C(call_later) of an event loop does.
    """

    def __init__(
        self,
        tell: Callable[[str, str, int], None],
        later: Callable[[float, Callable[[], None]], Timer],
        deadline: float,
        grace: float,
        own_rooms: str,
    ) -> None:
        self._tell, self._later = tell, later
        self._deadline, self._grace, self._own_rooms = deadline, grace, own_rooms
        self.rooms: dict[str, Room] = {}

    def see(self, event: WebhookEvent) -> None:
        """Take in one event, in the order in which LiveKit sends them."""
        name, who = event.room.name, event.participant
        if not name or (self._own_rooms and name.startswith(self._own_rooms)) or who.kind in NOBODY:
            return
        room = self.rooms.setdefault(name, Room())
        if event.event == "participant_joined":
            self._joined(name, room, event)
        elif event.event in LEAVING:
            self._left(name, room, event)
        elif event.event == "room_finished":
            room.people.clear()
            room.agents.clear()
        if not room.people:
            room.stop()
        if not room.people and not room.agents:
            del self.rooms[name]

    def _joined(self, name: str, room: Room, event: WebhookEvent) -> None:
        if event.participant.kind == AGENT:
            room.agents.add(event.participant.identity)
            room.stop()
            return
        room.people[event.participant.identity] = event.created_at
        if not room.agents and not room.timer:
            self._start("agent_missing", name, room, self._deadline, min(room.people.values()))

    def _left(self, name: str, room: Room, event: WebhookEvent) -> None:
        room.people.pop(event.participant.identity, None)
        if event.participant.identity in room.agents:
            room.agents.remove(event.participant.identity)
            if not room.agents and room.people:
                room.stop()
                self._start("agent_left", name, room, self._grace, event.created_at)
        elif room.people and room.timer and room.what == "agent_missing":
            # Who stays has waited since they came, not since the one who left did.
            since = min(room.people.values())
            room.stop()
            self._start("agent_missing", name, room, max(0.0, self._deadline - (event.created_at - since)), since)

    def _start(self, what: str, name: str, room: Room, seconds: float, since: int) -> None:
        def run_out() -> None:
            room.timer = None
            self._tell(what, name, since)

        room.timer, room.what = self._later(seconds, run_out), what


def _number(args: dict[str, Any], name: str) -> float:
    given = args.get(name, NUMBERS[name])
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = 0
    if not number > 0:
        raise ValueError(f"livekit_webhook: {name}: expected seconds above 0, got {given}")
    return number


def _port(args: dict[str, Any]) -> int:
    given = str(args.get("port", "nothing"))
    if not given.isdecimal() or int(given) > 65535:
        raise ValueError(f"livekit_webhook: port: expected a TCP port, got {given}")
    return int(given)


def _secret(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise ValueError(f"livekit_webhook: expected the variable {name} in the environment; it is empty")
    return value


def make_app(door: Door, watch: Watch) -> web.Application:
    """Make the server: every refused call gets the same answer."""

    async def receive(request: web.Request) -> web.Response:
        try:
            event = door.admit((await request.read()).decode("utf-8"), request.headers.get("Authorization", ""))
        except (RefusedError, UnicodeDecodeError) as exc:
            logger.warning("A call was refused: %s", exc if isinstance(exc, RefusedError) else "it is no UTF-8")
            return web.Response(status=401, text="refused")
        watch.see(event)
        return web.Response(text="taken")

    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_post("/{path:.*}", receive)
    return app


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Listen until cancelled, and put what is told into the queue."""
    port, host, agent = _port(args), str(args.get("host", "127.0.0.1")), str(args.get("agent", ""))
    deadline, grace, max_age = (_number(args, name) for name in NUMBERS)
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def tell(what: str, room: str, since: int) -> None:
        at = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told.put_nowait({"livekit": {"what": what, "room": room, "agent": agent, "since": at}})

    own_rooms = str(args.get("own_rooms", "zz-probe-"))
    watch = Watch(tell, asyncio.get_running_loop().call_later, deadline, grace, own_rooms)
    door = Door(_secret("LIVEKIT_API_KEY"), _secret("LIVEKIT_API_SECRET"), max_age)
    runner = web.AppRunner(make_app(door, watch), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        logger.info("Listening for LiveKit's webhooks on %s:%s", host, port)
        while True:
            await queue.put(await told.get())
    finally:
        await runner.cleanup()
