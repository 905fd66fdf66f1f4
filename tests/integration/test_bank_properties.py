# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every known answer, whatever is taken from its evidence, added to it, or put in another order."""

from __future__ import annotations

import copy
import itertools
import json
import random
import re
from unittest import mock

import pytest
from bank.cases import rules
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import signals_of
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    UNMEASURED_CLOCK_S,
    parse_time,
    rfc3339,
    span,
)
from ansible_collections.voiceops.livekit.plugins.modules import classify as module

# The same examples in every run: what fails, fails for everybody.
holds = settings(max_examples=300, deadline=None, database=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def known():
    return rules()


@pytest.fixture(scope="module")
def systems(cases):
    """The scenarios whose evidence still has to be brought together."""
    return [case for case in cases if case.params]


def outcome(answer):
    """What a person would act on, and every cause's state."""
    verdict = answer["verdict"]
    return {
        "verdict": (verdict["id"], verdict["state"]),
        "remedy": verdict["remedy"] and verdict["remedy"]["id"],
        "also": [each["id"] for each in verdict["also"]],
        **states(answer),
    }


def states(answer):
    return {cause["id"]: cause["state"] for cause in answer["causes"]}


def names(rule, *keys):
    return {name for key in keys for source in rule[key] for name in signals_of(source)}


def brought_together(params, known):
    """The module's answer; the rules are read once for all."""
    with mock.patch.object(module, "load", return_value=known):
        return module.judge(params)


@pytest.fixture(scope="module")
def missing_in_turn(cases, known):
    """Each scenario whose layers all told something, with each layer missing in turn: (name, layer, before, after)."""
    found = []
    for case in cases:
        if len(case.evidence) < len(LAYERS) or any(each["state"] == "unknown" for each in case.evidence.values()):
            continue
        before = case.judged(known)
        for layer in case.evidence:
            rest = {name: record for name, record in case.evidence.items() if name != layer}
            found.append((case.name, layer, before, classify(rest, known, case.context)))
    return found


def test_a_missing_layer_confirms_only_what_it_had_excluded_and_that_is_not_certain(missing_in_turn, known):
    excluding = {rule["id"]: {name.split(".")[0] for name in names(rule, "unless")} for rule in known.rules}
    confirmed = [
        (case, layer, name, states(before)[name], after["verdict"])
        for case, layer, before, after in missing_in_turn
        if not before["conflicts"]
        for name, state in states(after).items()
        if state == "confirmed" != states(before)[name]
    ]
    assert confirmed
    for case, layer, name, was, verdict in confirmed:
        assert was == "ruled_out", (case, layer, name)
        assert layer in excluding[name], (case, layer, name)
        assert verdict["id"] != name or verdict["certainty"]["level"] != "high", (case, layer, name)


def test_a_missing_layer_makes_no_system_healthy(missing_in_turn):
    assert [
        (case, layer)
        for case, layer, before, after in missing_in_turn
        if after["verdict"]["state"] == "healthy" != before["verdict"]["state"]
    ] == []


def test_a_missing_layer_leaves_open_what_it_decides_and_nothing_else(missing_in_turn, known):
    by_layer = {
        layer: {
            rule["id"]
            for rule in known.rules
            if layer in {name.split(".")[0] for name in names(rule, "when", "unless")}
        }
        for layer in LAYERS
    }
    changed = [
        (case, layer, name)
        for case, layer, before, after in missing_in_turn
        if not before["conflicts"]
        for name, state in states(after).items()
        if state != states(before)[name] and name not in by_layer[layer]
    ]
    ruled_out = [
        (case, layer, name)
        for case, layer, before, after in missing_in_turn
        if not before["conflicts"]
        for name, state in states(after).items()
        if state == "ruled_out" != states(before)[name]
    ]
    assert changed == ruled_out == []


def test_signals_that_become_unknown_confirm_nothing_and_rule_out_nothing(cases, known):
    @holds
    @given(st.sampled_from(cases), st.data())
    def check(case, data):
        told = sorted(
            name
            for rule in known.rules
            for name in names(rule, "when", "unless")
            if case.evidence.get(name.split(".")[0], {}).get("signals", {}).get(name.split(".")[1]) is not None
        )
        assume(told)
        gone = set(data.draw(st.lists(st.sampled_from(told), min_size=1, max_size=8), label="gone"))
        evidence = copy.deepcopy(case.evidence)
        for name in gone:
            layer, signal = name.split(".")
            evidence[layer]["signals"][signal] = None

        before, after = case.judged(known), classify(evidence, known, case.context)

        witnesses = {name for conflict in known.conflicts for name in names(conflict, "when")}
        for rule in known.rules:
            was, now = states(before)[rule["id"]], states(after)[rule["id"]]
            if was == now or gone & witnesses:
                continue
            assert now != "ruled_out", rule["id"]
            assert now != "confirmed" or (was == "ruled_out" and gone & names(rule, "unless")), rule["id"]

    check()


def test_the_order_of_records_entries_and_events_does_not_matter(systems, known):
    @holds
    @given(st.sampled_from(systems), SEEDS)
    def check(case, seed):
        params, order = copy.deepcopy(case.params), random.Random(seed)
        for record in params["evidence"].values():
            # What was logged at the same moment has no order but that of the journal.
            moments = [
                list(same) for _at, same in itertools.groupby(record.get("entries", []), lambda each: each["at"])
            ]
            order.shuffle(moments)
            record.update({"entries": list(itertools.chain(*moments))} if moments else {})
            order.shuffle(record["events"])
        order.shuffle(params["probes"])
        shuffled = list(params["evidence"].items())
        order.shuffle(shuffled)
        params["evidence"] = dict(shuffled)

        before, after = brought_together(case.params, known), brought_together(params, known)

        assert outcome(after) == outcome(before)
        assert [each["at"] for each in after["timeline"]] == [each["at"] for each in before["timeline"]]
        assert sorted(map(str, after["timeline"])) == sorted(map(str, before["timeline"]))

    check()


def test_the_order_of_the_rules_decides_only_which_of_several_comes_first(cases, known):
    @holds
    @given(st.sampled_from(cases), SEEDS)
    def check(case, seed):
        order = random.Random(seed)
        shuffled = known._replace(
            rules=order.sample(known.rules, len(known.rules)),
            conflicts=order.sample(known.conflicts, len(known.conflicts)),
        )

        before, after = case.judged(known), case.judged(shuffled)

        assert states(after) == states(before)
        assert sorted(after["conflicts"]) == sorted(before["conflicts"])
        assert after["verdict"]["state"] == before["verdict"]["state"]
        if before["verdict"]["state"] == "fault":
            faults = [[answer["verdict"], *answer["verdict"]["also"]] for answer in (before, after)]
            assert {each["id"] for each in faults[0]} == {each["id"] for each in faults[1]}

    check()


SOMEBODY = "7d1a63f0-5a55-4c8e-9b0f-2f6b1c0d9e44"
TRACES = st.lists(
    st.sampled_from(
        [
            {"text": "POST /api/internal/sessions 500 in 38ms", "codes": ["HTTP_500"], "callback": True, "status": 500},
            {"text": "POST /api/internal/sessions 400 in 3ms", "codes": ["HTTP_400"], "callback": True, "status": 400},
            {"text": "POST /api/internal/sessions 401 in 2ms", "codes": ["HTTP_401"], "callback": True, "status": 401},
            {"text": "POST /api/internal/sessions 201 in 9ms", "codes": [], "callback": True, "status": 201},
            {"text": "Foreign key constraint violated: P2003", "codes": ["P2003"], "callback": False, "status": None},
            {"text": "Unique constraint failed: P2002", "codes": ["P2002"], "callback": False, "status": None},
            {"text": "P1001: Can't reach database server", "codes": ["P1001"], "callback": False, "status": None},
        ]
    ),
    min_size=1,
    max_size=6,
)


def with_entries(case, entries):
    """The scenario's evidence with these lines among what the service's journal gave."""
    params = copy.deepcopy(case.params)
    service = params["evidence"]["service"]
    service["entries"] = sorted([*service["entries"], *entries], key=lambda entry: entry["at"])
    service["events"] += [{"at": each["at"], "what": f"logged: {each['text']}", "self": False} for each in entries]
    service["signals"]["entries_seen"] += len(entries)
    return params


def counted_again(case):
    """Whether the journal's lines are counted again, and none is asked for the reason of a 500 to our own probe."""
    service, callback = (case.params["evidence"][layer] for layer in ("service", "callback"))
    signals = service["signals"]
    whole = signals.get("entries_seen") == len(service.get("entries") or [])
    return whole and signals.get("callbacks") is not None and callback["signals"].get("status") != 500


def quiet(case, moment):
    """Whether nothing else was logged near a moment."""
    entries = case.params["evidence"]["service"]["entries"]
    return all(abs((parse_time(entry["at"]) or 0.0) - moment) > 5 for entry in entries)


def test_what_our_own_probe_left_in_the_log_changes_nothing(systems, known):
    @holds
    @given(st.sampled_from([case for case in systems if counted_again(case)]), TRACES, st.floats(0, 1))
    def check(case, traces, where):
        start, end = span(case.params["attempt"], case.params["started_at"])
        began = start + where * max(end - start - 3, 0)
        assume(quiet(case, began) and quiet(case, began + 3))
        entries = [
            {"at": rfc3339(began + 0.4 * number), "priority": 3, "user": SOMEBODY, "self": False, **trace}
            for number, trace in enumerate(traces)
        ]
        params = with_entries(case, entries)
        params["probes"] = [
            *params["probes"],
            {"since": rfc3339(began), "until": rfc3339(began + 3), "what": "our probe"},
        ]

        before, after = brought_together(case.params, known), brought_together(params, known)

        assert outcome(after) == outcome(before)
        assert sum(each["self"] for each in after["timeline"]) == sum(
            each["self"] for each in before["timeline"]
        ) + len(entries)

    check()


def test_what_synthetic_users_and_other_times_left_in_the_log_changes_nothing(systems, known):
    @holds
    @given(st.sampled_from([case for case in systems if counted_again(case)]), TRACES, st.floats(0, 1), st.booleans())
    def check(case, traces, where, synthetic):
        start, end = span(case.params["attempt"], case.params["started_at"])
        moment = start + where * (end - start) if synthetic else start - UNMEASURED_CLOCK_S - 1 - 1000 * where
        assume(quiet(case, moment) and (case.params["synthetic_users"] or not synthetic))
        user = case.params["synthetic_users"][0] if synthetic else SOMEBODY
        entries = [
            {"at": rfc3339(moment + 0.1 * number), "priority": 3, "user": user, "self": False, **trace}
            for number, trace in enumerate(traces)
        ]

        before, after = brought_together(case.params, known), brought_together(with_entries(case, entries), known)

        assert outcome(after) == outcome(before)

    check()


VALUES = st.sampled_from([0, 1, True, False, "x", [], ["x"], {"a": 1}])


def test_fields_that_nobody_knows_are_ignored(cases, known):
    @holds
    @given(st.sampled_from(cases), st.text("abcxyz_", min_size=1), VALUES)
    def check(case, name, value):
        field = f"zz_{name}"
        evidence, context = copy.deepcopy(case.evidence), copy.deepcopy(case.context)
        for record in evidence.values():
            record[field] = value
            # Of a layer that told nothing at all, any signal would say that its host was reached.
            if any(signal is not None for signal in record["signals"].values()):
                record["signals"][field] = value
        for each in context.values():
            each[field] = value

        assert classify(evidence, known, context) == case.judged(known)

    check()


ISO = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def shifted(params, seconds):
    """All times of the evidence, the attempt and the run, later by so much."""

    def later(match):
        moment = parse_time(match[0])
        return match[0] if moment is None else rfc3339(moment + seconds)

    found = json.loads(ISO.sub(later, json.dumps(params)))
    return {**found, "started_at": params["started_at"] + seconds}


def test_it_does_not_matter_when_all_of_it_happened(systems, known):
    @holds
    @given(st.sampled_from(systems), st.integers(-1500, 1500), st.integers(0, 86399))
    def check(case, days, seconds):
        by = 86400 * days + seconds

        before = brought_together(case.params, known)
        after = brought_together(shifted(case.params, by), known)

        assert outcome(after) == outcome(before)
        moments = [[parse_time(each["at"]) for each in answer["timeline"]] for answer in (before, after)]
        assert moments[1] == pytest.approx([moment + by for moment in moments[0]], abs=0.002)

    check()
