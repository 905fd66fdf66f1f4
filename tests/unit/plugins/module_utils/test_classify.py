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

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
BY_ID = {rule["id"]: rule for rule in RULES}

STAYS_ASLEEP = {"dispatch": {"agent_status_after": "Sleeping"}}
ACCEPTED = {"dispatch": {"accepted": True}}


def edge_error(code, status):
    """ngrok's edge answers instead of the app."""
    return {
        "tunnel": {"reachable": False, "status": status, "error_code": code, "route_exists": None, "html": True},
        "callback": {
            "status": status,
            "wrong_key_status": status,
            "key_accepted": None,
            "wrong_key_rejected": None,
            "route_exists": None,
            "error_code": code,
            "answered_by_app": False,
        },
    }


def no_answer(failure, **tunnel):
    """Nobody answers at the public address."""
    gone = {"reachable": False, "status": None, "route_exists": None, "html": None, "failure": failure}
    nothing = dict.fromkeys(
        ["status", "wrong_key_status", "key_accepted", "wrong_key_rejected", "route_exists", "answered_by_app"]
    )
    return {"tunnel": {**gone, **tunnel}, "callback": nothing}


def logged(*codes, statuses=(500,), error="the first error"):
    """The agent called at the attempt, and the service logged this."""
    return {
        "service": {
            "callbacks": len(statuses),
            "callback_statuses": list(statuses),
            "calls": len(statuses),
            "call_statuses": list(statuses),
            "codes": list(codes),
            "first_error": error if codes else "",
        }
    }


def agent_log(*errors, codes=(), **signals):
    return {"agent": {"log_errors": list(errors), "log_codes": list(codes), **signals}}


CRASHED = {"agent": {"status": "CrashLoop", "condition": "failed", "crashes": 7, "log_crashed": True}}
SILENCE_UNPROVEN = {"service": {"silence_counts": None, "calls": None, "call_statuses": None, "first_error": None}}
UNREACHABLE = {"service": unknown("service", "pi-hub could not be reached", signals={"host_reachable": False})}

