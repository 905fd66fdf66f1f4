# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known answers: for each rule, evidence that confirms it, and does not confirm what it is easily taken for."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import signals_of
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError, load

from ...evidence import ASLEEP, CONTEXT, NO_AGENT_CAME, NOT_PROBED, PERSON_WAITS, evidence
from ...known_answers import CASES, NEAR_MISSES, SILENCE_UNPROVEN, STAYS_ASLEEP, edge_error, logged

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
BY_ID = {rule["id"]: rule for rule in RULES}

UNREACHABLE = {"service": unknown("service", "pi-hub could not be reached", signals={"host_reachable": False})}


def judged(*changes, without=(), context=CONTEXT, **records):
    return classify({**evidence(*changes, without=without), **records}, RULES, context)


def states(answer):
    return {cause["id"]: cause["state"] for cause in answer["causes"]}


def confirmed(answer):
    return {name for name, state in states(answer).items() if state == "confirmed"}


def cause(answer, name):
    return next(each for each in answer["causes"] if each["id"] == name)


def test_every_rule_has_a_known_answer():
    assert CASES.keys() | {"pi_unreachable"} == BY_ID.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_rule_is_the_verdict_of_its_evidence(name):
    answer = judged(*CASES[name])
    assert answer["verdict"]["id"] == name
    assert answer["verdict"]["state"] == BY_ID[name]["state"]
    assert all(len(sentence) > 20 for sentence in answer["verdict"]["because"])


@pytest.mark.parametrize(
    ("name", "miss"), [(name, miss) for name, misses in NEAR_MISSES.items() for miss in misses], ids=str
)
def test_each_condition_is_needed(name, miss):
    assert states(judged(*CASES[name], miss))[name] != "confirmed"


def test_every_rule_with_several_conditions_has_near_misses():
    several = {rule["id"] for rule in RULES if len(rule["when"]) + len(rule["unless"]) > 1}
    assert several <= NEAR_MISSES.keys()


@pytest.mark.parametrize(
    ("name", "other"), [(rule["id"], other) for rule in RULES for other in rule["look_alikes"] if rule["id"] in CASES]
)
def test_the_look_alike_is_not_confirmed_beside_it(name, other):
    answer = judged(*CASES[name])
    assert other not in confirmed(answer) or other in BY_ID[name]["explains"]


@pytest.mark.parametrize("name", CASES)
def test_no_missing_layer_turns_anything_into_confirmed(name):
    known = confirmed(judged(*CASES[name]))
    for layer in LAYERS:
        assert confirmed(judged(*CASES[name], without=(layer,))) <= known, layer


def test_nor_do_several_missing_layers():
    for without in (pair for count in (2, 3, 4) for pair in combinations(LAYERS, count)):
        assert confirmed(judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, without=without)) <= {
            "cloud_agent_dormant_no_wake"
        }


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule["unless"]], ids=lambda rule: rule["id"])
def test_an_exclusion_asks_only_layers_that_the_cause_itself_depends_on(rule):
    asked, excluding = (
        {name.split(".", maxsplit=1)[0] for source in rule[key] for name in signals_of(source)}
        for key in ("when", "unless")
    )
    assert excluding <= asked


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_ruled_out_or_confirmed_by_a_layer_that_could_not_be_asked(layer):
    asked = judged(without=(layer,))
    failed = judged(**{layer: unknown(layer, "no answer within 20 s")})
    assert states(failed) == states(asked)


def test_nothing_known_is_all_open():
    answer = classify({}, RULES, {"attempt": {}, "settings": {}})
    assert set(states(answer).values()) == {"open"}
    assert answer["verdict"]["id"] == "inconclusive"
    assert answer["verdict"]["layer"] is None
    assert answer["probe_would_help"]


