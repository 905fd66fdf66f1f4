# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments and durations as people write them, and the stretches of time that follow from an attempt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import timeline

# 2026-02-06 22:50:00 in New York, when the incident was looked into.
NOW = 1770436200.0


@pytest.fixture(autouse=True)
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    moment = timeline.parse_time(text)
    assert moment is not None
    return moment


def test_the_zone_of_the_tests_is_known() -> None:
    assert timeline.rfc3339(NOW) == "2026-02-07T03:50:00.000Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-07T03:50:00Z", NOW),
        ("2026-02-07T03:50:00.250Z", NOW + 0.25),
        ("2026-02-07T03:50:00.250000001Z", NOW + 0.25),
        ("2026-02-06 22:50:00 -05:00", NOW),
        ("2026-02-06T22:50-0500", NOW),
        ("2026-02-07T09:20:00+05:30", NOW),
        ("2026-02-07t03:50:00z", NOW),
    ],
)
def test_iso_8601_with_a_zone_is_read(text: str, expected: float) -> None:
    assert timeline.parse_time(text) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-07T03:50:00",
        "2026-13-07T03:50:00Z",
        "2026-02-30T03:50:00Z",
        "2026-02-07T25:50:00Z",
        "2026-02-07T03:50:00+99:00",
        "٢٠٢٦-02-07T03:50:00Z",
        "yesterday",
        "",
        None,
        1770436200,
    ],
)
def test_anything_else_is_no_time(text: object) -> None:
    assert timeline.parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("10m", 600), ("90s", 90), ("1h30m", 5400), ("1h1m1s", 3661), (" 5m ", 300), ("0s", 0)]
)
def test_durations_are_read(text: str, expected: float) -> None:
    assert timeline.parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "1.5h", "30m1h", None, 10])
def test_anything_else_is_no_duration(text: object) -> None:
    assert timeline.parse_duration(text) is None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("22:39", "2026-02-07T03:39:00.000Z"),
        ("22:39:30", "2026-02-07T03:39:30.000Z"),
        ("22:50", "2026-02-07T03:50:00.000Z"),
        ("22:51", "2026-02-06T03:51:00.000Z"),
        ("7:05", "2026-02-06T12:05:00.000Z"),
    ],
)
def test_a_clock_time_is_the_latest_that_is_not_in_the_future(clock: str, expected: str) -> None:
    parsed = timeline.parse_attempt_at(clock, NOW)
    assert parsed is not None
    assert timeline.rfc3339(parsed[0]) == expected


def test_a_clock_time_that_summer_time_skipped_was_the_day_before() -> None:
    after = at("2026-03-08T12:00:00-04:00")
    assert timeline.latest_clock_time(2, 30, 0, after) == at("2026-03-07T02:30:00-05:00")


def test_a_clock_time_that_was_shown_twice_is_the_later_one_that_has_been() -> None:
    between = at("2026-11-01T01:45:00-04:00")
    assert timeline.latest_clock_time(1, 30, 0, between) == at("2026-11-01T01:30:00-04:00")
    assert timeline.latest_clock_time(1, 30, 0, between + 7200) == at("2026-11-01T01:30:00-05:00")


def test_the_incident() -> None:
    attempt, problems = timeline.resolve_attempt("22:39", "10m", None, NOW)
    assert problems == []
    assert attempt == {
        "at": "2026-02-07T03:39:00.000Z",
        "source": "given",
        "since": "2026-02-07T03:29:00.000Z",
        "until": "2026-02-07T03:49:00.000Z",
        "precision_s": 60.0,
    }
    assert timeline.span(attempt, NOW) == (at("2026-02-07T03:38:00Z"), at("2026-02-07T03:41:00Z"))


def test_seconds_are_more_precise() -> None:
    attempt, _problems = timeline.resolve_attempt("2026-02-06T22:39:10-05:00", "", None, NOW)
    assert attempt["precision_s"] == 5.0
    minutes, _problems = timeline.resolve_attempt("2026-02-06T22:39-05:00", "", None, NOW)
    assert minutes["precision_s"] == 60.0


@pytest.mark.parametrize("given", ["", None, "now", "NOW"])
def test_without_anything_given_it_is_now(given: str | None) -> None:
    attempt, problems = timeline.resolve_attempt(given, None, None, NOW)
    assert (attempt["source"], attempt["precision_s"], problems) == ("now", 0.0, [])
    assert attempt["at"] == attempt["until"] == timeline.rfc3339(NOW)
    assert timeline.span(attempt, NOW) == (NOW - 600, NOW)


def test_a_person_who_waits_tells_when() -> None:
    attempt, problems = timeline.resolve_attempt("", "5m", "2026-02-07T03:20:00Z", NOW)
    assert (attempt["source"], attempt["at"], problems) == ("waiting_session", "2026-02-07T03:20:00.000Z", [])
    assert timeline.span(attempt, NOW) == (at("2026-02-07T03:19:55Z"), NOW)


