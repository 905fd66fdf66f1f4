# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the canary may try a dispatch, what it calls a failure, and when that opens an incident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import canary
from ansible_collections.voiceops.livekit.plugins.module_utils.canary import Settings

from ...canary_world import DAY, HOUR, MIDNIGHT, MINUTE, STANDARD, asked, probed

NOW = MIDNIGHT


def after(*outcomes: bool | None, at: float = NOW, state: canary.State | None = None) -> canary.State:
    """The state after probes that ended so, the last of them at C(at)."""
    state = state or canary.new_state()
    for joined in outcomes:
        records = {**asked(), "dispatch": probed(at, joined)}
        state = canary.advance(state, canary.see(records, STANDARD), STANDARD, at).state
    return state


def may(state: canary.State, now: float, settings: Settings = STANDARD, **seen: Any) -> bool:
    return canary.decide(canary.settled(state, now), canary.see(asked(now, **seen), settings), settings, now).probe


def run(state: canary.State, now: float, records: dict[str, Any], settings: Settings = STANDARD) -> canary.Outcome:
    return canary.advance(canary.settled(state, now), canary.see(records, settings), settings, now)


def test_the_first_run_tries_a_dispatch_and_the_next_only_after_the_interval() -> None:
    assert may(canary.new_state(), NOW)
    state = after(True)
    assert [may(state, NOW + age) for age in (0, HOUR, 6 * HOUR - 1, 6 * HOUR)] == [False, False, False, True]


def test_a_probe_whose_run_was_killed_counts_for_the_whole_interval() -> None:
    state = canary.begun(after(False, False), NOW)
    assert canary.is_state(json.loads(json.dumps(state)))
    assert [may(state, NOW + age) for age in (11 * MINUTE, 6 * HOUR - 1, 6 * HOUR)] == [False, False, True]


def test_after_a_failure_the_next_comes_sooner_and_later_each_time_up_to_the_interval() -> None:
    waits = []
    for misses in range(1, 9):
        state = after(*[False] * misses)
        waits.append(next(minutes for minutes in range(0, 400) if may(state, NOW + minutes * MINUTE)))
    assert waits == [10, 20, 40, 80, 160, 320, 360, 360]


def test_a_retry_is_never_later_than_the_interval() -> None:
    hasty = Settings(interval_s=60.0, retry_s=600.0)
    assert may(after(False), NOW + 60, hasty)
    assert may(after(*[False] * 200), NOW + 6 * HOUR)


@pytest.mark.parametrize("ahead", [MINUTE, 400 * DAY], ids=["a little", "more than a year"])
def test_a_clock_that_was_set_back_opens_nothing_early_and_blocks_no_longer_than_an_interval(ahead: float) -> None:
    state = after(True, at=NOW + ahead)
    assert not may(state, NOW)
    # The run that noticed it wrote the state down again.
    kept = run(state, NOW, asked()).state
    assert kept["test"]["at"] == NOW
    assert [may(kept, NOW + age) for age in (6 * HOUR - 1, 6 * HOUR)] == [False, True]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"sessions": 1, "person": "got"}, "1 session with people must not be disturbed"),
        ({"sessions": 3}, "3 sessions with people must not be disturbed"),
        ({"sessions": None}, "it is not known whether people are in sessions"),
        ({"without": ("client",)}, "it is not known whether people are in sessions"),
    ],
)
def test_nothing_is_tried_while_people_are_or_may_be_in_sessions(seen: dict[str, Any], why: str) -> None:
    decision = canary.decide(canary.new_state(), canary.see(asked(NOW, **seen), STANDARD), STANDARD, NOW)
    assert decision == (False, why)


def test_nothing_is_tried_where_that_is_forbidden() -> None:
    assert not may(canary.new_state(), NOW, Settings(probing=False))


