# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for the agent in the room where a person waits (CreateDispatch), and watches whether it comes.

It harms nobody: an agent that is in the room, or on its way, is left alone, and what was asked for in vain is
withdrawn, so that no second agent comes later. An accepted job is listed only seconds later (see room_watch), so that
a dispatch that is younger is waited for, and one whose agent came is never withdrawn: that would end the agent.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import dispatch, room_agents
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.client import (
    Room,
    is_person,
    is_waiting,
    since,
    without_fixtures,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record
from ansible_collections.voiceops.livekit.plugins.module_utils.room_dispatches import EARLIER_S, ENDED
from ansible_collections.voiceops.livekit.plugins.module_utils.room_watch import (
    LISTED_AFTER_S,
    LOOK_S,
    Watch,
    accepted_after_s,
    look,
    note,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339


class Outcome(NamedTuple):
    """What became of it: C(record) is that of the layer C(dispatch), or None if nobody was asked for."""

    changed: bool
    summary: str
    room: str
    record: Record | None = None


def redispatch(options: Mapping[str, Any], deadline_s: float, cold_start_s: float, *, dry: bool = False) -> Outcome:
    """Dispatch the agent into the room C(options.room), or that of the person who has waited longest.

    Of the options it needs the project's URL and credentials, and takes C(agent_name), C(room), C(probe_room_prefix)
    and C(synthetic_users). C(dry) only says what would be done. Takes at most C(deadline_s) and about half a minute.
    Raises LiveKitError.
    """
    with Api(options) as api:
        waiting = _waiting(api, options)
        if waiting is None:
            where = f" in {options['room']}" if options.get("room") else ""
            return Outcome(False, f"Nobody waits alone{where}, so there is nobody to ask an agent for.", "")
        name, joined_at = waiting
        _let_jobs_be_listed(api, name)
        if _waiting(api, {**options, "room": name}) is None:
            return Outcome(False, f"The person in {name} waits no more.", name)
        if _taken_since(api, name, options.get("agent_name") or "", joined_at):
            summary = f"A worker accepted a job for {name} since the person joined: the agent is on its way."
            return Outcome(False, summary, name)
        if dry:
            return Outcome(True, f"Would ask for the agent in {name}, where a person waits.", name)
        result = _ask_and_watch(api, options, name, deadline_s, cold_start_s)
        return Outcome(True, _sentence(result["summary"]), name, result)


def _waiting(api: Api, options: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the room of the person who has waited longest, and since when by LiveKit's clock; None if nobody waits."""
    end = time.monotonic() + LOOK_S
    prefix = options.get("probe_room_prefix") or dispatch.PREFIX
    names = [room["name"] for room in api.rooms(end) if not room["name"].startswith(prefix)]
    if options.get("room"):
        names = [name for name in names if name == options["room"]]
    synthetic = [str(user) for user in options.get("synthetic_users") or [] if user]
    rooms: list[Room] = [
        {
            "name": name,
            "people": [item for item in inside if is_person(item, synthetic)],
            "agents": room_agents.present(inside),
        }
        for name, inside in api.participants(names, end).items()
    ]
    now = time.time() + (api.clock_offset_ms or 0) / 1000
    told = room_agents.tell_apart(
        [without_fixtures(room, options, now) for room in rooms],
        options.get("agent_name") or "",
        lambda room: api.dispatches(room["name"], time.monotonic() + LOOK_S),
    )
    waiting = [(str(room["name"]), since(room)) for room in told if is_waiting(room)]
    return min(waiting, key=lambda item: item[1], default=None)


def _let_jobs_be_listed(api: Api, room: str) -> None:
    """Wait until the room's newest dispatch is so old that its job, if it has one, is listed."""
    newest = max((item["created_at"] for item in api.dispatches(room, time.monotonic() + LOOK_S)), default=0.0)
    age_s = time.time() + (api.clock_offset_ms or 0) / 1000 - newest
    time.sleep(min(max(0.0, LISTED_AFTER_S - age_s), LISTED_AFTER_S))


def _taken_since(api: Api, room: str, agent_name: str, joined_at: float) -> bool:
    """Say whether a job that began since the person joined goes on: one that has ended, well or not, brings nobody."""
    dispatches = room_agents.may_be_ours(api.dispatches(room, time.monotonic() + LOOK_S), agent_name)
    jobs = (job for item in dispatches for job in item["jobs"])
    return any(job["started_at"] >= joined_at - EARLIER_S and job["status"] not in ENDED for job in jobs)


def _ask_and_watch(api: Api, options: Mapping[str, Any], room: str, deadline_s: float, cold_start_s: float) -> Record:
    """Ask for the agent and watch the room until it is active, or C(deadline_s) are over; the record of that."""
    scale = deadline_s / dispatch.DEADLINE_S
    pause = max(dispatch.SHORTEST_POLL_S, dispatch.POLL_S * scale)
    name = options.get("agent_name") or ""
    # Another team's agent may be in the person's room.
    watch, began, at = Watch(room=room, agent_name=name), time.monotonic(), time.time()
    # No metadata: for the agent this is the person's own session.
    ours = api.create_dispatch(room, {"agent_name": name}, began + LOOK_S)
    watch.requested = True
    while not look(api, watch, began) and time.monotonic() < began + deadline_s:
        time.sleep(pause)
    dispatch.watch_until_complete(api, watch, None, began, scale)
    _look_at_ours(api, watch, ours)
    joined = watch.joined(deadline_s)
    signals = dispatch.all_signals(
        deadline_s,
        cold_start_s,
        ran=joined is not None,
        source="waiting_room",
        why_not=watch.limits[0] if joined is None and watch.limits else None,
        requested=True,
        accepted=watch.accepted,
        accepted_after_s=watch.accepted_after_s,
        joined=joined,
        joined_after_s=watch.joined_after_s,
        ready=watch.ready,
        ready_after_s=watch.ready_after_s,
        audible=watch.audible,
        audible_after_s=watch.audible_after_s,
        left_again=watch.left_again,
        path=2,
        wait_s=round(watch.watched_s, 1),
        asked_at=rfc3339(at),
        agent_state=watch.agent_state,
    )
    state = {True: "healthy", False: "faulty", None: "unknown"}[joined]
    events = [event(rfc3339(at), f"the agent was asked for in {room}", ours=True)]
    if watch.joined_after_s is not None:
        events.append(event(rfc3339(at + watch.joined_after_s), f"an agent joined {room}", ours=False))
    return record("dispatch", state, _summary(watch, deadline_s), signals=signals, events=events, limits=watch.limits)


def _look_at_ours(api: Api, watch: Watch, ours: str) -> None:
    """See what became of our dispatch; in vain so far, it is withdrawn, lest a second agent comes later."""
    end = time.monotonic() + LOOK_S
    try:
        mine = [item for item in api.dispatches(watch.room, end) if item["id"] == ours]
    except LiveKitError as error:
        note(watch, f"the room's dispatches could not be listed: {error}")
        return
    watch.accepted = watch.joined_after_s is not None or any(item["jobs"] for item in mine)
    watch.accepted_after_s = accepted_after_s(mine)
    if not watch.accepted:
        with contextlib.suppress(LiveKitError):
            api.delete_dispatch(ours, watch.room, end)


def _summary(watch: Watch, deadline_s: float) -> str:
    if watch.joined_after_s is not None:
        return f"an agent joined the person in {watch.room} {watch.joined_after_s:.1f} s after it was asked for again"
    return f"no agent joined the person in {watch.room} within {deadline_s:g} s of being asked for again"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
