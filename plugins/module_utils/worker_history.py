# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the telling lines of a worker and of livekit-server: was the worker there for the user, and did it take the job?

Pure. A line (entry) is C({at, kind, text, codes, …}), C(at) in RFC 3339 on the controller's clock, C(kind) of
worker_log or C(error); see L(layers.worker). All that is not told, or not told for certain, is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    attempt_moment,
    in_windows,
    parse_time,
    rfc3339,
    span,
    window,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_log import CAPACITY, JOB, LIFE

Entry = Mapping[str, Any]
Moments = tuple[float, float]

# What the worker is after such a line, until the next one.
_STATES = {
    "unit_started": "starting",
    "starting": "starting",
    "registered": "registered",
    "connect_failed": "connecting",
    "connection_lost": "connecting",
    "gave_up": "gave_up",
    "stopping": "stopped",
    "unit_stopped": "stopped",
    "unit_failed": "stopped",
    "unit_restarts": "stopped",
    "oom_killed": "",
}
# livekit-server writes these at the moment at which it wanted a worker for the room.
_WANTED = ("not_dispatched", "no_response", "no_capacity", "timed_out")
# One accepted job that is not started yet makes a worker full for seconds, many make it so for minutes.
BRIEF_S = 15.0
OFTEN = 3
_MOST_ERRORS = 5
_COUNTER = re.compile(r"restart counter is at (\d{1,9})", re.ASCII)
_WORKER_ID = re.compile(r"\bAW_\w{4,40}")


class Frame(NamedTuple):
    """What the lines are read against.

    C(trusted) says that no line of the worker's log is missing since its oldest one here; C(heard) that silence in the
    attempt's span counts as well, C(server_heard) the same of livekit-server. C(up) is whether the unit was up at the
    attempt, C(active) whether it is now. C(uncertainty) of the host's clock is in seconds.
    """

    attempt: Mapping[str, Any] | None
    run_start: float
    uncertainty: float = 0.0
    probes: Sequence[Mapping[str, Any]] = ()
    prefix: str = ""
    trusted: bool = False
    heard: bool = False
    server_heard: bool = False
    active: bool | None = None
    up: bool | None = None


def told(worker: Sequence[Entry], server: Sequence[Entry], frame: Frame) -> dict[str, Any]:
    """Return the signals that depend on the worker's lines, C(worker), and on livekit-server's, C(server)."""
    within = span(frame.attempt, frame.run_start, frame.uncertainty)
    users = [entry for entry in worker if within[0] <= _at(entry) <= within[1] and not _is_ours(entry, frame)]
    life = [entry for entry in worker if entry["kind"] in LIFE]
    wanted = [entry for entry in server if within[0] <= _at(entry) <= within[1] and not _is_ours(entry, frame)]
    name = _identity(life)["worker_name"]
    # A livekit-server has other agents, too; a line without a name may be about any of them.
    own = [entry for entry in wanted if name is None or entry.get("name") in (None, name)]
    moments = _moments(own, frame)
    registered = _registered(life, frame.run_start, frame)
    there = _through(life, moments, frame)
    return {
        "worker_registered": False if frame.active is False else registered,
        "worker_registered_at": max((entry["at"] for entry in life if entry["kind"] == "registered"), default=None),
        "worker_registered_at_attempt": None if there is None else there == "registered",
        "worker_state_at_attempt": there,
        "worker_registered_after": _first_after(life, moments[1], frame),
        "worker_startup_s": _startup(life, moments, there, frame),
        "worker_gave_up": _gave_up(life, frame),
        **_connection(life, moments, there, registered, frame),
        **_identity(life),
        **_capacity(worker, moments, frame),
        "worker_idle_at_attempt": _idle(worker, moments[1], frame),
        "worker_jobs_received": _count(users, "job_received", frame.heard),
        "worker_said": _kinds(users, frame),
        "worker_errors": _errors(users, frame),
        "worker_codes": _codes(users, frame),
        "worker_flapping": _often(life, frame, ("connection_lost", "registered"), without=("starting", "unit_started")),
        "worker_crash_looping": _crash_loops(life, frame),
        **_server(wanted, own, life, frame),
    }


def _at(entry: Entry) -> float:
    return parse_time(entry["at"]) or 0.0


def _is_ours(entry: Entry, frame: Frame) -> bool:
    room = str(entry.get("room") or "")
    return bool(frame.prefix and room.startswith(frame.prefix)) or in_windows(_at(entry), frame.probes)


def _moments(wanted: Iterable[Entry], frame: Frame) -> Moments:
    """Say when the worker was wanted: livekit-server knows it to the second, the user within their precision."""
    known = [_at(entry) for entry in wanted if entry["kind"] in _WANTED]
    if known:
        return min(known), min(known)
    at, precision = attempt_moment(frame.attempt, frame.run_start)
    around = max(precision, frame.uncertainty)
    return at - around, min(at + around, frame.run_start)


