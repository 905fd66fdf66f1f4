# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 5: was the service up when the user tried, and what did it log?

Silence is the hard part. That no callback was logged proves that none came only if the journal was readable and reaches
back far enough, the service ran all the while, nothing was dropped, and a callback is known to leave a line at all:
L(silence_counts). Facts about systemd are those of systemctl(1) and org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    journal,
    logline,
    service_disk,
    service_files,
    service_host,
    systemd,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.service_log import (
    Frame,
    Logs,
    in_span,
    mark,
    most_telling,
    read_logs,
    summarise,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    attempt_moment,
    host_clock,
    rfc3339,
    span,
    window,
)

SIGNALS = {
    "systemd": "bool: systemd runs on the host and answers",
    "unit_found": "bool|None: systemd knows the unit; None if it could not be asked",
    "load_state": "str|None: LoadState as systemd says it",
    "active_state": "str|None: ActiveState as systemd says it",
    "sub_state": "str|None: SubState as systemd says it",
    "result": "str|None: Result as systemd says it: success, exit-code, oom-kill, start-limit-hit, …",
    "active": "bool|None: ActiveState is active or reloading",
    "restarts": "int|None: NRestarts, the automatic restarts since the unit was last started by hand or at boot",
    "started_at": "str|None: when it last became active, RFC 3339, the controller's clock",
    "up_before_attempt": "bool|None: it was up when the user tried; None if that changed within the precision of when",
    "up_through_attempt": "bool|None: it was up, without a restart, through the attempt's span",
    "crash_looping": "bool|None: it waits for an automatic restart, or gave up, or restarted thrice in the window",
    "journal_readable": "bool|None: this user may read the system's journal; None if it could not be asked",
    "journal_oldest": "str|None: time of the oldest entry of the whole journal, RFC 3339, the controller's clock",
    "journal_covers": "bool|None: that entry is older than the attempt's span; None if the journal is unreadable",
    "suppressed": "int|None: messages of the unit that journald dropped in the window for coming too fast",
    "entries_seen": "int: entries of the unit in the window that tell of a callback or an error",
    "callbacks": "int|None: lines that match the pattern in the span, ours and synthetic users' left out",
    "callback_statuses": "list[int]: the HTTP statuses that these lines show",
    "codes": "list[str]: error codes in the span, not ours: P2003, ECONNREFUSED, HTTP_500, …",
    "other_codes": "list[str]: error codes in the window that are outside of the span, or ours",
    "self_entries": "int: entries in the window that our own probes or synthetic users caused",
    "control_heard": "bool|None: a successful callback was logged before the span; None if not all could be searched",
    "control_at": "str|None: when the latest one was, RFC 3339, the controller's clock",
    "silence_counts": "bool|None: True if no line in the span means that no call came; else None, never False",
    "first_error": "str|None: the first error in the span that is not ours, redacted, at most 300 characters",
    "disk_full": "bool|None: no room is left now where the service works, in the journal's folder, in / or in /var; or "
    "the log complained of it in the span",
    "ntp_synchronized": "bool|None: timedatectl says that the clock is synchronized",
    "local_time_offset_ms": "int|None: the host's clock minus the controller's, which all times in this record are "
    "corrected by; None if nobody could measure it",
    "local_time_uncertainty_ms": "int|None: how far that may be off",
    **service_host.SIGNALS,
    **service_files.SIGNALS,
}

