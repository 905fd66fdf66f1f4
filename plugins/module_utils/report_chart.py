# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays out the time line of an incident as a drawing: a true axis that runs down the page, with room for every label.

Lengths are CSS pixels, downwards from the top; times are seconds since 1970.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clock, plain
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import Incident
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, span

GAP = 34.0
MARGIN = 20.0
_LEAST_LENGTH = 420.0
# More labels than this help nobody; all events stay in incident.json and in the list below the drawing.
_MOST_MARKS = 40
_SHORTEST = 60.0
_TOO_CLOSE = 13.0
_COLUMNS = 4
_STEPS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)
_MOST_TICKS = 10
# Words, Prisma's and the system's error codes, and HTTP statuses.
_ERROR = re.compile(r"\b(?:error|fail\w*|crash\w*|refused|P\d{4}|(?-i:E[A-Z]{5,})|(?:HTTP_)?[45]\d\d)\b", re.I)


def chart(incident: Incident) -> dict[str, Any]:
    """Return the drawing as plain data, in the order of time.

    C(height); C(ticks) with C(y) and C(label); C(bands) (the window, the attempt's span, our run) with C(y), C(height),
    C(kind) and C(label); C(marks) with C(y) their true place, C(column) so that neighbours do not cover each other,
    C(label_y) and what they say; C(before) and C(after) the marks too far away for the axis; C(left_out) how many
    marks were too many.
    """
    marks = _merged(_marks(incident))
    since, until = _axis(incident, marks)
    inside = [mark for mark in marks if since <= mark["time"] <= until]
    kept = _nearest(inside, _epoch(incident["attempt"]["at"]))
    length = max(_LEAST_LENGTH, len(kept) * GAP)

    def place(time: float) -> float:
        return round(MARGIN + (time - since) / (until - since) * length, 1)

    for mark in kept:
        mark["y"] = place(mark["time"])
    _stagger(kept)
    _spread(kept)
    return {
        "height": max([MARGIN + length, *(mark["label_y"] for mark in kept)]) + MARGIN,
        "ticks": [{"y": place(time), "label": label} for time, label in _ticks(since, until)],
        "bands": _bands(incident, since, until, place),
        "marks": kept,
        "before": [mark for mark in marks if mark["time"] < since],
        "after": [mark for mark in marks if mark["time"] > until],
        "left_out": len(inside) - len(kept),
    }


def _axis(incident: Incident, marks: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the times that the axis spans: the window, and what happened within as long again on both sides."""
    since, until = _epoch(incident["attempt"]["since"]), _epoch(incident["attempt"]["until"])
    reach = max(until - since, _SHORTEST)
    times = [mark["time"] for mark in marks] + [_epoch(incident["finished_at"])]
    near = [time for time in times if since - reach <= time <= until + reach]
    first, last = min([since, *near]), max([until, *near])
    return first, max(last, first + _SHORTEST)


def _marks(incident: Incident) -> list[dict[str, Any]]:
    """Return what is to be drawn, in the order of time: the user's attempt, and every event of the time line."""
    attempt = incident["attempt"]
    what = "Now" if attempt["source"] == "now" else "The user's attempt"
    marks = [_mark(attempt["at"], "client", "", what, "attempt")]
    for entry in incident["timeline"]:
        kind = "ours" if entry["self"] else "error" if _ERROR.search(entry["what"]) else "event"
        marks.append(_mark(entry["at"], entry["layer"], entry["host"], entry["what"], kind))
    return sorted(marks, key=lambda mark: float(mark["time"]))


def _mark(at: str, layer: str, host: str, what: str, kind: str) -> dict[str, Any]:
    what = plain(what, 300)
    return {"at": at, "time": _epoch(at), "layer": layer, "host": host, "what": what, "kind": kind, "count": 1}


def _merged(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join runs of the same event into the first of them, with their number."""
    merged: list[dict[str, Any]] = []
    for mark in marks:
        if merged and all(mark[key] == merged[-1][key] for key in ("layer", "host", "what", "kind")):
            merged[-1]["count"] += 1
        else:
            merged.append(mark)
    return merged


def _nearest(marks: list[dict[str, Any]], at: float) -> list[dict[str, Any]]:
    """Return at most as many marks as can be read, those nearest to the attempt, in the order of time."""
    chosen = sorted(marks, key=lambda mark: (mark["kind"] != "attempt", abs(mark["time"] - at)))[:_MOST_MARKS]
    return sorted(chosen, key=lambda mark: float(mark["time"]))


def _stagger(marks: list[dict[str, Any]]) -> None:
    """Give marks that would cover each other columns of their own."""
    for number, mark in enumerate(marks):
        before = marks[number - 1] if number else None
        close = before is not None and mark["y"] - before["y"] < _TOO_CLOSE
        mark["column"] = (before["column"] + 1) % _COLUMNS if before and close else 0


def _spread(marks: list[dict[str, Any]]) -> None:
    """Place the labels as near to their marks as they can be without covering each other or leaving the top.

    Less its number of gaps, each label's place must not decrease: isotonic regression, by pooling adjacent violators.
    """
    pools: list[list[float]] = []
    for number, mark in enumerate(marks):
        pools.append([mark["y"] - number * GAP])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    places = [_mean(pool) for pool in pools for _member in pool]
    for number, (mark, place) in enumerate(zip(marks, places)):
        mark["label_y"] = round(max(place, MARGIN) + number * GAP, 1)


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def _bands(incident: Incident, since: float, until: float, place: Callable[[float], float]) -> list[dict[str, Any]]:
    attempt = incident["attempt"]
    spans = (
        ("window", "Window that was looked at", _epoch(attempt["since"]), _epoch(attempt["until"])),
        ("span", "A call of this attempt would be here", *span(incident["attempt"], _epoch(incident["started_at"]))),
        ("run", "Our own run", _epoch(incident["started_at"]), _epoch(incident["finished_at"])),
    )
    bands = []
    for kind, label, first, last in spans:
        top, end = place(min(max(first, since), until)), place(min(max(last, since), until))
        if first <= until and last >= since:
            bands.append({"kind": kind, "label": label, "y": top, "height": round(max(end - top, 2.0), 1)})
    return bands


def _ticks(since: float, until: float) -> list[tuple[float, str]]:
    """Return round times on the axis with what to write there, as exact as their distance asks for."""
    length = until - since
    step = next((step for step in _STEPS if length / step <= _MOST_TICKS), length / _MOST_TICKS)
    first = math.ceil(since / step) * step
    times = [first + number * step for number in range(int((until - first) // step) + 1)]
    return [(time, clock(time, seconds=step < 60, date=step >= 86400)) for time in times]


def _epoch(at: str) -> float:
    return parse_time(at) or 0.0
