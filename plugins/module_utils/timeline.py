# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the user tried: reads moments and durations as people write them, and says which time can be the attempt's.

Two stretches of time matter: the I(window) is where to look, the I(span) is where a call of the agent can be part of
this attempt. Nothing after the run's start is in either: from then on, calls may be our own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

UTC = datetime.timezone.utc
DEFAULT_WINDOW_S = 600.0
LONGEST_WINDOW_S = 7 * 86400.0
# An agent calls back within seconds of its dispatch; a cold start takes up to 25 s, and a patient user tries twice.
AFTERMATH_S = 120.0
# A person who reads a clock to the second, and a server's whole seconds, are no better than this.
FINEST_PRECISION_S = 5.0
# How far a clock may be off that nobody measured: as far as LiveKit takes the tokens of a host that makes some.
UNMEASURED_CLOCK_S = 60.0
# What a probe causes on another host shows up a little before or after its window here.
PROBE_SLACK_S = 1.0
# What two witnesses tell within this time of each other, such as the journal and the inspector, is one call.
SAME_CALL_S = 2.0

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(?:([Zz])|([+-])(\d\d):?(\d\d)?)",
    re.ASCII,
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)

_AT_EXPECTED = "voiceops_attempt_at: expected ISO 8601 with a zone, HH:MM, or 'now', in the past"
_WINDOW_EXPECTED = "voiceops_window: expected a duration such as 10m, 90s or 1h30m, at most 168h"