# By rule: the changes to the healthy system that confirm it.
CASES = {
    "disk_full": [logged("ENOSPC", "P1008"), {"service": {"disk_full": True}}],
    "pi_clock_drift": [{"service": {"local_time_offset_ms": -420000}}],
    "wrong_unit": [
        SILENCE_UNPROVEN,
        {"service": {"unit_found": False, "load_state": "not-found", "active": False, "active_state": "inactive"}},
    ],
    "logs_not_covering_window": [SILENCE_UNPROVEN, {"service": {"journal_covers": False}}],
    "livekit_credentials_refused": [NOT_PROBED, {"client": {"credentials_accepted": False}}],
    "client_not_connected": [{"client": {"room": "session-53", "person_connected": False}}],
    "explicit_dispatch_missing": [PERSON_WAITS, NO_AGENT_CAME, {"agent": {"name": "voice-agent"}}],
    "agent_name_mismatch": [
        PERSON_WAITS,
        NO_AGENT_CAME,
        {"agent": {"name": "voice-agent"}, "client": {"dispatch_names": ["voice"]}},
    ],
    "deployment_label_mismatch": [PERSON_WAITS, NO_AGENT_CAME, {"client": {"dispatch_deployments": ["staging"]}}],
    "agent_not_in_project": [{"agent": {"found": False, "status": None, "condition": None}}, NO_AGENT_CAME],
    "cloud_agent_deleted_or_suspended": [{"agent": {"status": "Deleted", "condition": "gone"}}, NO_AGENT_CAME],
    "livekit_cloud_incident": [{"agent": {"status": "Server Error", "condition": "failed"}}, NO_AGENT_CAME],
    "agent_missing_secret": [
        CRASHED,
        NO_AGENT_CAME,
        {"secrets": {"names": ["NEXT_APP_URL"], "missing": ["OPENAI_API_KEY"], "all_present": False}},
    ],
    "secret_value_corrupted": [agent_log("Error: getaddrinfo ENOTFOUND proto.ngrok.io,internal_service_key=***")],
    "agent_model_files_missing": [agent_log("Could not find file model.onnx. Use `python agent.py download-files`")],
    "agent_oom": [{"agent": {"events_types": ["RESTARTED_HIGH_MEMORY_USAGE"]}}, NO_AGENT_CAME],
    "agent_disk_full_restart": [{"agent": {"events_types": ["RESTARTED_HIGH_DISK_USAGE"]}}, NO_AGENT_CAME],
    "worker_bad_credentials": [agent_log("failed to connect", codes=["HTTP_401"], log_registered=False)],
    "agent_crash_loop": [CRASHED, NO_AGENT_CAME],
    "cloud_agent_dormant_no_wake": [ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP],
    "agent_running_not_dispatched": [NO_AGENT_CAME],
    "dispatch_silently_dropped": [{"dispatch": {"path": 2}}],
    "entrypoint_crash": [NO_AGENT_CAME, ACCEPTED, {"agent": {"log_crashed": True}}],
    "agent_ice_failed": [NO_AGENT_CAME, ACCEPTED, {"dispatch": {"agent_state": "JOINED"}}],
    "entrypoint_hangs_before_connect": [NO_AGENT_CAME, ACCEPTED],
    "cloud_cold_start_slow": [ASLEEP, {"dispatch": {"joined_after_s": 19.3, "retry_joined_after_s": 1.1}}],
    "dns_failure": [no_answer("dns", dns_ok=False, tcp_ok=None, tls_ok=None)],
    "tunnel_tls_expired": [no_answer("tls", tls_ok=False, tls_error="expired", tls_days_left=-2.0)],
    "tunnel_domain_changed": [
        edge_error("ERR_NGROK_3200", 404),
        {"tunnel": {"tunnel_urls": ["https://other.ngrok.io"]}},
    ],
    "tunnel_offline": [edge_error("ERR_NGROK_3200", 404)],
    "tunnel_session_conflict": [edge_error("ERR_NGROK_334", 404)],
    "tunnel_upstream_refused": [edge_error("ERR_NGROK_8012", 502)],
    "tunnel_upstream_invalid": [edge_error("ERR_NGROK_3004", 502)],
    "tunnel_oauth_blocks": [edge_error("", 302), {"tunnel": {"redirect_host": "idp.ngrok.com"}}],
    "tunnel_quota": [edge_error("ERR_NGROK_727", 403)],
    "tunnel_interstitial": [edge_error("ERR_NGROK_6024", 200)],
    "callback_path_wrong": [
        {
            "tunnel": {"reachable": False, "status": 404, "route_exists": False},
            "callback": {"status": 404, "wrong_key_status": 404, "key_accepted": None, "route_exists": False},
        }
    ],
    "callback_key_missing_on_server": [{"callback": {"status": 401, "key_accepted": False}}],
    "callback_auth_mismatch": [logged("HTTP_401", statuses=(401,))],
    "callback_bad_request": [logged("HTTP_400", statuses=(400,))],
    "service_crash_loop": [
        edge_error("ERR_NGROK_8012", 502),
        {
            "service": {
                "crash_looping": True,
                "active": False,
                "active_state": "activating",
                "sub_state": "auto-restart",
                "restarts": 41,
            }
        },
    ],
    "service_down": [
        edge_error("ERR_NGROK_8012", 502),
        {"service": {"active": False, "active_state": "inactive", "sub_state": "dead"}},
    ],
    "service_hung": [no_answer("timeout")],
    "tunnel_unreachable": [no_answer("refused", tcp_ok=False, tls_ok=None)],
    "prisma_engine_mismatch": [logged("HTTP_500", error="Prisma could not locate the Query Engine for runtime")],
    "db_auth_failed": [logged("P1000")],
    "db_down": [logged("P1001")],
    "db_pool_exhausted": [logged("P2024")],
    "schema_drift": [logged("P2021")],
    "db_readonly_or_locked": [logged("HTTP_500", error="attempt to write a readonly database")],
    "user_missing_in_db": [logged("P2003")],
    "duplicate_row": [logged("P2002")],
    "record_missing": [logged("P2025")],
    "callback_server_error": [logged("HTTP_500")],
    "service_started_after_attempt": [
        SILENCE_UNPROVEN,
        {"service": {"up_before_attempt": False, "up_through_attempt": False}},
    ],
    "mic_not_published": [
        {"client": {"served": 1, "room": "session-52", "person_connected": True, "microphone_published": False}}
    ],
    "llm_key_invalid": [agent_log("APIStatusError: Incorrect API key provided (401)")],
    "llm_quota_429": [agent_log("Error code: 429 insufficient_quota")],
    "deploy_build_failed_old_running": [{"agent": {"newest_version_failed": True, "newest_is_current": False}}],
    "cloud_status_error_but_healthy": [{"agent": {"status": "Error", "condition": "failed"}}],
    "agent_asleep_healthy": [ASLEEP],
    "healthy": [],
}

