# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How causes are judged. What each rule must say of which evidence is in tests/scenarios."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError, load

from ...evidence import (
    ASLEEP,
    CONTEXT,
    NO_AGENT_CAME,
    NOT_PROBED,
    PERSON_WAITS,
    SILENCE_UNPROVEN,
    STAYS_ASLEEP,
    edge_error,
    evidence,
    logged,
)

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
BY_ID = {rule["id"]: rule for rule in RULES.rules}

CLOCK_OFF = {"service": {"local_time_offset_ms": -420_000}}
UNREACHABLE = {"service": unknown("service", "pi-hub could not be reached", signals={"host_reachable": False})}


def judged(*changes, without=(), context=CONTEXT, **records):
    return classify({**evidence(*changes, without=without), **records}, RULES, context)


def states(answer):
    return {cause["id"]: cause["state"] for cause in answer["causes"]}


def confirmed(answer):
    return {name for name, state in states(answer).items() if state == "confirmed"}


def cause(answer, name):
    return next(each for each in answer["causes"] if each["id"] == name)


def test_nor_do_several_missing_layers():
    for without in (pair for count in (2, 3, 4) for pair in combinations(LAYERS, count)):
        assert confirmed(judged(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, without=without)) <= {
            "cloud_agent_dormant_no_wake"
        }


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
        "unattended": "guard",
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
        ([{"dispatch": {"agent_status_after": None}}], "suspected"),
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
    stopped = {"service": {"active": False, "active_state": "inactive", "sub_state": "dead"}}
    answer = judged(edge_error("ERR_NGROK_8012", 502), stopped)
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
    weak = {
        **BY_ID["healthy"],
        "look_alikes": [],
        "id": "weak",
        "state": "fault",
        "title": "Weak",
        "when": [seen, unseen, unseen],
    }
    strong = {**weak, "id": "strong", "title": "Strong", "when": [seen, unseen]}
    verdict = classify(evidence(), RULES._replace(rules=[weak, strong]), CONTEXT)["verdict"]
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
        ([NOT_PROBED, CLOCK_OFF], True),
        ([NOT_PROBED, CLOCK_OFF, edge_error("ERR_NGROK_3200", 404)], False),
        ([NOT_PROBED, {"service": {"codes": ["P1001"]}}], True),
        ([NOT_PROBED, {"service": {"codes": ["P1001"], "calls": None, "call_statuses": None}}], False),
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
        classify(evidence(), RULES._replace(rules=[rule]), CONTEXT)


def test_a_remedy_that_nothing_here_does_is_not_called_automatic():
    answer = judged(NOT_PROBED, {"service": {"disk_full": True}})
    assert (answer["verdict"]["remedy"]["id"], answer["verdict"]["remedy"]["automatic"]) == ("free_disk", False)


def test_other_faults_are_told_in_the_order_in_which_to_repair_them():
    lost = {"secrets": {"missing": ["OPENAI_API_KEY"], "all_present": False}}
    answer = judged(edge_error("ERR_NGROK_3200", 404), lost, {"service": {"disk_full": True}}, NOT_PROBED)
    assert answer["verdict"]["id"] == "disk_full"
    assert [fault["id"] for fault in answer["verdict"]["also"]] == ["agent_missing_secret", "tunnel_offline"]
    assert answer["verdict"]["also"][0]["remedy"]["id"] == "update_secret"


def test_an_effect_is_none_of_the_other_faults():
    stopped = {"service": {"active": False, "active_state": "inactive", "sub_state": "dead"}}
    assert judged(edge_error("ERR_NGROK_8012", 502), stopped)["verdict"]["also"] == []


def test_a_contradiction_is_told_and_what_it_doubts_is_unknown():
    answer = judged({"service": {"active": False, "active_state": "inactive"}})
    (sentence,) = answer["conflicts"]
    assert "inactive, yet the app answers" in sentence
    assert states(answer)["service_down"] == "suspected"
    assert answer["verdict"]["state"] == "inconclusive"
    assert any(need == f"Find out which is true: {sentence}" for need in answer["verdict"]["needs"])


