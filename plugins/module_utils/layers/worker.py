# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer C(agent) where the team runs the agent itself: a worker as a systemd unit, and perhaps its livekit-server.

Runs on the worker's host. The worker's own log says whether it was registered, full or crashing when the user tried;
its HTTP server, if it has one, says what it is now (a Python worker's answers 200 even while it is not registered).
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import journal, logline, systemd
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import PROBE_HEADER, parse_url, request
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    attempt_moment,
    host_clock,
    rfc3339,
    span,
    window,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_history import Frame, told
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_log import (
    LIFE,
    SERVER_PATTERN,
    WORKER_PATTERN,
    connect_failure,
    field,
    host_of,
    pattern_of,
    server_kind,
    worded,
    worker_kind,
)

SIGNALS = {
    "worker_self_hosted": "bool: the inventory names a host of voice_worker; filled in when the evidence is brought "
    "together",
    "worker_unit_found": "bool: systemd knows the worker's unit; None if it could not be asked",
    "worker_active": "bool: the unit is up now",
    "worker_result": "str: how its last run ended, as systemd says it: success, exit-code, oom-kill, …",
    "worker_exit_status": "int: the exit status of that",
    "worker_journal_readable": "bool: this user may read the system's journal; None if it could not be asked",
    "worker_registered": "bool: by its log, it is registered with LiveKit now; None if the log does not tell",
    "worker_registered_at": "str: when it last registered, RFC 3339, the controller's clock",
    "worker_registered_at_attempt": "bool: it was registered when the user tried",
    "worker_state_at_attempt": "str: registered, starting, connecting, gave_up or stopped; None if that changed within "
    "the precision of when the user tried, or the log does not tell",
    "worker_registered_after": "str: when it registered first after the attempt, RFC 3339; '' if it did not",
    "worker_startup_s": "float: seconds that the start took in which the attempt fell; 0 if it fell in none",
    "worker_gave_up": "bool: it gave up connecting, after its last start",
    "worker_connect_failure": "str: why it could not connect at the attempt, or cannot now: credentials, tls, dns, "
    "not_livekit, proxy (what stands before LiveKit refuses) or unreachable; '' if it could",
    "worker_connect_error": "str: the line that says so",
    "worker_connect_failed_at": "str: when that was, RFC 3339",
    "worker_name": "str: the agent's name that it registered with; None where its log does not tell, as JavaScript's",
    "worker_deployment": "str: the deployment that it registered with",
    "worker_project_host": "str: the host of the LiveKit server that it connects to",
    "worker_full_at_attempt": "bool: it was marked as full when the user tried",
    "worker_full_s": "float: seconds for which it was",
    "worker_full_now": "bool: it was marked as full when we looked",
    "worker_briefly_full": "bool: these were fewer than 15, as one accepted job makes it that is not started yet; None "
    "while it is full and has not been for so long",
    "worker_idle_at_attempt": "bool: it had got no job since its start; None if it had, for that may have ended",
    "worker_jobs_received": "int: job requests in the attempt's span, ours left out; 0 only if one would be heard",
    "worker_said": "list: what its log tells of jobs in that span, such as pool_broken, rejected or crashed",
    "worker_errors": "list: the newest error lines of that span, redacted, at most 5",
    "worker_codes": "list: error codes in that span",
    "worker_crash_looping": "bool: systemd restarted it thrice or more in the window, and it did not register since",
    "worker_flapping": "bool: thrice or more in the window it lost its connection, or registered without a start",
    "server_not_dispatched": "int: room jobs in the span for which livekit-server knew no worker; 0 only if heard",
    "server_no_response": "int: such jobs for which no node had the worker that was known",
    "server_no_capacity": "int: such jobs for which all workers were full",
    "server_timed_out": "int: such jobs for which a worker answered too late",
    "server_worker_left": "int: jobs of the span whose worker left the room",
    "server_missing_names": "list: the agent names that were not found",
    "server_assigned_elsewhere": "int: jobs of the span that went to another worker than this one",
    "worker_http_answers": "bool: the worker's HTTP server answers; None if it could not be asked",
    "worker_type": "str: JT_ROOM or JT_PUBLISHER, by the worker's HTTP server",
    "worker_active_jobs": "int: jobs that it runs now, by its HTTP server",
    "worker_load": "float: its load now, 0 to 1, by its HTTP server; None of a JavaScript worker",
}

DEFAULT_UNIT, DEFAULT_URL = "livekit-agent", "http://127.0.0.1:8081"
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")
# A worker that runs for months has registered long ago.
_LIFE_REACH_S = 180 * 86400.0
_LIFE_LIMIT = 400
_MOST_EVENTS = 30
_MOST = 1e9
_RESERVE_S = 0.3


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Ask the worker's host; return the record by C(deadline), an absolute C(time.monotonic())."""
    unit = str(options.get("worker_unit") or DEFAULT_UNIT)
    server = str(options.get("server_unit") or "")
    for name, given in (("worker", unit), ("server", server)):
        if given and not _UNIT_NAME.fullmatch(given):
            return unknown("agent", f"voiceops_{name}_unit: expected the name of a systemd unit, got {given[:80]!r}")
    deadline -= _RESERVE_S
    now = float(options.get("now") or time.time())
    offset, uncertainty = host_clock(options)
    since, until = window(options.get("attempt"), now)
    within = span(options.get("attempt"), now, uncertainty)
    since, until = min(since, within[0]), max(until, within[1])
    secrets = [options.get(name) for name in ("callback_key", "livekit_api_key", "livekit_api_secret")]

    def entry(kind_of: Callable[[str], str | None]) -> Callable[[journal.Entry], dict[str, Any] | None]:
        return lambda item: understand(item, kind_of, offset, secrets)

    greps = journal.can_grep(deadline)

    def ask(
        name: str, begin: float, pattern: str, kind_of: Callable[[str], str | None], limit: int
    ) -> journal.Reading[dict[str, Any]]:
        query = journal.Query(name, begin + offset, until + offset, pattern, newest_first=True)
        return journal.read(query, entry(kind_of), greps=greps, deadline=deadline, limit=limit)

    with ThreadPoolExecutor(max_workers=6) as pool:
        asked = pool.submit(systemd.show, unit, deadline)
        answered = pool.submit(_http_signals, options, deadline)
        oldest = pool.submit(journal.oldest, deadline)
        suppressed = pool.submit(journal.suppressed, unit, since + offset, until + offset, deadline)
        life = pool.submit(ask, unit, until - _LIFE_REACH_S, pattern_of(*LIFE), worker_kind, _LIFE_LIMIT)
        said = pool.submit(ask, unit, since, f"{WORKER_PATTERN}|{logline.PREFILTER}", line_kind, journal.ENTRY_LIMIT)
        served = ask(server, since, SERVER_PATTERN, server_kind, journal.ENTRY_LIMIT) if server else None
        shown, life_read, said_read = asked.result(), life.result(), said.result()
        begins, dropped, http = oldest.result(), suppressed.result(), answered.result()
    lines = _in_order(life_read.items, said_read.items)
    readable = False if False in (life_read.readable, said_read.readable, begins.readable) else said_read.readable
    covers = bool(begins.items) and begins.items[0] - offset < within[0]
    whole = readable is True and said_read.complete and dropped.complete and not sum(dropped.items)
    at, precision = attempt_moment(options.get("attempt"), now)
    around = max(precision, uncertainty)
    up = {systemd.was_up(shown.properties, each + offset, each + offset) for each in (at - around, at + around)}
    frame = Frame(
        attempt=options.get("attempt"),
        run_start=now,
        uncertainty=uncertainty,
        probes=options.get("probes") or [],
        prefix=str(options.get("probe_room_prefix") or ""),
        trusted=whole,
        heard=whole and covers and any(line["kind"] in ("starting", "registered", "job_received") for line in lines),
        server_heard=served is not None and readable is True and served.complete and covers and bool(served.items),
        active=systemd.is_active(shown.properties),
        # None if that changed within the precision of when the user tried.
        up=up.pop() if len(up) == 1 else None,
    )
    status = shown.properties.get("ExecMainStatus", "")
    signals = {
        **dict.fromkeys(SIGNALS),
        "worker_unit_found": shown.properties["LoadState"] != "not-found" if shown.properties else None,
        "worker_active": frame.active,
        "worker_result": shown.properties.get("Result"),
        "worker_exit_status": int(status) if re.fullmatch(r"\d{1,3}", status, re.ASCII) else None,
        "worker_journal_readable": readable,
        **told(lines, _in_order(served.items) if served else [], frame),
        **http,
    }
    return record(
        "agent",
        _state(signals),
        clip(_summary(unit, signals, shown.why), 300),
        signals=signals,
        events=[event(line["at"], f"the worker logged: {clip(line['text'], 160)}") for line in lines[-_MOST_EVENTS:]],
        limits=_limits(signals, shown.why, said_read.why or life_read.why, covers, whole),
        repeat=f"journalctl -u {shlex.quote(unit)} -n 100 -o short-iso --no-pager",
    )


def line_kind(text: str) -> str | None:
    """What a worker's line tells; any other error is one, too."""
    return worker_kind(text) or ("error" if logline.is_error(text, 6) else None)


def understand(
    item: journal.Entry, kind_of: Callable[[str], str | None], offset: float, secrets: list[Any]
) -> dict[str, Any] | None:
    """Make of a journal entry what is kept of it; None if it tells nothing.

    That is C({at, kind, text, codes, room, name, deployment, id, host, failure}), see worker_log; C(at) is RFC 3339 on
    the controller's clock, C(text) redacted.
    """
    kind = kind_of(item.text)
    if kind is None:
        return None
    status = logline.status(item.text)
    return {
        "at": rfc3339(item.at - offset),
        "kind": kind,
        "text": redact(worded(item.text), secrets),
        "codes": logline.codes(item.text) + ([f"HTTP_{status}"] if status and status >= 400 else []),
        "room": field(item.text, "room", "room_name"),
        "name": field(item.text, "agent_name", "agentName"),
        "deployment": field(item.text, "deployment"),
        "id": field(item.text, "workerID", "workerId", "worker_id", "id"),
        "host": host_of(item.text),
        "failure": connect_failure(item.text) if kind in ("connect_failed", "gave_up") else None,
    }


def _in_order(*readings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge entries, each once, oldest first."""
    known = {(item["at"], item["kind"], item["text"]): item for items in readings for item in items}
    return sorted(known.values(), key=lambda item: str(item["at"]))


def _http_signals(options: Mapping[str, Any], deadline: float) -> dict[str, Any]:
    """Ask the worker's HTTP server, as livekit-agents has one on port 8081, what it is."""
    try:
        base = parse_url(options.get("worker_url") or DEFAULT_URL, "voiceops_worker_url").url.rstrip("/")
        target = parse_url(f"{base}/worker", "voiceops_worker_url")
    except ValueError:
        return {}
    exchange = request(target, deadline=deadline, headers={PROBE_HEADER: str(options.get("probe_id") or "voiceops")})
    if exchange.status != 200:
        return {"worker_http_answers": False if exchange.failure == "refused" else None}
    try:
        said = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    # A Python worker tells its protocol's version, leaves out what is nought, and counts jobs as 2.0.
    nought = 0 if "protocol_version" in said else None
    load, jobs = (_number(said.get(name, nought)) for name in ("worker_load", "active_jobs"))
    return {
        "worker_http_answers": True,
        "worker_type": str(said["worker_type"]) if said.get("worker_type") else None,
        "worker_active_jobs": None if jobs is None else int(jobs),
        "worker_load": load,
    }


def _number(value: Any) -> float | None:
    """Give a number that JSON held; None for anything else, also for NaN and the infinite, which Python reads."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MOST
    return float(value) if is_number else None


def _state(signals: Mapping[str, Any]) -> str:
    if signals["worker_active"] is False or signals["worker_registered"] is False or signals["worker_gave_up"]:
        return "faulty"
    return "healthy" if signals["worker_active"] and signals["worker_registered"] else "unknown"


def _summary(unit: str, signals: Mapping[str, Any], why: str) -> str:
    if signals["worker_unit_found"] is None:
        return f"worker {unit}: {why}"
    if not signals["worker_unit_found"]:
        return f"worker {unit}: systemd knows no such unit"
    registered = {True: "registered", False: "not registered", None: "registered or not, its log does not tell"}
    parts = [f"worker {unit} is {'up' if signals['worker_active'] else 'not up'}"]
    parts.append(registered[signals["worker_registered"]])
    if signals["worker_connect_failure"]:
        parts.append(f"it could not connect ({signals['worker_connect_failure']})")
    if signals["worker_jobs_received"] is not None:
        parts.append(f"{signals['worker_jobs_received']} job requests in the attempt")
    return ", ".join(parts)


def _limits(signals: Mapping[str, Any], why: str, journal_why: str, covers: bool, whole: bool) -> list[str]:
    limits = [redact(why)] if why else []
    if signals["worker_unit_found"] is False:
        limits.append("systemd knows no such unit: a journal that is silent about it says nothing")
    if journal_why:
        limits.append(f"the worker's journal: {journal_why}")
    elif not covers:
        limits.append("the journal does not reach back to before the attempt")
    elif not whole:
        limits.append("not all of the worker's log could be read, so what it does not say proves nothing")
    return limits
