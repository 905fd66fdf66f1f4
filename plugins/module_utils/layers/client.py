# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer C(client): did a person connect, publish a microphone, and wait alone? Asks LiveKit's server API.

A room lives as long as someone is in it (and some seconds longer), so all this is about now: a user who gave up has
left no trace here, and nothing follows from that.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import client_access, room_agents, room_dispatches
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, rfc3339, window

SIGNALS: dict[str, str] = {
    "sessions": "int: rooms with at least one person, our own left out.",
    "waiting": "int: those of them in which a person is connected and no agent that may be ours is; without rooms that "
    "ask for agents alone which are known to be others'.",
    "served": "int: those of them in which an agent that may be ours is active.",
    "served_by_agent": "int: rooms in which a person is with an agent that may be ours, even if it only just joins: it "
    "has voiceops_agent_name, or tells no other name and was not asked for by one; all agents, if that is not set.",
    "served_by_names": "list: the names of the agents in rooms with people in which every agent that may be ours tells "
    "one.",
    "room": "str: the room examined: the longest waiting of the attempt's window, else the attempt's own.",
    "room_created_at": "str: when it was created, RFC 3339.",
    "room_older_than_token": "bool: it was created before the person's token was; None without a token, or if the "
    "clocks of LiveKit and of who made the token may be what makes the difference.",
    "waiting_since": "str: since when a person waits in it, RFC 3339 on the controller's clock; None if no one waits.",
    "waiting_seconds": "float: how long that was at the run's start.",
    "person_connected": "bool: a person is connected to it; None if no room is the attempt's, or one only just joins.",
    "microphone_published": "bool: a person in it publishes audio, other than a shared screen's; None if nobody is "
    "connected, or only just so.",
    "microphone_muted": "bool: all this audio is muted; None if there is none.",
    "people": "int: how many people are in it, or get connected.",
    "room_full": "bool: the room of the person's token has as many people as it allows, without this person; None "
    "without a token, or such a room.",
    "agent_state": "str: the connection state of the agent in it: JOINING, JOINED, ACTIVE, the last if one of several "
    "is; DISCONNECTED if it has left, and is still listed; None if there is none, or it only just joins.",
    "agent_session": "str: lk.agent.state of the agent in it, such as initializing; None if it does not tell.",
    "agent_audio": "bool: the agent in it publishes audio; None if there is none, or it only just joined.",
    "agent_alone_in": "str: another room, which an agent and no person joined within a minute of the person who "
    "waits; '' if there is none; None if nobody waits.",
    **room_dispatches.SIGNALS,
    "asked_by_token": "list: token_agents, if the dispatches of the room are not known, as of one that is gone; else "
    "none.",
    "credentials_accepted": "bool: LiveKit accepted the API key and secret; None if it could not be asked.",
    "limit_reached": "bool: LiveKit refused our calls for a limit of the plan, or of calls per minute; None if it "
    "could not be asked.",
    "server_clock_offset_ms": "int: LiveKit's clock minus the controller's, to about a second.",
    **client_access.SIGNALS,
}

# Enough for any project that one person looks after; listing participants costs one call a room.
MOST_ROOMS = 40
_NO_PERSONS = ("AGENT", "INGRESS", "EGRESS")
# A server clock that is read to a second is corrected only where it is off by more than that.
TRUSTED_OFFSET_MS = 2000
_MARGIN_S = 0.5
# Getting connected and publishing a microphone takes a browser some seconds; only later is their absence a finding.
SETTLED_AFTER_S = 20.0
TOGETHER_S = 60.0
LONGEST_WAIT_S = 86400.0
# LiveKit takes no token whose times are off by more, so that the clock of who made it is not.
TOKEN_CLOCK_S = 60.0
_REPEAT = "lk room list && lk room participants list ROOM && lk dispatch list ROOM"

Room = dict[str, Any]


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Gather the record of the person's side; C(deadline) is an absolute C(time.monotonic())."""
    last = deadline - _MARGIN_S
    limits = client_access.wrong(options)
    given = bool(options.get("client_url") or options.get("client_token"))
    access = {**_projects(options), **(client_access.ask(options, last) if given else {})}
    now = float(options.get("now") or time.time())
    token, attempt = options.get("client_token"), options.get("attempt")
    api = None
    try:
        with Api(options) as api:
            asked = partial(_dispatches, api, deadline=last, limits=limits)
            rooms = room_agents.tell_apart(_rooms(api, options, last, limits), options.get("agent_name") or "", asked)
            access.update(client_access.told_by_token(token, attempt, now, api.clock_offset_ms))
            chosen = choose([room for room in rooms if room["people"]], options, access.get("token_room"))
            dispatches = (chosen.get("dispatches") or asked(chosen)) if chosen else None
            offset_ms = api.clock_offset_ms
    except LiveKitError as error:
        access.update(client_access.told_by_token(token, attempt, now, None))
        result = _unanswered(error, access, api.clock_offset_ms if api else None)
        return {**result, "limits": [*result["limits"], *client_access.wrong(options)]}
    return examine(rooms, chosen, dispatches, {**options, "access": access}, limits, offset_ms)