def _speaks(life: Iterable[Entry]) -> bool:
    """Say whether the worker logs its life at all: at a higher level, registrations would be silent."""
    return any(entry["kind"] in ("starting", "registered") for entry in life)


def _state(life: Sequence[Entry], at: float, frame: Frame) -> str | None:
    states = [_STATES[entry["kind"]] for entry in life if _at(entry) <= at and _STATES[entry["kind"]]]
    if not states or not frame.trusted or not _speaks(life):
        return None
    return states[-1]


def _registered(life: Sequence[Entry], at: float, frame: Frame) -> bool | None:
    state = _state(life, at, frame)
    return None if state is None else state == "registered"


def _through(life: Sequence[Entry], moments: Moments, frame: Frame) -> str | None:
    """Return the worker's state at the attempt; None where it changed within the precision of when that was."""
    begin, end = moments
    times = [begin, *(at for at in map(_at, life) if begin < at < end), end]
    states = {_state(life, at, frame) for at in times}
    if frame.up is False:
        # Power may fail without a last line, and what never ran before has none.
        states = {"stopped" if state in (None, "registered") else state for state in states}
    return states.pop() if len(states) == 1 else None


def _first_after(life: Sequence[Entry], at: float, frame: Frame) -> str | None:
    later = [entry["at"] for entry in life if entry["kind"] == "registered" and _at(entry) > at]
    return min(later, default="" if frame.trusted else None)


def _startup(life: Sequence[Entry], moments: Moments, there: str | None, frame: Frame) -> float | None:
    """Return the seconds from the start to the registration between which the attempt fell; 0 if it fell elsewhere."""
    if there is None:
        return None
    begun = [_at(entry) for entry in life if entry["kind"] == "starting" and _at(entry) <= moments[0]]
    ready = parse_time(_first_after(life, moments[1], frame))
    return round(ready - begun[-1], 1) if there == "starting" and begun and ready else 0.0


def _gave_up(life: Sequence[Entry], frame: Frame) -> bool | None:
    kinds = [entry["kind"] for entry in life]
    starts = [number for number, kind in enumerate(kinds) if kind in ("starting", "unit_started", "registered")]
    if "gave_up" in kinds[starts[-1] if starts else 0 :]:
        return True
    return False if frame.trusted and starts else None


def _connection(
    life: Sequence[Entry], moments: Moments, there: str | None, registered: bool | None, frame: Frame
) -> dict[str, Any]:
    """Return why the worker could not connect at the attempt, or else cannot now; empty if it could and can."""
    names = ("worker_connect_failure", "worker_connect_error", "worker_connect_failed_at")
    stretches = [
        at
        for at, missing in ((moments[1], there not in (None, "registered")), (frame.run_start, registered is False))
        if missing
    ]
    for at in stretches:
        registrations = [_at(entry) for entry in life if entry["kind"] == "registered"]
        begin = max((time for time in registrations if time <= at), default=0.0)
        end = min((time for time in registrations if time > at), default=frame.run_start)
        failed = [entry for entry in life if entry["kind"] == "connect_failed" and begin < _at(entry) <= end]
        if failed:
            said = [entry for entry in failed if entry.get("failure")] or failed[-1:]
            return dict(zip(names, (said[-1].get("failure"), said[-1]["text"], said[-1]["at"])))
    known = registered is not None and there is not None
    return dict.fromkeys(names, "" if known else None)


def _identity(life: Iterable[Entry]) -> dict[str, Any]:
    """Return what the newest registration tells of the worker; JavaScript's tells no name."""
    newest = [entry for entry in life if entry["kind"] == "registered"][-1:]
    hosts = [entry["host"] for entry in life if entry.get("host")]
    fields = newest[0] if newest else {}
    return {
        "worker_name": fields.get("name"),
        "worker_deployment": fields.get("deployment"),
        "worker_project_host": fields.get("host") or (hosts[-1] if hosts else None),
    }