def test_a_verdict_is_certain_if_what_it_is_taken_for_is_decided():
    assert judged()["verdict"]["certainty"]["level"] == "high"
    waits = judged(PERSON_WAITS, NO_AGENT_CAME, {"agent": {"name": "voice-agent"}})
    assert waits["verdict"]["certainty"]["level"] == "high"
    unsure = judged(PERSON_WAITS, NO_AGENT_CAME, {"agent": {"name": "voice-agent"}, "service": {"calls": None}})
    assert judged(NOT_PROBED)["verdict"]["certainty"] == {"level": "low", "why": ["No cause is confirmed."]}
    assert unsure["verdict"]["id"] == "explicit_dispatch_missing"


def test_a_look_alike_that_is_open_lowers_the_certainty_and_is_named():
    answer = judged(edge_error("ERR_NGROK_3200", 404), without=("service",))
    asked = BY_ID["tunnel_offline"]["look_alikes"]
    open_ones = [name for name in asked if states(answer)[name] in ("open", "suspected")]
    certainty = answer["verdict"]["certainty"]
    assert certainty["level"] == ("medium" if open_ones else "high")
    assert len([why for why in certainty["why"] if why.startswith("Not decided")]) == len(open_ones)


def test_nothing_is_certainly_well_while_a_fault_is_suspected():
    unread = {"service": {"frontend_hosts": None, "frontend_url_newer": True}, "client": {"sessions": 0}}
    certainty = judged(unread)["verdict"]["certainty"]
    title = BY_ID["stale_frontend_build"]["title"]
    assert certainty == {"level": "medium", "why": [f"Not decided: {title}."]}


def test_a_layer_that_could_exclude_the_cause_and_was_not_asked_lowers_the_certainty_and_is_named():
    rule = {**BY_ID["tunnel_offline"], "look_alikes": [], "when": ["tunnel.status"], "unless": ["service.calls > 0"]}
    rules = RULES._replace(rules=[rule])
    asked, missing, unreachable = (
        classify(each, rules, CONTEXT)["verdict"]["certainty"]
        for each in (evidence(), evidence(without=("service",)), {**evidence(), **UNREACHABLE})
    )
    assert asked["level"] == "high"
    doubt = {"level": "medium", "why": ["Of the layer service, which could exclude it, nothing is known."]}
    assert missing == unreachable == doubt


SUPPRESSION = {"rule": "tunnel_offline", "until": "2026-02-28", "reason": "The laptop is on a journey."}


@pytest.mark.parametrize(
    ("today", "verdict"),
    [
        ("2026-02-27", "inconclusive"),
        ("2026-02-28", "inconclusive"),
        ("2026-03-01", "tunnel_offline"),
        ("", "tunnel_offline"),
    ],
)
def test_a_suppressed_cause_is_no_verdict_until_its_last_day(today, verdict):
    rules = RULES._replace(suppressions=[SUPPRESSION])
    changes = [edge_error("ERR_NGROK_3200", 404), {"tunnel": {"reachable": None}}, NOT_PROBED]
    answer = classify(evidence(*changes), rules, CONTEXT, today)
    assert answer["verdict"]["id"] == verdict
    assert states(answer)["tunnel_offline"] == "confirmed"


def test_a_suppression_is_told_with_its_reason_and_an_expired_one_too():
    rules = RULES._replace(suppressions=[SUPPRESSION])
    offline = evidence(edge_error("ERR_NGROK_3200", 404))
    (told,) = classify(offline, rules, CONTEXT, "2026-02-10")["suppressed"]
    assert told.endswith("The laptop is on a journey.")
    (told,) = classify(offline, rules, CONTEXT, "2026-03-10")["suppressed"]
    assert "ended on 2026-02-28" in told