@pytest.mark.parametrize(
    ("keep_warm", "asleep", "age", "tried"),
    [
        (False, True, HOUR, False),
        (True, True, HOUR, True),
        (True, True, 9 * MINUTE, False),
        (True, False, HOUR, False),
        (True, None, HOUR, False),
    ],
)
def test_an_agent_is_kept_warm_only_if_that_was_asked_for_and_it_is_known_to_sleep(
    keep_warm: bool, asleep: bool | None, age: float, tried: bool
) -> None:
    assert may(after(True), NOW + age, Settings(keep_warm=keep_warm), asleep=asleep) is tried


def test_an_agent_that_does_not_wake_is_not_tried_more_often_to_keep_it_warm() -> None:
    assert not may(after(False, False, False), NOW + 30 * MINUTE, Settings(keep_warm=True), asleep=True)


def test_two_failures_in_a_row_open_an_incident_and_only_once_until_it_is_over() -> None:
    state, opened = canary.new_state(), []
    for number in range(5):
        found = run(state, NOW + number * HOUR, asked(tunnel="faulty"))
        opened.append(found.opens)
        state = {**found.state, "incident": "an-id"} if found.opens else found.state
    assert opened == [False, True, False, False, False]
    assert state["since"] == NOW

    state = run(state, NOW + 5 * HOUR, asked()).state
    assert (state["failing"], state["failures"], state["since"], state["incident"]) == ([], 0, None, "")
    state = run(state, NOW + 6 * HOUR, asked(tunnel="faulty")).state
    assert run(state, NOW + 7 * HOUR, asked(tunnel="faulty")).opens


def test_a_diagnosis_that_was_killed_is_made_by_the_next_run_that_fails() -> None:
    state = canary.new_state()
    opens = []
    for number, tunnel in enumerate(("faulty", "faulty", "unknown", "faulty")):
        found = run(state, NOW + number * HOUR, asked(tunnel=tunnel))
        state = found.state
        opens.append(found.opens)
    assert opens == [False, True, False, True]


def test_what_could_not_be_asked_is_no_failure_and_ends_no_outage() -> None:
    state = run(canary.new_state(), NOW, asked(agent="faulty")).state
    unknown = run(state, NOW + HOUR, asked(agent="unknown"))
    assert (unknown.opens, unknown.entry["state"], unknown.state["failures"]) == (False, "fault", 1)
    assert run(unknown.state, NOW + 2 * HOUR, asked(agent="faulty")).opens

    found = run(canary.new_state(), NOW, asked(agent="unknown"))
    assert (found.entry["state"], found.state["failures"]) == ("inconclusive", 0)


def test_a_dispatch_that_failed_stays_faulty_until_one_succeeds_and_counts_only_where_it_was_tried() -> None:
    state = after(False)
    quiet = run(state, NOW + MINUTE, asked())
    assert (quiet.entry["state"], quiet.state["failures"], quiet.opens) == ("fault", 1, False)
    assert canary.why(quiet.state, quiet.entry, STANDARD, NOW) == ["dispatch: it was faulty when it was last asked"]
    again = run(quiet.state, NOW + 15 * MINUTE, {**asked(), "dispatch": probed(NOW, False)})
    assert again.opens
    assert run(again.state, NOW + HOUR, {**asked(), "dispatch": probed(NOW, True)}).entry["state"] == "healthy"


def test_a_layer_that_is_not_set_up_any_more_does_not_fail_for_ever() -> None:
    state = run(canary.new_state(), NOW, asked(callback="faulty")).state
    assert run(state, NOW + HOUR, asked(without=("callback",))).state["failing"] == []


def test_all_is_well_only_if_an_agent_joined_lately_and_nothing_is_unknown() -> None:
    states = [run(after(True), NOW + age, asked()).entry["state"] for age in (0, 12 * HOUR, 12 * HOUR + 1)]
    assert states == ["healthy", "healthy", "inconclusive"]
    assert run(canary.new_state(), NOW, asked()).entry["state"] == "inconclusive"
    assert run(after(True), NOW, asked(secrets="unknown")).entry["state"] == "inconclusive"


