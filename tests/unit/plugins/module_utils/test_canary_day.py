# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated day: 96 runs, two incidents in it, and what else a day brings.

05:30 to 08:40 the agent sleeps and does not wake (the first incident). 09:30 to 11:00 people are in sessions. 14:05 to
15:10 the tunnel is offline (the second). The run of 15:30 is killed during its probe. At 17:00 the callback fails once.
20:00 to 22:00 the Mac sleeps, so that lk cannot be asked. All else is well.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    canary,
    canary_metrics,
    canary_page,
    canary_store,
)

from ...canary_world import HOUR, MIDNIGHT, MINUTE, STANDARD, asked, probed
from ...exposition import lint, parse, value

AGENT = "proj.livekit.cloud/automatic"
EVERY = 15 * MINUTE


class Day(NamedTuple):
    """What a day brought: the hours of its probes, the incidents by their hour, each run's state, the last metrics."""

    probes: list[float]
    incidents: list[float]
    states: dict[float, str]
    metrics: list[str]
    state: canary.State


def world(hour: float) -> dict[str, Any]:
    """The records of the cheap layers at an hour of the day."""
    if 9.5 <= hour < 11:
        return asked(sessions=2, person="got" if hour == 9.5 else "")
    return asked(
        asleep=None if 20 <= hour < 22 else True,
        tunnel="faulty" if 14 + 5 / 60 <= hour < 15 + 10 / 60 else "healthy",
        callback="faulty" if hour == 17 else "unknown" if 14 + 5 / 60 <= hour < 15 + 10 / 60 else "healthy",
        agent="unknown" if 20 <= hour < 22 else "healthy",
        secrets="unknown" if 20 <= hour < 22 else "healthy",
    )


@pytest.fixture
def day(tmp_path: Path) -> Day:
    """Run the day, with the state and the history in files as a real run has them."""
    found = Day([], [], {}, [], canary.new_state())
    for number in range(96):
        hour = number / 4
        # Nobody's schedule is exact.
        now = MIDNIGHT + number * EVERY + number * 7 % 5
        records = world(hour)
        state = canary_store.read(tmp_path, AGENT, now).state
        if canary.decide(state, canary.see(records, STANDARD), STANDARD, now).probe:
            found.probes.append(hour)
            canary_store.write(tmp_path, AGENT, canary.begun(state, now))
            state = canary_store.read(tmp_path, AGENT, now).state
            if hour == 15.5:
                continue
            dormant = 5.5 <= hour < 8 + 40 / 60
            now += 90 if dormant else 20
            records["dispatch"] = probed(now, not dormant, 18.3)
        outcome = canary.advance(state, canary.see(records, STANDARD), STANDARD, now)
        kept = outcome.state
        canary_store.append(tmp_path, AGENT, outcome.entry)
        if outcome.opens:
            found.incidents.append(hour)
            kept = {**kept, "incident": f"incident-{len(found.incidents)}"}
            canary_store.append(tmp_path, AGENT, {"at": outcome.entry["at"], "opened": kept["incident"]})
        canary_store.write(tmp_path, AGENT, kept)
        found.states[hour] = outcome.entry["state"]
        found.metrics.append(canary_metrics.exposition(canary_metrics.families(AGENT, kept, outcome.entry)))
    return found._replace(state=canary_store.read(tmp_path, AGENT, MIDNIGHT + 24 * HOUR).state)


def test_two_incidents_are_opened_each_once_by_the_second_run_that_failed(day: Day) -> None:
    assert day.incidents == [6.25, 14.5]


def test_the_dispatch_is_tried_once_an_interval_sooner_after_failures_and_never_among_people(day: Day) -> None:
    # After 06:00 it failed until 09:00, so each wait is twice as long as the one before, on the grid of the schedule.
    # The person at 09:30 is a test, so that the next is due at 15:30; that its run was killed brings no other one, and
    # the run of 21:30 comes 2 s too early.
    assert day.probes == [0.0, 6.0, 6.25, 6.75, 7.5, 9.0, 15.5, 21.75]


def test_each_state_lasts_as_long_as_what_it_tells(day: Day) -> None:
    faults = [hour for hour, state in day.states.items() if state == "fault"]
    dormant = [hour / 4 for hour in range(24, 36)]
    tunnel = [14.25, 14.5, 14.75, 15.0]
    assert faults == [*dormant, *tunnel, 17.0]
    inconclusive = [hour for hour, state in day.states.items() if state == "inconclusive"]
    assert inconclusive == [20 + hour / 4 for hour in range(8)]
    assert len(day.states) == 95


def test_the_counters_add_up(day: Day) -> None:
    assert day.state["runs"] == {"healthy": 70, "fault": 17, "inconclusive": 8}
    assert day.state["probes"] == {"joined": 3, "failed": 4, "unknown": 0}
    assert day.state["agent_minutes"] == 3


def test_every_runs_metrics_are_valid_and_no_counter_goes_back(day: Day) -> None:
    counters: dict[tuple[str, Any], float] = {}
    for text in day.metrics:
        found = parse(text)
        assert lint(found) == []
        for name, metric in found.items():
            for labels, number in metric.samples.items() if metric.kind == "counter" else ():
                assert number >= counters.get((name, labels), 0.0)
                counters[name, labels] = number
    last = parse(day.metrics[-1])
    assert value(last, "voiceops_canary_runs_total", state="fault") == 17
    assert value(last, "voiceops_canary_last_join_duration_seconds", start="unknown") == 18.3
    opened = [value(parse(text), "voiceops_canary_incident_open") for text in day.metrics]
    assert sum(1 for before, after in pairwise(opened) if after and not before) == 2


def test_the_page_shows_the_day(day: Day, tmp_path: Path) -> None:
    entries, damaged = canary_store.history(tmp_path, AGENT)
    view = canary_page.view(AGENT, entries, damaged, day.state, STANDARD, MIDNIGHT + 24 * HOUR - 1)
    assert (view["state"], damaged) == ("healthy", 0)
    assert view["counts"] == {"healthy": 70, "fault": 17, "inconclusive": 8}
    told = [(each["lasted"], each["layers"], each["incident"]) for each in view["outages"]]
    assert told == [
        ("15 min", ["callback"], ""),
        ("1 h", ["tunnel"], "incident-2"),
        ("2 h 59 min", ["dispatch"], "incident-1"),
    ]
    assert view["cost"] == {"probes": 7, "minutes": 3}
    assert view["joins"]["failed"] == 4
    cold = view["joins"]["figures"][0]
    assert (cold["start"], cold["count"], cold["middle"], cold["late"]) == ("cold", 2, 18.3, 0)


def test_a_run_that_is_killed_during_its_probe_gives_no_second_one_before_the_interval(tmp_path: Path) -> None:
    probes = []
    for number in range(96):
        now = MIDNIGHT + number * EVERY
        state = canary_store.read(tmp_path, AGENT, now).state
        if canary.decide(state, canary.see(asked(), STANDARD), STANDARD, now).probe:
            canary_store.write(tmp_path, AGENT, canary.begun(state, now))
            probes.append(number / 4)
    assert probes == [0.0, 6.0, 12.0, 18.0]