_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")
_CRASH_LOOP = 3
_MOST_EVENTS = 30
# What is left of the deadline to draw conclusions from what was read.
_RESERVE_S = 0.3


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Ask systemd and the journal of this host; return the record by C(deadline), an absolute C(time.monotonic()).

    The record has the extra key C(entries): at most 200, see L(service_log.understand).
    """
    unit = str(options.get("service_unit") or "")
    if not _UNIT_NAME.fullmatch(unit):
        return unknown("service", f"voiceops_service_unit: expected the name of a systemd unit, got {unit[:80]!r}")
    pattern = str(options.get("service_pattern") or "internal")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        return unknown("service", f"voiceops_service_pattern: expected a regular expression: {exc}")
    frame = _frame(options, unit, pattern)
    deadline -= _RESERVE_S
    with ThreadPoolExecutor(max_workers=4) as pool:
        asked = pool.submit(_ask, unit, frame, deadline)
        synchronized = pool.submit(systemd.ntp_synchronized, deadline)
        host = pool.submit(_host_signals, asked, options, frame, deadline)
        kernel = pool.submit(service_host.kernel_signals, frame, asked, deadline)
        logs = read_logs(frame, deadline)
        shown = asked.result()
        entries = mark(logs.window.items, frame.probes, frame.synthetic_users)
        signals = {
            **_unit_signals(shown, frame, attempt_moment(options.get("attempt"), frame.end)),
            **_journal_signals(logs, frame, entries),
            "ntp_synchronized": synchronized.result(),
            "local_time_offset_ms": round(frame.offset * 1000) if options.get("clock") else None,
            "local_time_uncertainty_ms": round(frame.uncertainty * 1000) if options.get("clock") else None,
            **host.result(),
            **kernel.result(),
        }
    if not (signals["kernel_faults"] or signals["journal_covers"]):
        signals["kernel_faults"] = None
    signals["crash_looping"] = _crash_looping(signals, entries)
    full = service_disk.full_folders(shown.properties)
    signals["disk_full"] = _disk_full(entries, frame, full)
    # What was logged before the clock was set, as perhaps at the attempt, bears another time than it happened at.
    signals["silence_counts"] = None if shown.why else silence_counts(signals)
    host_window = [
        f"--{name} @{at + frame.offset:.0f}" for name, at in (("since", frame.since), ("until", frame.until))
    ]
    result = record(
        "service",
        _state(signals),
        clip(_summary(unit, signals, shown), 300),
        signals=signals,
        events=_events(unit, signals, entries),
        limits=[*_limits(signals, logs, shown), *(f"no room is left in {path} now" for path in full or ())],
        repeat=f"journalctl -u {shlex.quote(unit)} {' '.join(host_window)} -o short-iso --no-pager",
    )
    return {**result, "entries": most_telling(entries, (frame.start, frame.end))}


def _ask(unit: str, frame: Frame, deadline: float) -> systemd.Shown:
    shown = systemd.show(unit, deadline)
    if not shown.properties or not hasattr(time, "CLOCK_BOOTTIME"):
        return shown
    reckoned = systemd.by_the_clock(shown, time.time(), *systemd.uptime())
    # The journal is asked only where the times differ.
    if not reckoned.why or not journal.is_of_this_boot(deadline):
        return shown
    if journal.is_stamped_rightly(frame.start + frame.offset, deadline):
        # The clock was set before the attempt, whose entries bear their times.
        return reckoned._replace(why="")
    return reckoned


def _frame(options: Mapping[str, Any], unit: str, pattern: str) -> Frame:
    now = float(options.get("now") or time.time())
    offset, uncertainty = host_clock(options)
    start, end = span(options.get("attempt"), now, uncertainty)
    since, until = window(options.get("attempt"), now)
    return Frame(
        unit,
        pattern,
        since=min(since, start),
        until=max(until, end),
        start=start,
        end=end,
        offset=offset,
        uncertainty=uncertainty,
        path=_path(options.get("callback_url")),
        probes=options.get("probes") or [],
        synthetic_users=[str(user) for user in options.get("synthetic_users") or [] if user],
        secrets=[options.get(name) for name in ("callback_key", "livekit_api_key", "livekit_api_secret")],
    )


def _path(url: object) -> str:
    """Return the path of the callback's URL; empty of what is no URL, which the layer callback tells of."""
    try:
        return urlsplit(str(url or "")).path.rstrip("/")
    except ValueError:
        return ""


def _host_signals(
    asked: Future[systemd.Shown], options: Mapping[str, Any], frame: Frame, deadline: float
) -> dict[str, Any]:
    """Derive what the host tells once systemd was C(asked) for the unit."""
    unit = asked.result().properties
    return {
        **service_host.port_signals(options.get("service_port"), unit, frame.path, deadline),
        **service_host.sudo_signals(frame.unit, deadline),
        **service_files.environment_signals(
            unit,
            [str(name) for name in options.get("service_required_env") or []],
            systemd.moment(unit, "ActiveEnterTimestamp"),
            frame.offset,
        ),
        **service_files.frontend_signals(unit, frame.offset, deadline),
    }


def _unit_signals(shown: systemd.Shown, frame: Frame, tried: tuple[float, float]) -> dict[str, Any]:
    """Derive what systemd knows; C(tried) is when the user did, and how precise that is, in seconds."""
    unit = shown.properties
    started = systemd.moment(unit, "ActiveEnterTimestamp")
    at, around = tried[0] + frame.offset, max(tried[1], frame.uncertainty)
    up = {systemd.was_up(unit, moment, moment) for moment in (at - around, at + around)}
    restarts = unit.get("NRestarts", "")
    return {
        "systemd": bool(unit),
        "unit_found": unit["LoadState"] != "not-found" if unit else None,
        "load_state": unit.get("LoadState"),
        "active_state": unit.get("ActiveState"),
        "sub_state": unit.get("SubState"),
        "result": unit.get("Result"),
        "active": systemd.is_active(unit),
        "restarts": int(restarts) if re.fullmatch(r"\d{1,9}", restarts, re.ASCII) else None,
        "started_at": None if started is None else rfc3339(started - frame.offset),
        "up_before_attempt": up.pop() if len(up) == 1 else None,
        "up_through_attempt": systemd.was_up(unit, frame.start + frame.offset, frame.end + frame.offset),
    }