def rfc3339(epoch: float) -> str:
    """Write C(epoch), seconds since 1970, as RFC 3339 in UTC with milliseconds.

    Raises ValueError, OverflowError or OSError outside of the years 1 to 9999.
    """
    moment = datetime.datetime.fromtimestamp(round(epoch, 3), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_time(text: object) -> float | None:
    """Read ISO 8601 with a zone, to the nanosecond at most, as seconds since 1970; None if C(text) is anything else."""
    match = _ISO.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    east = datetime.timedelta(hours=int(match[10] or 0), minutes=int(match[11] or 0))
    try:
        zone = datetime.timezone(-east if match[9] == "-" else east)
        whole = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
    return whole + float(f"0.{match[7] or 0}")


def parse_duration(text: object) -> float | None:
    """Read C(10m), C(90s), C(1h30m) as seconds; None if C(text) is anything else."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def latest_clock_time(hour: int, minute: int, second: int, now: float) -> float | None:
    """Find the latest moment not after C(now) at which this host's local clock showed the time; None if there is none.

    An hour that daylight saving repeats counts twice, one that it skips not at all.
    """
    today = datetime.datetime.fromtimestamp(now).date()
    moments = []
    for days_ago in range(3):
        for fold in (0, 1):
            try:
                clock = datetime.time(hour, minute, second, fold=fold)
            except ValueError:
                return None
            moment = datetime.datetime.combine(today - datetime.timedelta(days_ago), clock).timestamp()
            # Python gives a skipped hour a moment, too: one at which the clock showed another time.
            if moment <= now and datetime.datetime.fromtimestamp(moment).time() == clock.replace(fold=0):
                moments.append(moment)
    return max(moments, default=None)


def parse_attempt_at(text: str, now: float) -> tuple[float, float] | None:
    """Read a given moment as (seconds since 1970, precision in seconds); None if it is none, or after C(now)."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        moment = latest_clock_time(int(clock[1]), int(clock[2]), int(clock[3] or 0), now)
        return None if moment is None else (moment, FINEST_PRECISION_S if clock[3] else 60.0)
    moment = parse_time(text)
    if moment is None or not 0 <= moment <= now:
        return None
    has_seconds = text[len("YYYY-MM-DDThh:mm") :].startswith(":")
    return moment, FINEST_PRECISION_S if has_seconds else 60.0


def resolve_attempt(at: object, window: object, waiting_since: object, now: float) -> tuple[dict[str, Any], list[str]]:
    """Say when the user tried, and what was wrong with the options.

    C(at) and C(window) are the options as given, C(waiting_since) is RFC 3339 since when a person waits in a room; each
    may be None or empty. C(now) is the run's start, seconds since 1970. The attempt has C(at), C(since) and C(until)
    (RFC 3339, the controller's clock), C(source) (given, waiting_session or now) and C(precision_s). A malformed C(at)
    counts as not given. Never raises.
    """
    problems = []
    text = _text(at)
    given = None
    if text and text.lower() != "now":
        given = parse_attempt_at(text, now)
        if given is None:
            quoted = " (in YAML, HH:MM needs quotes)" if text.isdigit() else ""
            problems.append(f"{_AT_EXPECTED}, got {text[:80]!r}{quoted}")
    around = DEFAULT_WINDOW_S
    if _text(window):
        seconds = parse_duration(_text(window))
        if seconds is not None and 0 < seconds <= LONGEST_WINDOW_S:
            around = seconds
        else:
            problems.append(f"{_WINDOW_EXPECTED}, got {_text(window)[:80]!r}")
    waiting = parse_time(waiting_since)
    if given:
        moment, precision, source = given[0], given[1], "given"
    elif text.lower() != "now" and waiting is not None and 0 <= waiting <= now:
        moment, precision, source = waiting, FINEST_PRECISION_S, "waiting_session"
    else:
        moment, precision, source = now, 0.0, "now"
    attempt = {
        "at": rfc3339(moment),
        "source": source,
        "since": rfc3339(max(0.0, moment - around)),
        "until": rfc3339(min(moment + around, now)),
        "precision_s": precision,
    }
    return attempt, problems


def window(attempt: Mapping[str, Any] | None, run_start: float) -> tuple[float, float]:
    """Give the window of an attempt in seconds since 1970; without an attempt, that of one at the run's start."""
    since, until = (parse_time((attempt or {}).get(name)) for name in ("since", "until"))
    if since is None or until is None:
        return run_start - DEFAULT_WINDOW_S, run_start
    return since, min(until, run_start)


def span(attempt: Mapping[str, Any] | None, run_start: float, uncertainty: float = 0.0) -> tuple[float, float]:
    """Give the span in which a call can be this attempt's, in seconds since 1970 on the controller's clock.

    C(uncertainty) is that of the clock that the calls are read by, in seconds. The span of an attempt that goes on (a
    waiting session, or now) ends at the run's start, and so does every other at the latest.
    """
    source = (attempt or {}).get("source", "now")
    if source == "now":
        return window(attempt, run_start)[0], run_start
    moment, precision = attempt_moment(attempt, run_start)
    start = moment - max(precision, FINEST_PRECISION_S) - uncertainty
    return start, run_start if source == "waiting_session" else min(moment + AFTERMATH_S, run_start)


def attempt_moment(attempt: Mapping[str, Any] | None, run_start: float) -> tuple[float, float]:
    """Give when the user tried, in seconds since 1970, and how precise that is, in seconds; else the run's start."""
    moment = parse_time((attempt or {}).get("at"))
    if attempt is None or moment is None:
        return run_start, 0.0
    return moment, float(attempt.get("precision_s") or 0)


def host_clock(options: Mapping[str, Any]) -> tuple[float, float]:
    """Give the host's clock minus the controller's, and how far off that may be, both in seconds.

    The option C(clock) has it in milliseconds, as C(offset_ms) and C(uncertainty_ms); None where nobody measured it.
    """
    clock = options.get("clock")
    return (clock["offset_ms"] / 1000, clock["uncertainty_ms"] / 1000) if clock else (0.0, UNMEASURED_CLOCK_S)


def in_windows(moment: float, windows: Iterable[Mapping[str, Any]], slack: float = PROBE_SLACK_S) -> bool:
    """Say whether C(moment), in seconds, lies in one of C([{since, until}]), RFC 3339, or within C(slack) of it."""
    for each in windows:
        since, until = parse_time(each.get("since")), parse_time(each.get("until"))
        if since is not None and until is not None and since - slack <= moment <= until + slack:
            return True
    return False


def may_be_ours(moment: float, status: int | None, probes: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a call at C(moment), in seconds, that was answered with C(status) can be one of our own C(probes).

    They are windows as for L(in_windows), with the C(status) that we got. Who got another answer than each of our calls
    near it is somebody else, if ours were all refused: an edge may answer 5xx where the API answered otherwise.
    """
    near = [each.get("status") for each in probes if in_windows(moment, [each])]
    refused = all(got in range(400, 500) for got in near)
    return bool(near) and not (refused and status is not None and status not in near)


def _text(option: object) -> str:
    return "" if option is None else str(option).strip()