def _projects(options: Mapping[str, Any]) -> dict[str, Any]:
    asked = options.get("livekit_url")
    return {
        "project": client_access.project_of(options.get("client_url") or asked),
        "asked_project": client_access.project_of(asked),
    }


def _unanswered(error: LiveKitError, access: Mapping[str, Any], offset_ms: int | None) -> Record:
    """The record when LiveKit's server API did not answer: what the person's own way in tells still counts."""
    signals: dict[str, Any] = {**dict.fromkeys(SIGNALS), **access, "server_clock_offset_ms": offset_ms}
    if error.reason == "unauthenticated":
        signals["credentials_accepted"] = False
    if error.reason == "rate_limited":
        signals["limit_reached"] = True
    fault = client_access.fault_in(access)
    if fault:
        return record("client", "faulty", fault, signals=signals, limits=[str(error)], repeat=_REPEAT)
    return unknown("client", str(error), repeat=_REPEAT, signals=signals)


def _rooms(api: Api, options: Mapping[str, Any], deadline: float, limits: list[str]) -> list[Room]:
    """List the rooms that are not our own: name, created_at, most_people, people, agents."""
    prefix = options.get("probe_room_prefix")
    listed = [room for room in api.rooms(deadline) if not (prefix and room["name"].startswith(prefix))]
    listed.sort(key=lambda room: float(room["created_at"]), reverse=True)
    if len(listed) > MOST_ROOMS:
        limits.append(f"only the {MOST_ROOMS} newest of {len(listed)} rooms were examined")
    inside = api.participants([room["name"] for room in listed[:MOST_ROOMS]], deadline)
    synthetic = [str(user) for user in options.get("synthetic_users") or [] if user]
    rooms = [
        {
            "name": room["name"],
            "created_at": room["created_at"],
            "most_people": room["max_participants"],
            "people": [item for item in inside[room["name"]] if is_person(item, synthetic)],
            "agents": room_agents.present(inside[room["name"]]),
            "gone": room_agents.gone(inside[room["name"]]),
        }
        for room in listed
        if room["name"] in inside
    ]
    error = _clock_error(api.clock_offset_ms)
    if error:
        limits.append(f"LiveKit's clock is off by {error:+.0f} s, which its times were corrected by")
    rooms = [_shifted(room, -error) for room in rooms]
    now = float(options.get("now") or time.time())
    told = [without_fixtures(room, options, now) for room in rooms]
    limits += [
        f"who has been in {room['name']} for more than a day is not taken for a person who waits"
        for room, all_of_it in zip(told, rooms)
        if len(room["people"]) < len(all_of_it["people"])
    ]
    return told


def without_fixtures(room: Room, options: Mapping[str, Any], now: float) -> Room:
    """The room without those who are in it for longer than a person waits, such as a screen on a wall, or a bot.

    A room that the operator named, or with an agent in it, stays as it is.
    """
    if room["agents"] or room["name"] == options.get("room"):
        return room
    people = [person for person in room["people"] if not 0 < person["joined_at"] < now - LONGEST_WAIT_S]
    return {**room, "people": people}


def _clock_error(offset_ms: int | None) -> float:
    """Seconds by which LiveKit's times are corrected; an offset that was read from whole seconds may be none."""
    return offset_ms / 1000 if offset_ms is not None and abs(offset_ms) > TRUSTED_OFFSET_MS else 0.0


def _shifted(room: Room, seconds: float) -> Room:
    def shift(item: dict[str, Any], name: str) -> dict[str, Any]:
        return {**item, name: item[name] + seconds if item[name] else item[name]}

    inside = {side: [shift(item, "joined_at") for item in room[side]] for side in ("people", "agents", "gone")}
    return {**shift(room, "created_at"), **inside}