def test_the_incident():
    answer = judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP)
    verdict = answer["verdict"]
    assert verdict["remedy"] == {
        "id": "redeploy_agent",
        "automatic": True,
        "command": "cd livekit-agent && lk agent deploy",
    }
    assert confirmed(answer) == {"cloud_agent_dormant_no_wake"}
    told = " ".join(verdict["because"])
    assert "Sleeping" in told
    assert "90 s" in told
    assert "2026-02-05 09:00" in told
    for name in ("cloud_cold_start_slow", "agent_asleep_healthy", "user_missing_in_db", "tunnel_offline", "healthy"):
        assert states(answer)[name] == "ruled_out", name


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ([{"dispatch": {"agent_status_after": None}}], "confirmed"),
        ([{"dispatch": {"agent_status_after": "Waking"}}], "ruled_out"),
        ([SILENCE_UNPROVEN], "suspected"),
        ([NOT_PROBED], "suspected"),
        ([{"dispatch": {"accepted": None}}], "suspected"),
        ([{"callback": {"key_accepted": None}}], "suspected"),
        ([logged("P2003")], "ruled_out"),
        ([logged(statuses=(201,))], "ruled_out"),
        ([{"dispatch": {"joined": True, "accepted": True}}], "ruled_out"),
        ([edge_error("ERR_NGROK_3200", 404)], "ruled_out"),
    ],
)
def test_dormancy_needs_all_of_it(changes, state):
    answer = judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, *changes)
    assert states(answer)["cloud_agent_dormant_no_wake"] == state


def test_a_sleeping_agent_alone_is_no_fault():
    answer = judged(ASLEEP, NOT_PROBED)
    assert confirmed(answer) == set()
    assert answer["verdict"]["remedy"] is None
    assert answer["probe_would_help"]


def test_a_synthetic_users_error_is_not_the_users():
    ours = {"service": {"other_codes": ["P2003"], "self_entries": 1}}
    answer = judged(ours)
    assert states(answer)["user_missing_in_db"] == "ruled_out"
    assert "P2003" in cause(answer, "user_missing_in_db")["because"][0]


def test_the_absence_of_an_error_counts_only_where_the_journal_would_show_it():
    answer = judged(SILENCE_UNPROVEN)
    for name in ("user_missing_in_db", "db_down", "callback_bad_request", "callback_server_error"):
        assert states(answer)[name] == "open", name


def test_two_independent_faults_are_both_confirmed_and_the_first_is_the_verdict():
    lost = {"secrets": {"missing": ["OPENAI_API_KEY"], "all_present": False}}
    answer = judged(edge_error("ERR_NGROK_3200", 404), lost, NOT_PROBED)
    assert {"agent_missing_secret", "tunnel_offline"} <= confirmed(answer)
    assert answer["verdict"]["id"] == "agent_missing_secret"
    assert "effect" not in " ".join(cause(answer, "tunnel_offline")["because"])


def test_an_effect_follows_its_root_and_says_so():
    answer = judged(*CASES["service_down"])
    assert {"service_down", "tunnel_upstream_refused"} <= confirmed(answer)
    assert (
        "effect of another cause: The service is not running" in cause(answer, "tunnel_upstream_refused")["because"][-1]
    )


def test_an_unreachable_host_is_inconclusive_and_names_the_strongest_suspect():
    answer = judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, **UNREACHABLE)
    verdict = answer["verdict"]
    assert (verdict["id"], verdict["state"]) == ("pi_unreachable", "inconclusive")
    assert states(answer)["cloud_agent_dormant_no_wake"] == "suspected"
    assert any("service.calls" in need and "pi-hub could not be reached" in need for need in verdict["needs"])
    for other in BY_ID["pi_unreachable"]["look_alikes"]:
        assert other not in confirmed(answer)


def test_a_fault_that_does_not_need_the_journal_comes_before_a_host_that_cannot_be_reached():
    assert judged(edge_error("ERR_NGROK_3200", 404), **UNREACHABLE)["verdict"]["id"] == "tunnel_offline"


def test_the_inspector_can_prove_the_silence_of_a_journal_that_does_not_cover():
    heard = {"service": {"journal_covers": False, "silence_counts": None, "calls": 0, "call_statuses": []}}
    answer = judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, heard)
    assert answer["verdict"]["id"] == "cloud_agent_dormant_no_wake"


