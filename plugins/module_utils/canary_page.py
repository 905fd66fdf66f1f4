# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the canary's last 30 days from its history: each day of each layer, each outage, and how long agents took.

Places in drawings are percent from the left and pixels from the top; times are seconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.canary import (
    LAYERS,
    RUN_STATES,
    Settings,
    State,
    why,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.report import page
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clock, plain
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import QUESTIONS
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

DAYS = 30
DAY_S = 86400.0
# A person's browser gives up after this long, by LiveKit's default.
PATIENCE_S = 20.0
# Of a history whose clock was ahead: so much may lie after now.
_AHEAD_S = 60.0
_STRIP, _ROW = 40.0, 14.0
_PLOT, _TOP, _LEAST_SPAN_S = 150.0, 12.0, 30.0
_MOST_OUTAGES = 20
_KINDS = {"healthy": "good", "fault": "bad", "faulty": "bad", "inconclusive": "unsure", "unknown": "unsure"}
_ORDER = ("good", "unsure", "bad")
_NO_AGENT = "No agent joins a voice session"
_TITLES = {
    "healthy": "A voice session gets its agent",
    "fault": "Something that a voice session needs is faulty",
    "inconclusive": "Whether a voice session gets its agent is not known",
}

Entry = dict[str, Any]


def html(agent: str, entries: list[Entry], damaged: int, state: State, settings: Settings, now: float) -> str:
    """Return the status page after a run; C(entries) are the history's, that run last."""
    return page("status.html.j2", view(agent, entries, damaged, state, settings, now))


def view(
    agent: str, entries: list[Entry], damaged: int, state: State, settings: Settings, now: float
) -> dict[str, Any]:
    """Return what the page shows, as plain data."""
    since = (now // DAY_S + 1 - DAYS) * DAY_S
    timed = [{**entry, "time": parse_time(entry["at"])} for entry in entries]
    recent = sorted(
        (entry for entry in timed if since <= entry["time"] <= now + _AHEAD_S), key=lambda entry: entry["time"]
    )
    runs = [entry for entry in recent if "opened" not in entry]
    last = runs[-1]
    return {
        "agent": plain(agent),
        "now": now,
        "state": last["state"],
        "headline": _NO_AGENT if "dispatch" in state["failing"] else _TITLES[last["state"]],
        "because": [plain(text) for text in why(state, last, settings, now)],
        "layers": [(layer, _asked(layer, last)) for layer in LAYERS if layer in last["layers"] or layer == "dispatch"],
        "questions": {**QUESTIONS, "client": "LiveKit answers, and takes our key?"},
        "test": state["test"],
        "joined": state["joined"],
        "incident": state["incident"],
        "failures": state["failures"],
        "failing_since": state["since"],
        "strips": _strips(runs, since),
        "counts": {name: sum(entry["state"] == name for entry in runs) for name in RUN_STATES},
        "outages": _outages(recent)[::-1][:_MOST_OUTAGES],
        "joins": _joins(runs, since),
        "cost": _cost(runs),
        "settings": settings,
        "patience": PATIENCE_S,
        "since": since,
        "damaged": damaged,
        "left_out": len(entries) - len(recent),
    }


def _asked(layer: str, entry: Entry) -> str:
    return str(entry["layers"].get(layer) or "not asked")


def _strips(runs: list[Entry], since: float) -> list[dict[str, Any]]:
    """Return a strip for the runs as a whole, and one for each layer that was ever asked.

    Each has C(name), C(height), C(days) and C(said), what it shows in words; a day has C(x) and C(width), C(title) and
    C(parts), its bars from the bottom: C(kind), C(y), C(height).
    """
    strips = [_strip("all", [(entry["time"], entry["state"]) for entry in runs], since, _STRIP)]
    for layer in LAYERS:
        asked = [(entry["time"], entry["layers"][layer]) for entry in runs if layer in entry["layers"]]
        if asked:
            strips.append(_strip(layer, asked, since, _ROW))
    return strips


def _strip(name: str, seen: list[tuple[float, str]], since: float, height: float) -> dict[str, Any]:
    days = [Counter(_KINDS[state] for time, state in seen if _day(time, since) == day) for day in range(DAYS)]
    bad, unsure = (sum(day[kind] > 0 for day in days) for kind in ("bad", "unsure"))
    watched = sum(bool(day) for day in days)
    said = f"{watched} days watched, {bad} of them with a fault, {unsure} with something unknown"
    drawn = [_drawn(number, day, since, height) for number, day in enumerate(days)]
    return {"name": name, "height": height, "days": drawn, "said": said}


def _drawn(number: int, day: Counter[str], since: float, height: float) -> dict[str, Any]:
    total, top, parts = sum(day.values()), height, []
    for kind in _ORDER:
        if day[kind]:
            # A single bad run of a day must still be seen.
            tall = max(day[kind] / total * height, 3.0)
            top -= tall
            parts.append({"kind": kind, "y": round(max(top, 0.0), 1), "height": round(tall, 1)})
    words = {"good": "well", "unsure": "unknown", "bad": "faulty"}
    told = ", ".join(f"{day[kind]} {words[kind]}" for kind in _ORDER if day[kind]) or "not watched"
    date = clock(since + number * DAY_S, date=True)[:10]
    return {"x": _percent(number / DAYS), "width": _percent(0.82 / DAYS), "title": f"{date}: {told}", "parts": parts}


def _day(time: float, since: float) -> int:
    return min(int((time - since) // DAY_S), DAYS - 1)


def _outages(recent: list[Entry]) -> list[dict[str, Any]]:
    """Return the stretches of runs that found a fault, oldest first; C(until) is None for one that lasts.

    An outage ends with the run that found it over, so it may have been over for up to the time between two runs.
    """
    outages: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    for entry in recent:
        if "opened" in entry:
            if outages:
                outages[-1]["incident"] = plain(entry["opened"], 100)
        elif entry["state"] == "fault":
            if current is None:
                current = {
                    "since": entry["time"],
                    "until": None,
                    "runs": 0,
                    "layers": [],
                    "because": [],
                    "incident": "",
                }
                outages.append(current)
            current["runs"] += 1
            for layer, state in entry["layers"].items():
                if state == "faulty" and layer not in current["layers"]:
                    current["layers"].append(layer)
                    current["because"].append(plain(entry["because"].get(layer, ""), 200))
        elif current is not None:
            current["until"] = entry["time"]
            current = None
    for outage in outages:
        outage["lasted"] = _lasted(outage)
    return outages


def _lasted(outage: Mapping[str, Any]) -> str:
    if outage["until"] is None:
        return "lasts"
    minutes = round((outage["until"] - outage["since"]) / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) or "under 1 min"


def _joins(runs: list[Entry], since: float) -> dict[str, Any] | None:
    """Return how long agents took to join our probes, as a drawing and in figures; None if there was no probe."""
    probes = [entry for entry in runs if entry["test"] and entry["test"].get("source") == "probe"]
    joined = [entry for entry in probes if entry["test"].get("joined_after_s") is not None]
    if not probes:
        return None
    longest = max([_LEAST_SPAN_S, *(float(entry["test"]["joined_after_s"]) for entry in joined)])

    def place(seconds: float) -> float:
        return round(_TOP + (1 - seconds / longest) * (_PLOT - _TOP), 1)

    marks = []
    for entry in probes:
        seconds, start = entry["test"].get("joined_after_s"), entry["test"].get("start")
        told = f"joined after {seconds:.1f} s{f', {start} start' if start else ''}" if seconds is not None else None
        ended = {"failed": "no agent joined", "unknown": "it is not known whether one joined"}
        marks.append(
            {
                "x": _percent((entry["time"] - since) / (DAYS * DAY_S)),
                "y": place(seconds) if seconds is not None else _TOP,
                "kind": (start or "warm") if seconds is not None else entry["test"]["outcome"],
                "title": f"{clock(entry['time'], date=True)} {told or ended.get(entry['test']['outcome'], '')}",
            }
        )
    step = next(step for step in (10, 20, 30, 60, 600) if longest / step <= 5)
    return {
        "height": _PLOT,
        "marks": marks,
        "ticks": [{"y": place(value), "label": f"{value} s"} for value in range(0, int(longest) + 1, step)],
        "patience_y": place(PATIENCE_S),
        "figures": [_figures(start, joined) for start in ("cold", "warm", None)],
        "failed": sum(entry["test"]["outcome"] == "failed" for entry in probes),
    }


def _figures(start: str | None, joined: list[Entry]) -> dict[str, Any]:
    """Return how many probes found the agent so, and their middle and longest times in seconds."""
    times = sorted(entry["test"]["joined_after_s"] for entry in joined if entry["test"].get("start") == start)
    return {
        "start": start or "not known",
        "count": len(times),
        "middle": times[len(times) // 2] if times else None,
        "longest": times[-1] if times else None,
        "late": sum(time > PATIENCE_S for time in times),
    }


def _cost(runs: list[Entry]) -> dict[str, int]:
    """Return how many probes were made, and the agent minutes that they cost."""
    tests = [entry["test"] for entry in runs if entry["test"] and entry["test"].get("source") == "probe"]
    return {"probes": len(tests), "minutes": sum(int(test.get("agent_minutes") or 0) for test in tests)}


def _percent(part: float) -> float:
    return round(min(max(part, 0.0), 1.0) * 100, 3)