def _dispatches(api: Api, room: Room, deadline: float, limits: list[str]) -> list[dict[str, Any]] | None:
    try:
        return room_dispatches.shifted(api.dispatches(room["name"], deadline), -_clock_error(api.clock_offset_ms))
    except LiveKitError as error:
        limits.append(f"the room's dispatches could not be listed: {error}")
        return None


def is_person(participant: Mapping[str, Any], synthetic: list[str]) -> bool:
    """Whether a participant is a human being who is or gets connected, and none of the synthetic users."""
    return (
        participant["kind"] not in _NO_PERSONS
        and participant["state"] in ("JOINING", "JOINED", "ACTIVE")
        and not any(user in participant["identity"] for user in synthetic)
    )


def is_waiting(room: Room) -> bool:
    """Whether a person is active in the room, and no agent is in it that may be ours, as it should be."""
    alone = not room["agents"] and not room.get("of_others")
    return alone and any(person["state"] == "ACTIVE" for person in room["people"])


def since(room: Room) -> float:
    """When the first of the people that are in the room joined, seconds since 1970."""
    return min(float(person["joined_at"]) for person in room["people"])


def choose(rooms: list[Room], options: Mapping[str, Any], token_room: str | None = None) -> Room | None:
    """Pick the room that the attempt is about; None if none can be it.

    That is the room that the operator named, and no other then; else that of the person's token. Else, waiting rooms
    come first, those joined in the attempt's window before older ones, those that ask for our agent by name before
    others, the longest waiting first; then the room that was joined nearest to the attempt, in its window. Rooms for
    others' agents are none of ours.
    """
    wanted = options.get("room")
    named = [room for room in rooms if room["name"] == (wanted or token_room)]
    if named or wanted:
        return named[0] if named else None
    rooms = [room for room in rooms if not room.get("of_others")]
    now = float(options.get("now") or time.time())
    attempt = options.get("attempt")
    begin, end = window(attempt, now)
    waiting = [room for room in rooms if is_waiting(room) and since(room) <= end]
    if waiting:
        return min(waiting, key=lambda room: (since(room) < begin, not room.get("asks_for_ours"), since(room)))
    moment = parse_time((attempt or {}).get("at")) or now
    joined = [room for room in rooms if begin <= since(room) <= end]
    return min(joined, key=lambda room: abs(since(room) - moment), default=None)


def examine(
    rooms: list[Room],
    chosen: Room | None,
    dispatches: list[dict[str, Any]] | None,
    options: Mapping[str, Any],
    limits: list[str],
    offset_ms: int | None,
) -> Record:
    """Make the record from the rooms, the one chosen, and that one's dispatches.

    C(options) may have C(access), the signals of client_access.
    """
    occupied = [room for room in rooms if room["people"]]
    access = options.get("access") or {}
    signals: dict[str, Any] = {
        **dict.fromkeys(SIGNALS),
        **access,
        "sessions": len(occupied),
        "waiting": sum(is_waiting(room) for room in occupied),
        "served": sum(any(agent["state"] == "ACTIVE" for agent in room["agents"]) for room in occupied),
        "served_by_agent": sum(bool(room["agents"]) for room in occupied),
        "served_by_names": room_agents.named_alone(occupied),
        "room_full": _is_full(
            occupied, access.get("token_room"), client_access.identity_of(options.get("client_token"))
        ),
        "credentials_accepted": True,
        "limit_reached": False,
        "server_clock_offset_ms": offset_ms,
    }
    signals["asked_by_token"] = signals["token_agents"]
    if chosen is None:
        if options.get("room"):
            limits = [f"voiceops_room: no person is in the room {options['room']} now", *limits]
        others = f"; {len(occupied)} other sessions are on" if occupied else ""
        summary = f"no room of the attempt is open now, so nothing can be said of it{others}"
        fault = client_access.fault_in(access)
        state = "faulty" if fault else "unknown"
        return record("client", state, fault or summary, signals=signals, limits=[summary, *limits], repeat=_REPEAT)
    now = float(options.get("now") or time.time())
    signals.update(_told_by_room(chosen, now))
    signals["room_older_than_token"] = _older(chosen["created_at"], parse_time(access.get("token_issued_at")))
    if is_waiting(chosen):
        signals.update(_told_by_waiting(chosen, rooms, now))
    if dispatches is not None:
        theirs = now + (offset_ms or 0) / 1000 - _clock_error(offset_ms)
        waiting_since = since(chosen) if is_waiting(chosen) else None
        signals.update(room_dispatches.told(dispatches, options.get("agent_name") or "", waiting_since, theirs))
        signals["asked_at"] = _moment(signals["asked_at"] or 0.0)
        signals["asked_by_token"] = []
    return record(
        "client",
        _state(signals),
        _summary(signals),
        signals=signals,
        events=_events(chosen),
        limits=limits,
        repeat=_REPEAT.replace("ROOM", shlex.quote(chosen["name"])),
    )