@pytest.mark.parametrize(
    ("person", "layer", "outcome"), [("got", "healthy", "joined"), ("waits", "faulty", "failed"), ("came", None, None)]
)
def test_a_person_in_a_room_is_a_test_as_well(person: str, layer: str | None, outcome: str | None) -> None:
    seen = canary.see(asked(sessions=1, person=person), STANDARD)
    assert seen.layers.get("dispatch") == layer
    assert (seen.test or {}).get("outcome") == outcome
    # Since when the person had asked for the agent is not known.
    assert (seen.test or {}).get("start") is None
    found = canary.advance(canary.new_state(), seen, STANDARD, NOW)
    assert found.state["agent_minutes"] == 0
    assert sum(found.state["probes"].values()) == 0


def test_of_the_persons_side_only_livekits_own_answer_counts() -> None:
    records = asked()
    records["client"]["state"] = "faulty"
    assert canary.see(records, STANDARD).layers["client"] == "healthy"
    records["client"]["signals"]["credentials_accepted"] = False
    assert canary.see(records, STANDARD).layers["client"] == "faulty"


def test_a_worker_of_ones_own_stands_for_the_agent() -> None:
    records = asked(without=("agent", "secrets"))
    records["worker"] = {**asked(agent="faulty")["agent"]}
    assert canary.see(records, STANDARD).layers["agent"] == "faulty"


def test_a_cold_start_is_measured_and_is_no_failure() -> None:
    records = {**asked(asleep=True), "dispatch": probed(NOW, True, 18.3, 0.9)}
    found = canary.advance(canary.new_state(), canary.see(records, STANDARD), STANDARD, NOW)
    assert found.entry["state"] == "healthy"
    assert found.entry["test"] == {
        "source": "probe",
        "outcome": "joined",
        "joined_after_s": 18.3,
        "start": "cold",
        "agent_minutes": 2,
    }
    assert found.state["joined"] == found.state["test"]
    assert found.state["joined"]["at"] == NOW


@pytest.mark.parametrize(("asleep", "start"), [(True, "cold"), (False, "warm"), (None, None)])
def test_whether_a_start_was_cold_is_told_by_the_status_before_it(asleep: bool | None, start: str | None) -> None:
    seen = canary.see({**asked(asleep=asleep), "dispatch": probed(NOW, True, 18.3)}, STANDARD)
    assert seen.test is not None
    assert seen.test["start"] == start


@pytest.mark.parametrize(("joined", "minutes"), [(True, 1), (False, 0), (None, 0)])
def test_only_a_room_that_an_agent_joined_costs_agent_minutes(joined: bool | None, minutes: int) -> None:
    assert after(joined)["agent_minutes"] == minutes


def test_the_counters_count() -> None:
    state = after(True, False, None)
    assert state["probes"] == {"joined": 1, "failed": 1, "unknown": 1}
    assert state["runs"] == {"healthy": 1, "fault": 2, "inconclusive": 0}
    assert state["misses"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"misses": -1},
        {"misses": True},
        {"failures": float("nan")},
        {"failing": ["no layer"]},
        {"failing": None},
        {"since": "yesterday"},
        {"incident": None},
        {"runs": {}},
        {"probes": {"joined": "1", "failed": 0, "unknown": 0}},
        {"test": {}},
        {"test": {"at": 1, "source": "probe", "outcome": "odd", "joined_after_s": None, "start": None}},
        {"joined": {"at": "x", "source": "probe", "outcome": "joined", "joined_after_s": None, "start": None}},
        {"more": 1},
    ],
)
def test_a_state_of_another_shape_is_none(change: dict[str, Any]) -> None:
    assert canary.is_state(after(True, False))
    assert not canary.is_state({**after(True), **change})
