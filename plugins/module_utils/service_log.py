# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's journal tells of one attempt: which lines are calls of the agent, which errors, which ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import journal, logline
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    SAME_CALL_S,
    may_be_ours,
    parse_time,
    rfc3339,
)

TEXT_LIMIT = 300
ENTRIES_LIMIT = 200
_CONTROL_REACH_S = 30 * 86400.0
# The User-Agent of our own calls, and the header that they have beside it.
_OUR_MARK = re.compile(r"voiceops\.livekit/|\bx[-_]probe[-_]id\b", re.I)
# The lines of one error are logged within this time of each other.
_ONE_ERROR_S = 1.0
# A probe with a wrong key is followed by one with the right key and an invalid body within this time.
_ONE_PROBE_S = 2.0
_STRANGERS = (
    "A refused key and an invalid body at once look like the probe of another controller: they do not count as calls of"
    " the agent."
)
_OF_TOOLS = "The calls of {} in the attempt's span do not count as the agent's."


class Frame(NamedTuple):
    """What to look for, and where. Times are seconds since 1970 on the controller's clock."""

    unit: str
    pattern: str
    """A regular expression that matches a line which is a callback."""
    since: float
    until: float
    start: float
    """The attempt's span is from here to C(end), the window around it from C(since) to C(until)."""
    end: float
    offset: float
    """The host's clock minus the controller's, in seconds."""
    uncertainty: float = 0.0
    """How far that may be off."""
    path: str = ""
    """The callback's path; a line that names a request is a callback only if it is a POST to it."""
    probes: Sequence[Mapping[str, Any]] = ()
    synthetic_users: Sequence[str] = ()
    secrets: Sequence[object] = ()


class Logs(NamedTuple):
    """What was read: the window's entries and the control's (see L(understand)), and what else decides on silence."""

    window: journal.Reading[dict[str, Any]]
    control: journal.Reading[dict[str, Any]]
    oldest: journal.Reading[float]
    suppressed: journal.Reading[int]


def read_logs(frame: Frame, deadline: float) -> Logs:
    """Read the journal's parts at the same time, each until C(deadline), an absolute C(time.monotonic())."""
    greps = journal.can_grep(deadline)
    window = frame.since + frame.offset, frame.until + frame.offset
    with ThreadPoolExecutor(max_workers=3) as pool:
        oldest = pool.submit(journal.oldest, deadline)
        suppressed = pool.submit(journal.suppressed, frame.unit, *window, deadline)
        control = pool.submit(_read_control, frame, greps, deadline)
        return Logs(_read_window(frame, greps, deadline), control.result(), oldest.result(), suppressed.result())


def _read_window(frame: Frame, greps: bool, deadline: float) -> journal.Reading[dict[str, Any]]:
    """Read the span first, since it decides, then what is around it. Complete means that the span's callbacks are."""
    # A line that names a synthetic user tells whose the error beside it is.
    synthetic = [re.escape(user) for user in frame.synthetic_users if user]
    wanted = "|".join([f"(?:{frame.pattern})", logline.PREFILTER, *synthetic])

    def part(pattern: str, since: float, until: float) -> journal.Reading[dict[str, Any]]:
        query = journal.Query(frame.unit, since + frame.offset, until + frame.offset, pattern)
        return journal.read(query, lambda entry: _kept(entry, frame), greps=greps, deadline=deadline)

    span = part(wanted, frame.start, frame.end)
    parts = [span]
    if not span.complete:
        # A flood of errors must not hide the callbacks.
        calls = part(frame.pattern, frame.start, frame.end)
        span.items = [item for item in span.items if not item["callback"]] + calls.items
        span.complete = calls.complete
    parts += [part(wanted, frame.since, frame.start - 1e-6), part(wanted, frame.end + 1e-6, frame.until)]
    return journal.Reading(
        joined(sorted((item for each in parts for item in each.items), key=lambda item: str(item["at"]))),
        complete=span.complete,
        readable=False if any(each.readable is False for each in parts) else span.readable,
        why=next((each.why for each in parts if each.why), ""),
    )