def _told_by_room(room: Room, now: float) -> dict[str, Any]:
    settled = now - since(room) >= SETTLED_AFTER_S
    connected = any(person["state"] == "ACTIVE" for person in room["people"]) or (False if settled else None)
    audio = _audio(room["people"])
    agent = min(room["agents"], key=lambda item: item["state"] != "ACTIVE", default=None)
    return {
        "room": room["name"],
        "room_created_at": _moment(room["created_at"]),
        "person_connected": connected,
        "microphone_published": bool(audio) or (False if connected and settled else None),
        "microphone_muted": all(track["muted"] for track in audio) if audio else None,
        "people": len(room["people"]),
        "agent_state": _agent_state(agent, room, now),
        "agent_session": agent["attributes"].get("lk.agent.state") if agent else None,
        "agent_audio": _publishes(room["agents"], now) if agent else None,
    }


def _agent_state(agent: Mapping[str, Any] | None, room: Room, now: float) -> str | None:
    """The agent's connection state; None if it may be about to change, since it only just joins."""
    if agent is None:
        return "DISCONNECTED" if room.get("gone") else None
    told = agent["state"] == "ACTIVE" or now - agent["joined_at"] >= SETTLED_AFTER_S
    return str(agent["state"]) if told else None


def _older(created: float | None, issued: float | None) -> bool | None:
    if not created or issued is None or abs(issued - created) <= TOKEN_CLOCK_S:
        return None
    return created < issued


def _told_by_waiting(room: Room, rooms: list[Room], now: float) -> dict[str, Any]:
    joined = since(room)
    alone = [
        other["name"]
        for other in rooms
        if not other["people"] and any(abs(agent["joined_at"] - joined) <= TOGETHER_S for agent in other["agents"])
    ]
    return {
        "waiting_since": _moment(joined),
        "waiting_seconds": round(max(0.0, now - joined), 1),
        "agent_alone_in": alone[0] if alone else "",
    }


def _is_full(rooms: list[Room], name: str | None, identity: str | None) -> bool | None:
    room = next((room for room in rooms if room["name"] == name), None)
    if room is None or identity is None:
        return None
    inside = any(person["identity"] == identity for person in room["people"])
    return not inside and 0 < room["most_people"] <= len(room["people"])


def _audio(participants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tracks that may be a voice: a shared screen's sound is none, what tells no source may be."""
    tracks = (track for one in participants for track in one["tracks"])
    return [track for track in tracks if track["type"] == "AUDIO" and track["source"] != "SCREEN_SHARE_AUDIO"]


def _publishes(agents: list[dict[str, Any]], now: float) -> bool | None:
    settled = all(now - agent["joined_at"] >= SETTLED_AFTER_S for agent in agents)
    return bool(_audio(agents)) or (False if settled else None)


def _state(signals: Mapping[str, Any]) -> str:
    """A person who is still about to connect, or to publish, is not judged."""
    if signals["person_connected"] is False or signals["microphone_published"] is False or signals["microphone_muted"]:
        return "faulty"
    return "healthy" if signals["person_connected"] and signals["microphone_published"] else "unknown"


def _summary(signals: Mapping[str, Any]) -> str:
    if not signals["person_connected"]:
        return f"a person tries to get into {signals['room']} and is not connected"
    microphone = "without a microphone"
    if signals["microphone_published"]:
        microphone = "with a muted microphone" if signals["microphone_muted"] else "with a microphone"
    if signals["waiting_since"]:
        return f"a person {microphone} has waited alone for {signals['waiting_seconds']:.0f} s in {signals['room']}"
    return f"a person {microphone} is in {signals['room']} with an agent that is {signals['agent_state']}"


def _events(room: Room) -> list[dict[str, Any]]:
    moments = [(room["created_at"], f"room {room['name']} was created")]
    moments += [(person["joined_at"], f"a person joined {room['name']}") for person in room["people"]]
    moments += [(agent["joined_at"], f"an agent joined {room['name']}") for agent in room["agents"]]
    return [event(text, what) for text, what in ((_moment(at), what) for at, what in moments) if text]


def _moment(epoch: float) -> str | None:
    """A time in seconds since 1970 as RFC 3339; None for one that is not set, or out of range."""
    try:
        return rfc3339(epoch) if epoch > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
