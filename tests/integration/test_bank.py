# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bank of known answers: every scenario is right, and none is lenient enough to miss a broken rule."""

from __future__ import annotations

import shutil

import pytest
from bank import __main__ as bank_command
from bank import mutants as mutants_command
from bank.cases import BankError, find, rules
from bank.mutants import mutants, operands

from ansible_collections.voiceops.livekit.plugins.module_utils.replay import judged_again
from lab.scenario import SCENARIOS


def test_every_scenario_is_right_and_nothing_is_wrongly_confirmed(cases):
    known = rules()
    answers = [(case, case.judged(known)) for case in cases]

    assert [(case.name, wrong) for case, answer in answers for wrong in case.differences(answer)] == []
    assert [case.name for case, answer in answers if case.wrongly_confirmed(answer)] == []
    assert len(cases) >= 120


def test_every_scenario_saved_and_replayed_is_judged_as_before(cases):
    known = rules()
    saved = {case.name: case.saved(known) for case in cases}
    replayed = {name: judged_again(record, known) for name, record in saved.items()}

    assert [record["problems"] for record in saved.values() if record["problems"]] == []
    for part in ("verdict", "causes", "conflicts"):
        assert [name for name, record in saved.items() if replayed[name][part] != record[part]] == [], part


def test_every_rule_is_the_verdict_of_a_scenario_or_stands_beside_one(cases):
    known = rules()
    verdicts = [case.judged(known)["verdict"] for case in cases]
    told = {verdict["id"] for verdict in verdicts} | {also["id"] for verdict in verdicts for also in verdict["also"]}

    assert {rule["id"] for rule in known.rules} <= told


def test_a_scenario_names_its_verdict_its_state_and_its_remedy(cases):
    assert [case.name for case in cases if not {"verdict", "state", "remedy"} <= case.expected.keys()] == []


def test_look_alikes_are_told_apart_both_ways(cases):
    known = rules()
    effects = {(rule["id"], effect) for rule in known.rules for effect in rule["explains"]}
    pairs = {frozenset((rule["id"], other)) for rule in known.rules for other in rule["look_alikes"]}
    apart = {
        (case.expected["verdict"], cause["id"])
        for case in cases
        for cause in case.judged(known)["causes"]
        if cause["state"] != "confirmed"
    }
    both_ways = [{tuple(pair), tuple(pair)[::-1]} - effects for pair in pairs]
    assert sorted(pair for ways in both_ways for pair in ways - apart) == []


def test_no_mutant_survives(cases):
    assert [what for what, survived in mutants_command.survivors(cases, rules()) if survived] == []


def test_a_folder_of_ones_own_is_judged_instead(tmp_path, capsys):
    shutil.copy(SCENARIOS / "tunnel-offline.yml", tmp_path)

    assert bank_command.main(str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 scenarios, 1 right, 0 wrongly confirmed"


def test_a_wrong_answer_is_counted_and_told(tmp_path, capsys):
    text = (SCENARIOS / "tunnel-offline.yml").read_text(encoding="utf-8")
    (tmp_path / "tunnel-offline.yml").write_text(
        text.replace("verdict: tunnel_offline", "verdict: dns_failure"), "utf-8"
    )

    assert bank_command.main(str(tmp_path)) == 1
    told = capsys.readouterr().out.splitlines()
    assert "tunnel-offline: verdict: expected dns_failure, got tunnel_offline" in told
    assert told[-1] == "1 scenarios, 0 right, 1 wrongly confirmed"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no scenarios there"),
        ("[1]", "expected scenarios with name and expected, got 1"),
        ("[{name: x, like: [nothing], expected: {}}]", "like: no situation 'nothing'"),
        ("[{name: x, evidence: {tunnel: {colour: red}}, expected: {}}]", "tunnel has no such signals: colour"),
        ("[{name: x, worker_log: [starting worker], expected: {}}]", "worker_log: expected HH:MM:SS and a text, got"),
        ("[{name: x, expected: {}}, {name: x, expected: {}}]", "more than one scenario is named mine/x"),
        ("{incident: gone.json, expected: {}}", "expected an incident record in"),
        ("{", "mine.yml"),
    ],
    ids=["empty", "no mapping", "no situation", "no signal", "no time", "a name twice", "no incident", "no YAML"],
)
def test_a_bank_that_cannot_be_used_says_why(tmp_path, capsys, content, sentence):
    if content:
        (tmp_path / "mine.yml").write_text(content, encoding="utf-8")

    assert bank_command.main(str(tmp_path)) == 2
    assert sentence in capsys.readouterr().err
    with pytest.raises(BankError):
        find(tmp_path)


def test_operands_are_found_at_every_depth_and_not_in_texts():
    source = "(a.x or b['and'] == 'x or y') and not (c | select('in', [d and e]))"

    found = [source[begin:end].strip() for begin, end, _word in operands(source)]

    assert sorted(found) == sorted(
        [
            "a.x",
            "b['and'] == 'x or y'",
            "d",
            "e",
            source.split(" and ", maxsplit=1)[0],
            "not (c | select('in', [d and e]))",
        ]
    )


def test_a_mutant_changes_one_condition():
    rule = {"id": "x", "when": ["a.b and c.d"], "unless": []}

    assert [mutant.rule["when"] for mutant in mutants(rule)] == [
        ["true"],
        ["not (a.b and c.d)"],
        [" true and c.d"],
        [" (not (a.b)) and c.d"],
        ["a.b and true "],
        ["a.b and (not (c.d)) "],
    ]