def _kept(entry: journal.Entry, frame: Frame) -> dict[str, Any] | None:
    """Make of an entry what is kept of it, also of one that only tells how a request ended (see L(joined))."""
    status, request = logline.status(entry.text), logline.request_id(entry.text)
    item = understand(entry, frame)
    if item is None and status is not None and request:
        return {"at": rfc3339(entry.at - frame.offset), "status": status, "ends": request}
    return item if item is None or not request else {**item, "ends" if status else "begins": request}


def joined(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give callbacks without a status that of the line which ends the same request, as its id tells."""
    begun: dict[str, dict[str, Any]] = {}
    kept = []
    for item in items:
        if item.get("begins") and item["callback"]:
            begun[item["begins"]] = item
        call = begun.pop(item.get("ends", ""), None)
        if call:
            call["status"] = item["status"]
            call["codes"] += [f"HTTP_{item['status']}"] if item["status"] >= 400 else []
        if "text" in item:
            kept.append(item)
    for item in kept:
        item.pop("begins", None)
        item.pop("ends", None)
    return kept


def _read_control(frame: Frame, greps: bool, deadline: float) -> journal.Reading[dict[str, Any]]:
    """Find the latest successful callback before the span: the proof that a callback leaves a line."""
    until = frame.start + frame.offset
    query = journal.Query(frame.unit, until - _CONTROL_REACH_S, until, frame.pattern, newest_first=True)

    def success(entry: journal.Entry) -> dict[str, Any] | None:
        item = understand(entry, frame)
        if item is None or not _is_success(item, entry.text):
            return None
        return None if _is_ours(item, frame.probes, frame.synthetic_users) else item

    return journal.read(query, success, greps=greps, deadline=deadline, limit=1)


def understand(entry: journal.Entry, frame: Frame) -> dict[str, Any] | None:
    """Make of a journal entry what is kept of it, or None if it tells neither of a callback nor of an error, nor
    names a synthetic user.

    That is C({at, text, priority, codes, callback, status, user, tool, self}): C(at) is RFC 3339 on the controller's
    clock, C(text) redacted and at most 300 characters, C(user) the first UUID in it, or that of a synthetic user,
    C(tool) what made a callback that no agent makes, such as curl. C(callback) is None if a call failed there, which
    may have left no line of its own.
    """
    text = entry.text
    callback = _is_callback(text, frame)
    codes, status, probe = logline.codes(text), logline.status(text), _OUR_MARK.search(text) is not None
    if status is not None and status >= (400 if callback else 500):
        codes.append(f"HTTP_{status}")
    synthetic = next((user for user in frame.synthetic_users if user and user.lower() in text.lower()), None)
    of_systemd = logline.is_restart(text) or logline.is_given_up(text)
    told = codes or synthetic or of_systemd or logline.is_error(text, entry.priority)
    if callback is False and not told:
        return None
    item = {
        "at": rfc3339(entry.at - frame.offset),
        "text": clip(redact(text, frame.secrets), TEXT_LIMIT),
        "priority": entry.priority,
        "codes": codes,
        "callback": callback,
        "status": status,
        # Of the users whom a probe of ours names, none is a real one.
        "user": synthetic or (None if probe else logline.user(text)),
        "tool": logline.tool(logline.user_agent(text)) if callback else "",
        "self": probe,
    }
    return {**item, "self": _is_ours(item, frame.probes, frame.synthetic_users)}


def _is_callback(text: str, frame: Frame) -> bool | None:
    """Say whether a line is a call; None if it is where in the callback's own route an error was."""
    if logline.is_stack_frame(text):
        return None if frame.path and f"{frame.path}/" in text else False
    if re.search(frame.pattern, text) is None:
        return False
    method, path = logline.request_of(text)
    if not frame.path:
        return True
    if not method:
        # A pattern of the path's own words, such as internal, is to be found in the path, not in any text.
        return not re.search(frame.pattern, frame.path) or "/".join(frame.path.split("/")[-2:]) in text
    # What stands between the tunnel and the app may take off, or put on, the beginning of the path.
    return method == "POST" and (path.endswith(frame.path) or frame.path.endswith(path))


def _is_success(item: Mapping[str, Any], text: str) -> bool:
    """Say whether a line shows a callback that went well; without a status, it must name the request or its user."""
    if not item["callback"]:
        return False
    if item["status"] is not None:
        return bool(200 <= item["status"] < 300)
    says_what = logline.names_request(text) or bool(item["user"])
    return says_what and not item["codes"] and not logline.is_error(text, item["priority"])


def _is_ours(item: Mapping[str, Any], probes: Iterable[Mapping[str, Any]], synthetic_users: Iterable[str]) -> bool:
    at = parse_time(item["at"])
    synthetic = {user.lower() for user in synthetic_users}
    named = str(item["user"]).lower() in synthetic
    return bool(item["self"] or named or (at is not None and may_be_ours(at, item["status"], probes)))


def mark(
    entries: Iterable[Mapping[str, Any]], probes: Sequence[Mapping[str, Any]], synthetic_users: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the entries with C(self) true of those that our probes or synthetic users caused; once true, it stays.

    A service that prints an error over several lines makes an entry of each, and names the user in one of them: the
    errors within a second of a synthetic user are theirs, unless another user is named there too.
    """
    marked = [{**item, "self": _is_ours(item, probes, synthetic_users)} for item in entries]
    synthetic = {user.lower() for user in synthetic_users}
    named = [(parse_time(item["at"]), str(item["user"]).lower() in synthetic) for item in marked if item["user"]]
    ours = [at for at, is_synthetic in named if is_synthetic]
    others = [at for at, is_synthetic in named if not is_synthetic]
    for item in marked:
        if _is_error_line(item) and _near(item, ours, _ONE_ERROR_S) and not _near(item, others, _ONE_ERROR_S):
            item["self"] = True
    return marked


def _is_error_line(item: Mapping[str, Any]) -> bool:
    """Say whether a line without a user may belong to another one's error; a refused call (4xx) is one of its own."""
    return not item["user"] and (
        item["callback"] is None or any(not code.startswith("HTTP_4") for code in item["codes"])
    )


def _near(item: Mapping[str, Any], times: Iterable[float | None], seconds: float) -> bool:
    at = parse_time(item["at"])
    return at is not None and any(time is not None and abs(at - time) <= seconds for time in times)


def recount(
    record: Record, span: tuple[float, float], probes: Sequence[Mapping[str, Any]], synthetic_users: Sequence[str]
) -> Record:
    """Return the record of the service, in which is counted again what is the user's, now that all probes are known.

    C(span) and C(probes) are as in L(summarise).
    """
    entries = mark(record.get("entries") or [], probes, synthetic_users)
    signals, limits = dict(record["signals"]), record.get("limits") or []
    if signals.get("callbacks") is not None and len(entries) == signals.get("entries_seen"):
        strangers = like_a_probe(entries, span)
        signals.update(summarise([each for each in entries if each not in strangers], span, probes, synthetic_users))
        if strangers:
            limits = [*limits, _STRANGERS]
            # Whether they were the agent's is unknown, and so is whether it called.
            signals["callbacks"] = signals["callbacks"] or None
        tools = ", ".join(dict.fromkeys(item["tool"] for item in entries if item.get("tool") and in_span(item, span)))
        limits = [*limits, _OF_TOOLS.format(tools)] if tools else limits
    return {**record, "signals": signals, "entries": entries, "limits": limits}


def by_tools(record: Record, calls: Iterable[Mapping[str, Any]]) -> Record:
    """Return the record of the service with C(tool) at the entries of the calls that another witness saw tools make.

    C(calls) are those of ngrok's inspector, C([{at, tool, status}]). Where the journal has more than that one call
    near, only the call itself is the tool's, and only if its status is told.
    """
    entries = [dict(item) for item in record.get("entries") or []]
    for call in calls:
        at = [parse_time(call["at"])]
        near = [item for item in entries if not is_no_users(item) and _near(item, at, SAME_CALL_S)]
        answered = [item for item in near if item["callback"] and item["status"] is not None]
        its = [item for item in answered if item["status"] == call["status"]][:1]
        for item in near if answered == its else its:
            item["tool"] = call["tool"]
    return {**record, "entries": entries}


def like_a_probe(entries: Iterable[Mapping[str, Any]], span: tuple[float, float]) -> list[Mapping[str, Any]]:
    """Return the callbacks of the span that another run's probe would leave: a refused key, an invalid body at once.

    An agent does not make such a pair: whose key is refused, that one's body is not looked at.
    """
    calls = [item for item in entries if item["callback"] and not is_no_users(item) and in_span(item, span)]
    invalid = [item for item in calls if item["status"] == 400]
    pairs: list[Mapping[str, Any]] = []
    for refused in (item for item in calls if item["status"] in (401, 403)):
        at = parse_time(refused["at"]) or 0.0
        other = next((item for item in invalid if abs((parse_time(item["at"]) or 0.0) - at) <= _ONE_PROBE_S), None)
        if other is not None:
            invalid.remove(other)
            pairs += [refused, other]
    return pairs


def summarise(
    entries: Iterable[Mapping[str, Any]],
    span: tuple[float, float],
    probes: Sequence[Mapping[str, Any]],
    synthetic_users: Sequence[str],
) -> dict[str, Any]:
    """Derive from C(entries) the signals that depend on the span and the probes: counts, codes, the first error.

    C(span) is in seconds since 1970 on the clock of the entries' C(at); C(probes) are C([{since, until}]), RFC 3339.
    Callbacks are counted among these entries; whether none of them means anything is for the caller to know. None of
    them, and an error in the callback's own route, is None: what fails there may leave no line of a call.
    """
    marked = mark(entries, probes, synthetic_users)
    inside = [item for item in marked if not is_no_users(item) and in_span(item, span)]
    others = [item for item in marked if is_no_users(item) or not in_span(item, span)]
    callbacks = [item for item in inside if item["callback"]]
    failed_unheard = not callbacks and any(item["callback"] is None for item in inside)
    errors = [item["text"] for item in inside if item["codes"] or logline.is_error(item["text"], item["priority"])]
    return {
        "callbacks": None if failed_unheard else len(callbacks),
        "callback_statuses": [item["status"] for item in callbacks if item["status"] is not None],
        "codes": _unique(inside),
        "other_codes": _unique(others),
        "self_entries": sum(1 for item in marked if item["self"]),
        "first_error": errors[0] if errors else None,
    }


def is_no_users(item: Mapping[str, Any]) -> bool:
    """Say whether an entry is of our own doing, or of a tool's: whatever it tells, no user and no agent met it."""
    return bool(item["self"] or item.get("tool"))


def in_span(item: Mapping[str, Any], span: tuple[float, float]) -> bool:
    """Say whether an entry's time lies in C(span), seconds since 1970."""
    at = parse_time(item["at"])
    return at is not None and span[0] <= at <= span[1]


def most_telling(
    entries: Sequence[dict[str, Any]], span: tuple[float, float], limit: int = ENTRIES_LIMIT
) -> list[dict[str, Any]]:
    """Choose at most C(limit) entries, callbacks before errors and those in the span before others; in their order."""
    ranked = sorted(range(len(entries)), key=lambda i: (not in_span(entries[i], span), not entries[i]["callback"], i))
    return [entries[i] for i in sorted(ranked[:limit])]


def _unique(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(code for item in entries for code in item["codes"]))
