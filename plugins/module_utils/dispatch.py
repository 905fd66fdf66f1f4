# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer C(dispatch): does an agent join a room now? By a synthetic room, or by the room of a person who waits.

A probe is intrusive: it wakes a sleeping agent and runs its entrypoint. So it is asked for last, its room is named as
ours, its time is recorded, and it is cleaned up whatever happens. What proves what is said in room_watch.py.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.listening import IDENTITY, Listener
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record
from ansible_collections.voiceops.livekit.plugins.module_utils.room_watch import (
    Watch,
    look,
    look_at_dispatches,
    note,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, rfc3339

SIGNALS: dict[str, str] = {
    "ran": "bool: there was a test that ended, be it a probe's or a waiting person's.",
    "source": "str: 'probe', 'waiting_room' or 'none'.",
    "why_not": "str: why there was no test, or none that ended.",
    "requested": "bool: the room has a dispatch.",
    "asked_names": "list: the agents' names that the room asks for, '' for automatic dispatch.",
    "accepted": "bool: a worker accepted its job.",
    "accepted_after_s": "float: seconds from the dispatch to that, by LiveKit's own clock.",
    "joined": "bool: an agent became active in the room; False only after the whole deadline was watched or waited.",
    "joined_after_s": "float: seconds from the room's creation to the agent's being active, by a probe.",
    "retry_joined_after_s": "float: the same of a second room, tried when the first took longer than cold_start_s.",
    "ready": "bool: the agent's session is ready by lk.agent.state; None if the agent does not tell.",
    "ready_after_s": "float: seconds from the room's creation, or from our asking again, to that.",
    "audible": "bool: an audio track of the agent is published, as the server sees it; see heard for sound.",
    "audible_after_s": "float: seconds from the room's creation, or from our asking again, to that.",
    "heard": "bool: sound of the agent was received by a listener of ours; None if none listened to the end.",
    "heard_after_s": "float: seconds from the room's creation to that, which the listener's joining delays.",
    "level": "str: how far the agent came: none, accepted, joined, ready, audible or heard; None if there was no test.",
    "left_again": "bool: the agent was active in our probe's room, and left it before we did; None without a probe.",
    "path": "int: what the accepted job came from: 1 the room's creation, 2 CreateDispatch; None if not known.",
    "deadline_s": "float: seconds after which an agent that has not joined counts as not joining.",
    "cold_start_s": "float: seconds that a cold start may take.",
    "scaled": "float: deadline_s as a part of the standard 90 s; None if it is the standard.",
    "agent_status_after": "str: the agent's status after the probe, from a second look; None if no document lists it.",
    "agent_log_crashed": "bool: its log shows a crash by then; filled in like that.",
    "limit_reached": "bool: LiveKit refused our probe for a limit of the plan, or of calls; None without a probe.",
    "wait_s": "float: seconds that were watched or waited without interruption since the agent was asked for.",
    "asked_at": "str: when the agent was asked for, RFC 3339; of a waiting room, the client's signal of that name.",
    "agent_state": "str: the last connection state of an agent in the room: JOINING, JOINED, ACTIVE.",
    "cleaned_up": "bool: the probe's rooms were removed; None without a probe.",
}

# LiveKit documents 10 to 25 s for a cold start; thrice as long and some more is a failure.
DEADLINE_S, COLD_START_S = 90.0, 10.0
PREFIX = "zz-probe-"
# How far an agent may come; each level implies those before it.
LEVELS = ("accepted", "joined", "ready", "audible", "heard")
# Of the standard deadline's 90 s; with another deadline these are scaled like it.
POLL_S, READY_S = 1.0, 10.0
SHORTEST_POLL_S = 0.1
# Listing dispatches is dearer than listing participants, and says less.
POLLS_PER_DISPATCH_LIST = 5
CLEAN_UP_S = 10.0
LEFTOVER_S = 600.0


def probe(options: dict[str, Any], deadline_s: float = DEADLINE_S, cold_start_s: float = COLD_START_S) -> Record:
    """Create a room with a dispatch, watch whether an agent joins it within C(deadline_s), and remove it again.

    If it took longer than C(cold_start_s), a second room is tried: a cold start is quick the second time. Takes at most
    C(deadline_s) + C(cold_start_s) and about half a minute. Of the options it needs the project's URL and credentials,
    and takes C(agent_name), C(probe_room_prefix), C(probe_id), and C(listen), with which somebody joins the agent to
    hear it, if it comes. The record's extra key C(probes) holds the time
    windows (since, until, what) in which what happens is our own doing.
    """
    try:
        with Api(options) as api:
            return _probe(api, options, deadline_s, cold_start_s)
    except LiveKitError as error:
        return not_run(str(error), deadline_s, cold_start_s)


def not_run(reason: str, deadline_s: float, cold_start_s: float) -> Record:
    """The record when there was no test; C(reason) says why."""
    signals = all_signals(deadline_s, cold_start_s, ran=False, source="none", why_not=reason)
    return record("dispatch", "unknown", reason, signals=signals, limits=[reason])


def from_waiting_room(
    client_record: Mapping[str, Any], attempt_wait_deadline: float, cold_start_s: float = COLD_START_S
) -> Record:
    """Make the record from a person who waits in a room: that is the test itself, and costs nothing.

    C(client_record) is that of the layer C(client); C(attempt_wait_deadline) is how many seconds of waiting prove that
    no agent joins.
    """
    client = client_record.get("signals") or {}
    room, waited = client.get("room"), _waited(client)
    if room is None:
        return not_run("no person of the attempt is in a room now", attempt_wait_deadline, cold_start_s)
    joined = None
    if client.get("agent_state") == "ACTIVE":
        joined = True
    elif client.get("agent_state") is None and waited is not None and waited >= attempt_wait_deadline:
        joined = False
    left = client.get("agent_state") == "DISCONNECTED"
    why_not = None
    if left:
        why_not = f"an agent was in {room}, and has left it; why, and when, is not known"
    elif joined is None:
        why_not = f"an agent was waited for {waited or 0:.0f} s in {room}, a test takes {attempt_wait_deadline:g} s"
    dispatches, jobs = client.get("dispatches"), client.get("jobs")
    signals = all_signals(
        attempt_wait_deadline,
        cold_start_s,
        ran=joined is not None,
        source="waiting_room",
        why_not=why_not,
        requested=None if dispatches is None else dispatches > 0,
        asked_names=client.get("dispatch_names"),
        accepted=True if joined or left else None if jobs is None else jobs > 0,
        joined=joined,
        left_again=True if left else None,
        wait_s=waited,
        asked_at=client.get("asked_at"),
        agent_state=client.get("agent_state"),
    )
    state = {True: "healthy", False: "faulty", None: "unknown"}[joined]
    summary = why_not or f"{'an' if joined else 'no'} agent joined the person in {room}"
    return record("dispatch", state, summary, signals=signals, limits=[why_not] if why_not else [])


def _waited(client: Mapping[str, Any]) -> float | None:
    """Seconds that the person has waited for what was asked for: whoever asks later waits for that from then on."""
    waited: float | None = client.get("waiting_seconds")
    joined, asked = parse_time(client.get("waiting_since")), parse_time(client.get("asked_at"))
    if waited is None or joined is None or asked is None:
        return waited
    return round(max(0.0, waited - max(0.0, asked - joined)), 1)


def all_signals(deadline_s: float, cold_start_s: float, **known: Any) -> dict[str, Any]:
    """Return all L(SIGNALS): those known, those that follow from them, and the others as None."""
    scaled = None if deadline_s == DEADLINE_S else round(deadline_s / DEADLINE_S, 4)
    return {
        **dict.fromkeys(SIGNALS),
        "deadline_s": deadline_s,
        "cold_start_s": cold_start_s,
        "scaled": scaled,
        "level": _level(known) if known.get("ran") else None,
        **known,
    }


def _level(known: Mapping[str, Any]) -> str:
    """Name the highest level that is known to be reached."""
    return next((name for name in reversed(LEVELS) if known.get(name)), "none")


def _probe(api: Api, options: Mapping[str, Any], deadline_s: float, cold_start_s: float) -> Record:
    prefix = options.get("probe_room_prefix") or PREFIX
    running = _running(api, prefix, deadline_s)
    if running:
        return not_run(f"another probe runs in {running}, and two would disturb each other", deadline_s, cold_start_s)
    began = time.time()
    scale = deadline_s / DEADLINE_S
    listen = bool(options.get("listen"))
    first, retry = _watch_a_room(api, options, prefix, deadline_s, scale, listen=listen), None
    slow = first.joined_after_s is not None and first.joined_after_s > cold_start_s
    if slow:
        retry = _watch_a_room(api, options, prefix, cold_start_s, scale)
    limits = [*first.limits, *(retry.limits if retry else []), *_remove_leftovers(api, prefix)]
    joined = first.joined(deadline_s)
    signals = all_signals(
        deadline_s,
        cold_start_s,
        ran=joined is not None,
        source="probe",
        why_not=limits[0] if joined is None and limits else None,
        requested=first.requested,
        asked_names=[options.get("agent_name") or ""],
        accepted=first.accepted,
        joined=joined,
        joined_after_s=first.joined_after_s,
        retry_joined_after_s=retry.joined_after_s if retry else None,
        accepted_after_s=first.accepted_after_s,
        ready=first.ready,
        ready_after_s=first.ready_after_s,
        audible=first.audible,
        audible_after_s=first.audible_after_s,
        heard=first.heard,
        heard_after_s=first.heard_after_s,
        left_again=first.left_again,
        limit_reached=first.limit_reached,
        path=first.path,
        wait_s=round(first.watched_s, 1),
        asked_at=rfc3339(began),
        agent_state=first.agent_state,
        cleaned_up=first.cleaned_up and (retry is None or retry.cleaned_up),
    )
    result = record(
        "dispatch",
        "unknown" if joined is None else "healthy" if joined and not slow else "faulty",
        _summary(first, retry, deadline_s),
        signals=signals,
        events=_events(began, first),
        limits=limits,
        repeat=f"lk dispatch create --new-room --agent-name {shlex.quote(options.get('agent_name') or 'NAME')}",
    )
    result["probes"] = [{"since": rfc3339(began), "until": rfc3339(time.time()), "what": "dispatch probe"}]
    return result


def _running(api: Api, prefix: str, deadline_s: float) -> str | None:
    """Return the room of another probe that may still run; None if there is none."""
    return next((name for name, age_s in _our_rooms(api, prefix) if age_s < deadline_s), None)


def _our_rooms(api: Api, prefix: str) -> list[tuple[str, float]]:
    """List the rooms that probes made, each with its age in seconds by LiveKit's clock."""
    ours = re.compile(re.escape(prefix) + r"\d{8}T\d{6}Z-[0-9a-f]{6}")
    rooms = api.rooms(time.monotonic() + CLEAN_UP_S)
    now = time.time() + (api.clock_offset_ms or 0) / 1000
    return [(room["name"], now - room["created_at"]) for room in rooms if ours.fullmatch(room["name"])]


def _watch_a_room(
    api: Api, options: Mapping[str, Any], prefix: str, seconds: float, scale: float, *, listen: bool = False
) -> Watch:
    """Try one room for C(seconds), and remove it; what broke off the watching becomes a limit."""
    room = f"{prefix}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    watch = Watch(room, listened=listen)
    probe_id = str(options.get("probe_id") or "")
    dispatch = {
        "agent_name": options.get("agent_name") or "",
        # For the agent's code: to a probe it need not speak, nor call back, see docs/examples.
        "metadata": json.dumps({"probe": "audible" if listen else True, "probe_id": probe_id, "no_callback": True}),
        "attributes": {"probe": "1"},
    }
    try:
        _watch(api, watch, dispatch, seconds, scale)
    except LiveKitError as error:
        watch.limits.append(f"the probe broke off: {error}")
        watch.limit_reached = error.reason == "rate_limited"
    finally:
        _clean_up(api, watch)
    return watch


def _watch(api: Api, watch: Watch, dispatch: Mapping[str, Any], seconds: float, scale: float) -> None:
    """Create the room and look into it until an agent is active, or C(seconds) are over."""
    began = time.monotonic()
    end = began + seconds
    api.create_room(watch.room, dispatch, int(max(120, seconds + 30)), end)
    watch.requested = True
    pause = max(SHORTEST_POLL_S, POLL_S * scale)
    turn = 0
    while not look(api, watch, began):
        turn += 1
        # An unsuccessful look does not count as watched; a last one is always made after the end.
        if time.monotonic() >= end:
            break
        second_is_due = watch.second_dispatch is None and time.monotonic() - began >= seconds / 3
        if turn % POLLS_PER_DISPATCH_LIST == 0 or (second_is_due and not watch.accepted):
            look_at_dispatches(api, watch)
        if second_is_due and watch.accepted is False:
            _dispatch_again(api, watch, dispatch, end)
        time.sleep(max(0.0, min(pause, end - time.monotonic())))
    if watch.joined_after_s is None:
        # LiveKit lists nobody in a room that does not exist: its emptiness proves nothing then.
        watch.gone = all(room["name"] != watch.room for room in api.rooms(time.monotonic() + CLEAN_UP_S))
        if watch.gone:
            watch.limits.insert(0, "the probe's room was gone before its time")
    listener = None
    if watch.listened and watch.joined_after_s is not None:
        listener = Listener(*api.way_in(watch.room, IDENTITY))
    try:
        watch_until_complete(api, watch, listener, began, scale)
    finally:
        if listener:
            listener.close()
    look_at_dispatches(api, watch)


def watch_until_complete(api: Api, watch: Watch, listener: Listener | None, began: float, scale: float) -> None:
    """Look on until nothing more is to be seen, or the time for it is over; a last look is made after that."""
    ready_by, late = time.monotonic() + READY_S * scale, False
    while not watch.complete() and not late:
        late = time.monotonic() >= ready_by
        time.sleep(max(SHORTEST_POLL_S, POLL_S * scale))
        look(api, watch, began)
        _note_hearing(watch, listener, began)


def _note_hearing(watch: Watch, listener: Listener | None, began: float) -> None:
    """Note whether the agent was heard so far; it is not known where our own listening failed."""
    if listener is None:
        return
    if listener.why_not:
        watch.listened, watch.heard = False, None
        note(watch, listener.why_not)
        return
    watch.heard = listener.heard_at is not None
    if listener.heard_at is not None:
        watch.heard_after_s = round(listener.heard_at - began, 2)


def _dispatch_again(api: Api, watch: Watch, dispatch: Mapping[str, Any], deadline: float) -> None:
    """Without a job so far, ask by the other way: it tells a lost dispatch from a missing worker."""
    try:
        watch.second_dispatch = api.create_dispatch(watch.room, dispatch, deadline)
    except LiveKitError as error:
        watch.second_dispatch = ""
        note(watch, f"CreateDispatch into the same room failed: {error}")


def _clean_up(api: Api, watch: Watch) -> None:
    """Withdraw the dispatches, which ends their jobs, and delete the room."""
    deadline = time.monotonic() + CLEAN_UP_S
    with contextlib.suppress(LiveKitError):
        for item in api.dispatches(watch.room, deadline):
            api.delete_dispatch(item["id"], watch.room, deadline)
    try:
        api.delete_room(watch.room, deadline)
        watch.cleaned_up = True
    except LiveKitError as error:
        watch.cleaned_up = error.reason == "not_found"
        if not watch.cleaned_up:
            watch.limits.append(f"the room {watch.room} could not be removed ({error}); it ends by itself in minutes")


def _remove_leftovers(api: Api, prefix: str) -> list[str]:
    """Delete old rooms of probes that were killed; return the limits of that."""
    try:
        for name, age_s in _our_rooms(api, prefix):
            if age_s > LEFTOVER_S:
                api.delete_room(name, time.monotonic() + CLEAN_UP_S)
    except LiveKitError as error:
        return [f"rooms that earlier probes left could not be removed: {error}"]
    return []


def _summary(first: Watch, retry: Watch | None, deadline_s: float) -> str:
    if first.joined_after_s is None:
        if first.joined(deadline_s) is None:
            return f"the probe broke off after {first.watched_s:.0f} s: {'; '.join(first.limits)}"
        text = f"no agent joined within {deadline_s:g} s"
        return text if first.accepted is None else f"{text}, {'a' if first.accepted else 'no'} worker accepted the job"
    text = f"an agent joined after {first.joined_after_s:.1f} s"
    if retry is None:
        return text
    if retry.joined_after_s is None:
        return f"{text}, and none joined a second room"
    return f"{text}, and a second room after {retry.joined_after_s:.1f} s"


def _events(began: float, watch: Watch) -> list[dict[str, Any]]:
    events = [event(rfc3339(began), f"our probe created the room {watch.room}", ours=True)]
    if watch.joined_after_s is not None:
        events.append(event(rfc3339(began + watch.joined_after_s), "an agent joined our probe's room", ours=True))
    elif watch.requested:
        what = f"our probe had watched {watch.watched_s:.0f} s, and no agent had joined"
        events.append(event(rfc3339(began + watch.watched_s), what, ours=True))
    return events