def _capacity(worker: Sequence[Entry], moments: Moments, frame: Frame) -> dict[str, Any]:
    """Return whether the worker was full when it was wanted, and whether it was so only for seconds."""
    phases: list[tuple[float, float, bool]] = []
    begin: float | None = None
    for entry in [*worker, {"kind": "end", "at": rfc3339(frame.run_start)}]:
        at = _at(entry)
        if entry["kind"] == "full":
            begin = at if begin is None else begin
        elif begin is not None and (entry["kind"] in ("below", "end") or _STATES.get(entry["kind"])):
            phases.append((begin, at, entry["kind"] == "end"))
            begin = None
    covered = [phase for phase in phases if phase[0] <= moments[0] and moments[1] <= phase[1]]
    touched = [phase for phase in phases if phase[0] <= moments[1] and moments[0] <= phase[1]]
    lengths = [phase[1] - phase[0] for phase in covered]
    known = frame.trusted and _speaks(worker)
    briefly = max(lengths) < BRIEF_S if lengths else False if known else None
    # How long it will have been full is not known while it is.
    goes_on = any(phase[2] for phase in covered)
    return {
        "worker_full_now": phases[-1][2] if phases and known else False if known else None,
        "worker_full_at_attempt": True if covered else None if touched or not known else False,
        "worker_full_s": round(max(lengths), 1) if lengths else 0.0 if known else None,
        "worker_briefly_full": None if briefly and goes_on else briefly,
    }


def _idle(worker: Sequence[Entry], at: float, frame: Frame) -> bool | None:
    """Say whether it held no job: True if it got none since it started; one that it got may have ended since."""
    started = [_at(entry) for entry in worker if entry["kind"] == "starting" and _at(entry) <= at]
    if not started or not frame.trusted:
        return None
    jobs = [entry for entry in worker if entry["kind"] == "job_received" and started[-1] <= _at(entry) <= at]
    return None if jobs else True


def _count(entries: Iterable[Entry], kind: str, heard: bool) -> int | None:
    number = sum(1 for entry in entries if entry["kind"] == kind)
    return number if number or heard else None


def _kinds(users: Iterable[Entry], frame: Frame) -> list[str] | None:
    kinds = list(dict.fromkeys(entry["kind"] for entry in users if entry["kind"] in (*JOB, "oom_killed")))
    return kinds if kinds or frame.heard else None


def _errors(users: Iterable[Entry], frame: Frame) -> list[str] | None:
    quiet = (*LIFE, *CAPACITY, "job_received", "person_left")
    texts = list(dict.fromkeys(entry["text"] for entry in users if entry["kind"] not in quiet))
    return texts[-_MOST_ERRORS:] if texts or frame.heard else None


def _codes(users: Iterable[Entry], frame: Frame) -> list[str] | None:
    codes = list(dict.fromkeys(code for entry in users for code in entry.get("codes") or []))
    return codes if codes or frame.heard else None


def _often(life: Iterable[Entry], frame: Frame, kinds: tuple[str, ...], without: tuple[str, ...] = ()) -> bool | None:
    """Say whether such lines are frequent in the window; a registration that follows a start is not counted."""
    since, until = window(frame.attempt, frame.run_start)
    number, fresh = 0, False
    for entry in life:
        if entry["kind"] in without:
            fresh = True
        elif entry["kind"] in kinds and since <= _at(entry) <= until:
            number += 0 if fresh else 1
            fresh = False
    return True if number >= OFTEN else False if frame.trusted else None


def _crash_loops(life: Sequence[Entry], frame: Frame) -> bool | None:
    """Say whether systemd has restarted it that often in the window, and it did not register since."""
    since, until = window(frame.attempt, frame.run_start)
    restarts = [entry for entry in life if entry["kind"] == "unit_restarts" and since <= _at(entry) <= until]
    # Its counter also tells of restarts whose lines are not kept.
    counted = [int(match[1]) for match in (_COUNTER.search(entry["text"]) for entry in restarts) if match]
    number = max(len(restarts), counted[-1] - counted[0] + 1 if counted else 0)
    if number < OFTEN:
        return False if frame.trusted else None
    return not any(entry["kind"] == "registered" and _at(entry) > _at(restarts[-1]) for entry in life)


def _server(wanted: Sequence[Entry], own: Sequence[Entry], life: Iterable[Entry], frame: Frame) -> dict[str, Any]:
    """Return what livekit-server tells of all jobs that were C(wanted), and of those of our agent, C(own)."""
    ours = {worker for entry in life for worker in _workers(entry)}
    assigned = [_workers(entry) for entry in own if entry["kind"] == "assigned"]
    elsewhere = sum(1 for found in assigned if found and ours and not ours & found)
    missing = [entry.get("name") or "" for entry in wanted if entry["kind"] in ("not_dispatched", "no_response")]
    counts = {
        f"server_{kind}": _count(own, kind, frame.server_heard)
        for kind in ("not_dispatched", "no_response", "no_capacity", "timed_out", "worker_left")
    }
    return {
        **counts,
        "server_missing_names": list(dict.fromkeys(missing)) if missing or frame.server_heard else None,
        "server_assigned_elsewhere": elsewhere if elsewhere or (frame.server_heard and ours) else None,
    }


def _workers(entry: Entry) -> set[str]:
    return set(_WORKER_ID.findall(f"{entry['text']} {entry.get('id') or ''}"))