# By rule: what, changed alone in the evidence that confirms it, takes the confirmation away.
NEAR_MISSES = {
    "logs_not_covering_window": [{"service": {"calls": 0, "call_statuses": []}}],
    "agent_name_mismatch": [{"client": {"dispatch_names": ["voice-agent"]}}],
    "explicit_dispatch_missing": [{"agent": {"name": ""}}, {"client": {"dispatch_names": ["voice-agent"]}}],
    "deployment_label_mismatch": [
        {"agent": {"deployments": [{"deployment": "staging"}]}},
        {"agent": {"deployments": [{"deployment": None}]}},
    ],
    "agent_missing_secret": [{"secrets": {"missing": []}}],
    "agent_oom": [{"dispatch": {"joined": True}}],
    "agent_disk_full_restart": [{"dispatch": {"joined": True}}],
    "worker_bad_credentials": [{"agent": {"log_registered": True}}, {"agent": {"log_codes": ["HTTP_500"]}}],
    "agent_crash_loop": [{"agent": {"status": "Error", "crashes": 0, "log_crashed": False}}],
    "cloud_agent_dormant_no_wake": [
        {"agent": {"status": "Running", "condition": "ready"}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"calls": 1}},
        {"service": {"codes": ["P2003"]}},
        {"dispatch": {"requested": False}},
        {"dispatch": {"accepted": True}},
        {"dispatch": {"joined": True}},
        {"dispatch": {"agent_status_after": "Running"}},
    ],
    "agent_running_not_dispatched": [
        {"agent": {"condition": "asleep"}, "dispatch": {"agent_status_after": "Sleeping"}},
        {"dispatch": {"accepted": True}},
        {"dispatch": {"joined": True}},
    ],
    "dispatch_silently_dropped": [{"dispatch": {"path": 1}}, {"agent": {"condition": "asleep"}}],
    "entrypoint_crash": [
        {"dispatch": {"accepted": None}},
        {"agent": {"log_crashed": False}},
        {"dispatch": {"joined": True}},
    ],
    "agent_ice_failed": [{"dispatch": {"joined": True}}, {"dispatch": {"accepted": False}}],
    "entrypoint_hangs_before_connect": [{"dispatch": {"joined": True}}, {"agent": {"log_crashed": True}}],
    "cloud_cold_start_slow": [
        {"agent": {"condition": "ready"}},
        {"dispatch": {"joined": False}},
        {"dispatch": {"joined_after_s": 10.0}},
    ],
    "tunnel_domain_changed": [
        {"tunnel": {"tunnel_urls": []}},
        {"tunnel": {"tunnel_urls": ["https://proto-trainer.ngrok.io"]}},
    ],
    "callback_path_wrong": [{"tunnel": {"error_code": "ERR_NGROK_3200"}}, {"tunnel": {"redirect_host": "idp.x"}}],
    "callback_key_missing_on_server": [
        {"callback": {"answered_by_app": False}},
        {"callback": {"wrong_key_status": 400}},
        {"callback": {"status": 500, "wrong_key_status": 401}},
    ],
    "callback_auth_mismatch": [{"service": {"call_statuses": [201]}}],
    "service_hung": [
        {"service": {"active": False}},
        {"tunnel": {"tcp_ok": False}},
        {"tunnel": {"reachable": True}},
        {"tunnel": {"failure": "refused"}},
    ],
    "service_down": [{"service": {"unit_found": False}}, {"service": {"crash_looping": True}}],
    "service_started_after_attempt": [{"service": {"active": False}}, {"service": {"calls": 1}}],
    "mic_not_published": [{"client": {"person_connected": False}}],
    "deploy_build_failed_old_running": [{"dispatch": {"joined": False}}, {"agent": {"newest_is_current": True}}],
    "cloud_status_error_but_healthy": [
        {"dispatch": {"joined": False}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
    "agent_asleep_healthy": [
        {"dispatch": {"joined": False}},
        {"dispatch": {"joined_after_s": 10.1}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
    "healthy": [
        {"agent": {"condition": "asleep"}},
        {"dispatch": {"joined": False}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
}


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
        {name.split(".")[0] for source in rule[key] for name in signals_of(source)} for key in ("when", "unless")
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
    assert "2026-02-05T09:00" in told
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
