# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawing of the time line: true to time, and readable however many events there are."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import report
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.report_chart import GAP, chart

FIXTURES = Path(__file__).parents[2] / "fixtures" / "incidents"
NAMES = ("dormant", "pi_unreachable", "healthy", "hostile")


def load(name: str, **changes: Any) -> dict[str, Any]:
    return assemble(**{**yaml.safe_load((FIXTURES / f"{name}.yml").read_text(encoding="utf-8")), **changes})


@pytest.mark.parametrize("name", NAMES)
def test_marks_stand_in_the_order_of_time_on_a_true_axis(name: str) -> None:
    drawing = chart(load(name))
    marks = drawing["marks"]
    assert [mark["time"] for mark in marks] == sorted(mark["time"] for mark in marks)
    first, last = marks[0], marks[-1]
    scale = (last["y"] - first["y"]) / (last["time"] - first["time"])
    for mark in marks:
        assert mark["y"] == pytest.approx(first["y"] + (mark["time"] - first["time"]) * scale, abs=0.2)
        assert 0 <= mark["y"] <= drawing["height"]
    ticks = [tick["y"] for tick in drawing["ticks"]]
    assert len(ticks) >= 2
    assert ticks == sorted(ticks)


def test_the_drawn_positions_are_those_of_the_layout() -> None:
    incident = load("dormant")
    drawn = re.findall(
        r'<g class="mark-\w+" data-at="([^"]+)" transform="translate\([\d.]+ ([\d.]+)\)"', report.html(incident)
    )
    assert drawn == [(mark["at"], str(mark["y"])) for mark in chart(incident)["marks"]]
    assert [float(y) for _at, y in drawn] == sorted(float(y) for _at, y in drawn)


def test_labels_never_cover_each_other_and_stay_inside() -> None:
    events = [
        {
            "at": f"2026-02-06T22:{minute:02}:30Z",
            "layer": "service",
            "host": "pi",
            "what": f"event {number}",
            "self": False,
        }
        for minute in (29, 39, 48)
        for number in range(8)
    ]
    drawing = chart(load("dormant", timeline=events))
    places = [mark["label_y"] for mark in drawing["marks"]]
    assert all(below - above >= GAP - 0.2 for above, below in itertools.pairwise(places))
    assert places[0] >= 0
    assert places[-1] + GAP / 2 <= drawing["height"]


def test_neighbours_are_drawn_side_by_side() -> None:
    at_22_39 = [mark["column"] for mark in chart(load("dormant"))["marks"] if mark["at"].startswith("2026-02-06T22:3")]
    assert at_22_39 == [0, 0, 1, 2]


def test_what_is_far_away_does_not_squeeze_the_axis() -> None:
    drawing = chart(load("dormant"))
    assert [mark["at"][:10] for mark in drawing["before"]] == ["2026-02-04", "2026-02-05"]
    assert drawing["ticks"][0]["label"] == "22:30"


def test_ours_are_labelled_and_repeats_are_joined() -> None:
    call = {"at": "2026-02-06T22:39:05Z", "layer": "service", "host": "pi", "what": "HTTP 500", "self": False}
    own = {**call, "at": "2026-02-06T22:48:00Z", "self": True}
    marks = chart(load("dormant", timeline=[call, call, call, own]))["marks"]
    assert [(mark["kind"], mark["count"]) for mark in marks] == [("attempt", 1), ("error", 3), ("ours", 1)]


def test_too_many_events_leave_those_nearest_to_the_attempt() -> None:
    events = [
        {
            "at": f"2026-02-06T22:{second // 60 + 30:02}:{second % 60:02}Z",
            "layer": "agent",
            "host": "",
            "what": f"{second}",
            "self": False,
        }
        for second in range(0, 900, 5)
    ]
    incident = load("dormant", timeline=events)
    drawing = chart(incident)
    assert len(drawing["marks"]) == 40
    assert drawing["left_out"] == 141
    assert drawing["marks"][0]["at"] > "2026-02-06T22:36"
    assert "141 more events" in report.html(incident)


def test_the_span_of_the_attempt_and_our_run_are_drawn() -> None:
    bands = {band["kind"]: band for band in chart(load("dormant"))["bands"]}
    assert set(bands) == {"window", "span", "run"}
    assert bands["span"]["height"] / bands["window"]["height"] == pytest.approx(180 / 1200, abs=0.01)
    assert bands["run"]["y"] > bands["span"]["y"] + bands["span"]["height"]