def _journal_signals(logs: Logs, frame: Frame, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    readings = (logs.window.readable, logs.oldest.readable, logs.control.readable)
    readable = False if False in readings else logs.window.readable
    oldest = logs.oldest.items[0] - frame.offset if logs.oldest.items else None
    derived = summarise(entries, (frame.start, frame.end), frame.probes, frame.synthetic_users)
    if not (logs.window.complete and readable) and not derived["callbacks"]:
        derived["callbacks"] = None
    control = logs.control.items[0]["at"] if logs.control.items else None
    return {
        "journal_readable": readable,
        # Who may not read the system's journal is shown their own.
        "journal_oldest": rfc3339(oldest) if readable is not False and oldest is not None else None,
        "journal_covers": oldest < frame.start if readable and oldest is not None else None,
        "suppressed": sum(logs.suppressed.items) if logs.suppressed.complete else None,
        "entries_seen": len(entries),
        **derived,
        "control_heard": True if control else False if readable and logs.control.complete else None,
        "control_at": control,
    }


def silence_counts(signals: Mapping[str, Any]) -> bool | None:
    """Say whether the absence of a callback in the log proves that none came: True, or else None."""
    heard = all(
        signals[name] is True for name in ("journal_readable", "journal_covers", "up_through_attempt", "control_heard")
    )
    known = all(signals[name] is not None for name in ("callbacks", "local_time_offset_ms"))
    return True if heard and known and signals["suppressed"] == 0 else None


def _crash_looping(signals: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> bool | None:
    if sum(1 for item in entries if logline.is_restart(item["text"])) >= _CRASH_LOOP:
        return True
    if signals["active"] is False and any(logline.is_given_up(item["text"]) for item in entries):
        return True
    if signals["sub_state"] is None:
        return None
    return str(signals["sub_state"]).startswith("auto-restart") or signals["result"] == "start-limit-hit"


def _disk_full(entries: Sequence[Mapping[str, Any]], frame: Frame, full: Sequence[str] | None) -> bool | None:
    span_ = frame.start, frame.end
    if any(logline.is_disk_full(item["text"]) and in_span(item, span_) and not item["self"] for item in entries):
        return True
    return None if full is None else any(path != service_disk.SCRATCH for path in full)


def _state(signals: Mapping[str, Any]) -> str:
    if signals["active"] is False and signals["unit_found"]:
        return "faulty"
    if signals["crash_looping"] or signals["disk_full"] or signals["codes"]:
        return "faulty"
    return "healthy" if signals["active"] and signals["journal_readable"] else "unknown"


def _summary(unit: str, signals: Mapping[str, Any], shown: systemd.Shown) -> str:
    if signals["unit_found"] is None:
        return f"{unit}: {shown.why}"
    if not signals["unit_found"]:
        return f"{unit}: systemd knows no such unit"
    parts = [f"{unit} is {signals['active_state']} ({signals['sub_state']})"]
    if signals["callbacks"] is not None:
        parts.append(f"{signals['callbacks']} callbacks logged in the attempt")
        if not signals["callbacks"]:
            parts.append("and silence counts" if signals["silence_counts"] else "but silence proves nothing here")
    if signals["codes"]:
        parts.append("errors: " + ", ".join(signals["codes"][:5]))
    return ", ".join(parts)


def _events(unit: str, signals: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    events = [event(signals["started_at"], f"{unit} became active")] if signals["started_at"] else []
    if signals["control_at"]:
        events.append(event(signals["control_at"], "the last successful callback before the attempt was logged"))
    shown = [event(item["at"], f"logged: {clip(item['text'], 160)}", ours=item["self"]) for item in entries]
    return events + shown[:_MOST_EVENTS]


def _limits(signals: Mapping[str, Any], logs: Logs, shown: systemd.Shown) -> list[str]:
    """List why silence would prove nothing, and what else could not be known."""
    limits = [redact(shown.why)] if shown.why else []
    if signals["local_time_offset_ms"] is None:
        limits.append("this host's clock could not be read, so nobody knows how far its times are off")
    if signals["unit_found"] is False:
        limits.append("systemd knows no such unit: a journal that is silent about it says nothing")
    whys = (logs.window.why, logs.oldest.why, logs.suppressed.why, "" if logs.control.items else logs.control.why)
    limits += [f"journal: {why}" for why in dict.fromkeys(whys) if why]
    if signals["journal_covers"] is False:
        limits.append(f"the journal starts at {signals['journal_oldest']}, after the attempt began")
    if signals["up_through_attempt"] is False:
        limits.append("the service was not up all through the attempt")
    if signals["suppressed"]:
        limits.append(f"journald dropped {signals['suppressed']} messages of the unit")
    if signals["control_heard"] is False:
        limits.append("no earlier successful callback was logged, so a callback may leave no line at all")
    elif signals["control_at"] and str(signals["started_at"]) > signals["control_at"]:
        limits.append("the last successful callback was logged before the service was last started")
    return limits