def test_inconclusive_names_the_suspect_its_layer_and_what_would_decide_cheapest_first():
    answer = judged(ASLEEP, NOT_PROBED, SILENCE_UNPROVEN)
    verdict = answer["verdict"]
    assert verdict["id"] == "inconclusive"
    assert verdict["layer"] == "agent"
    assert "The agent sleeps and a new session does not wake it" in verdict["title"]
    assert [need.split(":")[0].split(".")[0] for need in verdict["needs"]] == ["To know service", "To know dispatch"]
    assert answer["open_questions"]


def test_the_suspect_is_the_one_of_which_the_largest_share_holds():
    seen, unseen = "service.active", "client.jobs == 0"
    weak = {**BY_ID["healthy"], "id": "weak", "state": "fault", "title": "Weak", "when": [seen, unseen, unseen]}
    strong = {**weak, "id": "strong", "title": "Strong", "when": [seen, unseen]}
    verdict = classify(evidence(), [weak, strong], CONTEXT)["verdict"]
    assert verdict["title"] == "Not decided; suspected: Strong"
    assert not any("Weak" in sentence for sentence in verdict["because"])


def test_nothing_wrong_but_not_proven_says_so():
    answer = judged(NOT_PROBED)
    assert answer["verdict"]["title"] == "Nothing is seen to be wrong, but that is not proven"
    assert answer["probe_would_help"]


@pytest.mark.parametrize(
    ("changes", "helps"),
    [
        ([NOT_PROBED], True),
        ([NOT_PROBED, PERSON_WAITS], False),
        ([NOT_PROBED, ASLEEP], True),
        ([NOT_PROBED, edge_error("ERR_NGROK_3200", 404)], False),
        ([ASLEEP, NO_AGENT_CAME, SILENCE_UNPROVEN], False),
        ([], False),
    ],
)
def test_when_a_probe_would_help(changes, helps):
    assert judged(*changes)["probe_would_help"] is helps


@pytest.mark.parametrize(
    ("source", "joined", "verdict"),
    [("given", True, "logs_not_covering_window"), ("now", True, "healthy"), ("now", False, "logs_not_covering_window")],
)
def test_a_short_journal_matters_for_what_was_asked(source, joined, verdict):
    context = {**CONTEXT, "attempt": {**CONTEXT["attempt"], "source": source}}
    changes = [SILENCE_UNPROVEN, {"service": {"journal_covers": False}}]
    if not joined:
        changes += [ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP]
    assert judged(*changes, context=context)["verdict"]["id"] == verdict


def test_a_refused_key_is_told_from_one_that_the_server_lost_and_from_the_tunnels_quota():
    assert judged({"callback": {"status": 403, "key_accepted": False}})["verdict"]["id"] == "callback_auth_mismatch"
    assert states(judged(edge_error("ERR_NGROK_727", 403)))["callback_auth_mismatch"] == "ruled_out"


def test_unknown_status_strings_are_no_failure():
    answer = judged({"agent": {"status": "Hibernating", "condition": None}}, NOT_PROBED)
    assert not confirmed(answer)


def test_a_command_names_what_it_lacks():
    context = {**CONTEXT, "settings": {}}
    answer = judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, context=context)
    assert answer["verdict"]["remedy"]["command"] == "cd <agent_dir> && lk agent deploy"


def test_ruled_out_names_the_condition_and_the_observed_value():
    because = cause(judged(), "service_down")["because"]
    assert because == ["service.active is true; it takes not service.active."]


def test_a_rule_that_does_not_fit_the_evidence_is_named():
    rule = {**BY_ID["healthy"], "id": "mine", "file": "mine.yml", "when": ["service.callbacks > agent.status"]}
    with pytest.raises(RuleError, match=r"mine\.yml: mine: .*service\.callbacks > agent\.status"):
        classify(evidence(), [rule], CONTEXT)