def test_now_is_now_even_while_someone_waits() -> None:
    attempt, _problems = timeline.resolve_attempt("now", "", "2026-02-07T03:20:00Z", NOW)
    assert attempt["source"] == "now"


@pytest.mark.parametrize(
    "given",
    [
        "yesterday",
        "25:00",
        "22:60",
        "2026-02-06T22:39:00",
        "2026-02-08T00:00:00Z",
        "1359",
        "1900-01-01T00:00:00Z",
        "\x00",
    ],
)
def test_a_malformed_moment_is_a_problem_and_counts_as_not_given(given: str) -> None:
    attempt, problems = timeline.resolve_attempt(given, "10m", "2026-02-07T03:40:00Z", NOW)
    assert attempt["source"] == "waiting_session"
    assert len(problems) == 1
    assert "voiceops_attempt_at: expected ISO 8601" in problems[0]
    assert repr(given) in problems[0]


def test_what_yaml_makes_of_a_bare_clock_time_is_explained() -> None:
    _attempt, problems = timeline.resolve_attempt(1359, "10m", None, NOW)
    assert "needs quotes" in problems[0]


@pytest.mark.parametrize("window", ["ten minutes", "0s", "999999999h", "10"])
def test_a_malformed_window_is_a_problem_and_counts_as_ten_minutes(window: str) -> None:
    attempt, problems = timeline.resolve_attempt("22:39", window, None, NOW)
    assert attempt["since"] == "2026-02-07T03:29:00.000Z"
    assert "voiceops_window: expected a duration" in problems[0]


def test_nothing_after_the_start_of_the_run_is_looked_at() -> None:
    attempt, _problems = timeline.resolve_attempt("22:49:30", "10m", None, NOW)
    assert at(attempt["until"]) == NOW
    assert timeline.span(attempt, NOW)[1] == NOW


def test_a_doubtful_clock_widens_the_beginning_of_the_span() -> None:
    attempt, _problems = timeline.resolve_attempt("22:39", "10m", None, NOW)
    assert timeline.span(attempt, NOW, 2.0)[0] == at("2026-02-07T03:37:58Z")


@pytest.mark.parametrize("attempt", [None, {}, {"at": "?", "since": None}, {"source": "given", "at": 3}])
def test_a_broken_attempt_is_one_at_the_start_of_the_run(attempt: dict[str, object] | None) -> None:
    assert timeline.window(attempt, NOW) == (NOW - 600, NOW)
    assert timeline.span(attempt, NOW)[1] == NOW
    assert timeline.attempt_moment(attempt, NOW) == (NOW, 0.0)


def test_a_clock_that_nobody_measured_may_be_off_by_a_minute() -> None:
    assert timeline.host_clock({"clock": {"offset_ms": 420_000, "uncertainty_ms": 50}}) == (420.0, 0.05)
    assert timeline.host_clock({"clock": {}}) == timeline.host_clock({}) == (0.0, 60.0)


def test_windows_of_probes_have_some_slack_and_bad_ones_match_nothing() -> None:
    windows = [{"since": None, "until": "?"}, {"since": timeline.rfc3339(NOW), "until": timeline.rfc3339(NOW + 1)}]
    assert timeline.in_windows(NOW - 0.9, windows)
    assert timeline.in_windows(NOW + 1.9, windows)
    assert not timeline.in_windows(NOW - 1.1, windows)
    assert not timeline.in_windows(NOW, windows[:1])


def _probe(at: float, status: Any) -> dict[str, Any]:
    return {"since": timeline.rfc3339(at), "until": timeline.rfc3339(at), "what": "POST", "status": status}


@pytest.mark.parametrize("status", [None, 400, 401])
def test_what_came_with_our_probes_and_got_their_answer_or_an_unknown_one_may_be_ours(status: int | None) -> None:
    assert timeline.may_be_ours(NOW + 0.5, status, [_probe(NOW, 401), _probe(NOW, 400)])


@pytest.mark.parametrize("status", [201, 404, 500])
def test_who_got_another_answer_than_each_of_our_refused_probes_is_somebody_else(status: int) -> None:
    assert not timeline.may_be_ours(NOW + 0.5, status, [_probe(NOW, 401), _probe(NOW, 400), _probe(NOW - 60, status)])


@pytest.mark.parametrize("got", [None, 201, 302, 500, "400", []])
def test_a_probe_whose_answer_may_not_be_the_apis_may_be_any_call_that_was_logged(got: Any) -> None:
    assert timeline.may_be_ours(NOW + 0.5, 201, [_probe(NOW, 401), _probe(NOW, got)])


def test_without_a_probe_near_it_no_call_is_ours() -> None:
    assert not timeline.may_be_ours(NOW, 400, [_probe(NOW - 60, 400)])
