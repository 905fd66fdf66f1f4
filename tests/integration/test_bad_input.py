# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input gets a sentence that names the option, and costs no more than it must: a record is always written."""

from __future__ import annotations

import json

import pytest

PASSIVE = {"voiceops_dispatch_probe": "never"}
OTHERS = ("client", "tunnel", "secrets", "callback", "service", "agent")


# Else LiveKit itself is asked where lk does not tell.
BY_LK = {"voiceops_agent_via": "lk"}


@pytest.mark.parametrize(
    ("variables", "unknown", "sentence"),
    [
        ({"voiceops_lk": "no-such-lk", **BY_LK}, {"secrets", "agent"}, "voiceops_lk"),
        ({"voiceops_livekit_url": ""}, {"client", "secrets", "agent"}, "voiceops_livekit_url"),
        ({"voiceops_livekit_url": "not a url"}, {"client", "secrets", "agent"}, "voiceops_livekit_url"),
        ({"voiceops_livekit_api_key": ""}, {"client", "secrets", "agent"}, "voiceops_livekit_api_key"),
        ({"voiceops_callback_url": ""}, {"tunnel", "callback"}, "voiceops_callback_url"),
        ({"voiceops_callback_url": "ftp://x/y"}, {"tunnel", "callback"}, "voiceops_callback_url"),
        ({"voiceops_callback_key": ""}, {"callback"}, "voiceops_callback_key"),
        ({"voiceops_callback_key": "{{ vault_nowhere }}"}, {"callback"}, "voiceops_callback_key"),
        ({"voiceops_callback_probe": "everything"}, {"callback"}, "voiceops_callback_probe"),
        ({"voiceops_service_pattern": "("}, {"service"}, "voiceops_service_pattern"),
        ({"voiceops_agent_dir": "/nowhere at all", **BY_LK}, {"secrets", "agent"}, "voiceops_agent_dir"),
        ({"voiceops_agent_via": "the Mac"}, {"secrets", "agent"}, "voiceops_agent_via"),
        # What Ansible takes for a text, and would be searched for in vain, or masked wherever it occurs.
        ({"voiceops_service_pattern": ["a", "b"]}, {"service"}, "voiceops_service_pattern: expected a text"),
        ({"voiceops_agent_id": {"id": "CA_x"}}, {"secrets", "agent"}, "voiceops_agent_id: expected a text"),
        (
            {"voiceops_livekit_url": "wss://me:pa55word@127.0.0.1:1"},
            {"client", "secrets", "agent"},
            "voiceops_livekit_url: expected a URL such as wss://my-project.livekit.cloud, without a user name",
        ),
        ({"voiceops_callback_url": "http://[::1/x"}, {"tunnel", "callback"}, "voiceops_callback_url: expected"),
        ({"voiceops_client_url": "my-project.livekit.cloud"}, {"client"}, "voiceops_client_url: expected a URL"),
        ({"voiceops_livekit_url": 5}, {"client", "secrets", "agent"}, "voiceops_livekit_url: expected"),
        ({"voiceops_callback_key": 5}, {"callback"}, "voiceops_callback_key: expected a text of 4 characters"),
        ({"voiceops_callback_key": {"a": 1}}, {"callback"}, "voiceops_callback_key: expected a text"),
        ({"voiceops_required_secrets": [{"name": "A"}]}, {"secrets"}, "voiceops_required_secrets: expected a list"),
        ({"voiceops_deadline": "abc"}, set(OTHERS), "voiceops_deadline: expected seconds above 0"),
        ({"voiceops_deadline": 1e12}, set(OTHERS), "voiceops_deadline: expected seconds above 0"),
    ],
    ids=lambda value: next(iter(value.items())) if isinstance(value, dict) else None,
)
def test_a_bad_variable_costs_its_layers_alone(lab, variables, unknown, sentence):
    play = lab("healthy").play("diagnose.yml", "-e", json.dumps({**PASSIVE, **variables}))

    assert play.returncode == 0, play.output
    evidence = play.incident["evidence"]
    assert {layer for layer in OTHERS if evidence[layer]["state"] == "unknown"} - {"client"} == unknown - {"client"}
    for layer in unknown:
        assert sentence in " ".join(evidence[layer]["limits"]), evidence[layer]
    assert "pa55word" not in play.output + json.dumps(play.incident)


def test_variables_left_empty_in_yaml_cost_nothing(lab):
    """As C(voiceops_synthetic_users:) with nothing after it."""
    names = ("service_required_env", "synthetic_users", "deadline", "dispatch_deadline", "agent_via", "callback_probe")
    empty = {f"voiceops_{name}": None for name in (*names, "callback_key_header", "service_pattern", "rules")}

    play = lab("healthy").play("diagnose.yml", "-e", json.dumps({**PASSIVE, **empty}))

    assert play.returncode == 0, play.output
    evidence = play.incident["evidence"]
    assert {layer for layer in OTHERS if evidence[layer]["state"] == "unknown"} == {"client"}
    assert play.incident["problems"] == []


@pytest.mark.parametrize("playbook", ["diagnose.yml", "verify.yml", "canary.yml", "remediate.yml"])
def test_nor_do_they_where_a_dispatch_is_tried(lab, playbook):
    names = ("fail_on", "dispatch_probe", "dispatch_deadline", "dispatch_cold_start", "dispatch_listen", "agent_via")
    more = ("deadline", "synthetic_users", "room", "probe_room_prefix", "canary_interval", "canary_keep_warm")
    way_in = ("livekit_url", "livekit_api_key", "livekit_api_secret")  # which the environment has instead
    empty = {f"voiceops_{name}": None for name in (*names, *more, *way_in, "approve", "allow", "repair_per_hour")}
    running = lab("healthy")

    environment = {name.upper(): running.facts["variables"][f"voiceops_{name}"] for name in way_in}
    play = running.play(playbook, "-e", json.dumps(empty), **environment)

    assert play.returncode == 0, play.output
    assert "voiceops_" not in play.output
    if playbook in ("diagnose.yml", "remediate.yml"):
        assert play.incident["problems"] == []
        assert play.incident["evidence"]["dispatch"]["signals"]["joined"], play.output


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"voiceops_incident_id": "no-such-incident"}, "voiceops_incident_id"),
        ({"voiceops_attempt_at": "25:99"}, "voiceops_attempt_at"),
        ({"voiceops_attempt_at": "2026-02-30T10:00:00Z"}, "voiceops_attempt_at"),
        ({"voiceops_window": "soon"}, "voiceops_window"),
    ],
)
def test_a_malformed_time_is_told_and_the_diagnosis_goes_on(lab, variables, sentence):
    play = lab("healthy").play("diagnose.yml", "-e", json.dumps({**PASSIVE, **variables}))

    assert play.returncode == 0, play.output
    assert sentence in " ".join(play.incident["problems"])
    assert sentence in play.output
    assert play.incident["evidence"]["service"]["state"] == "healthy"


def test_a_folder_of_rules_that_is_none_is_told_by_its_variable(lab):
    play = lab("healthy").play("diagnose.yml", "-e", json.dumps({**PASSIVE, "voiceops_rules": "/nowhere"}))

    assert play.returncode == 2, play.output
    assert "voiceops_rules: expected a folder with rules (*.yml), got /nowhere" in play.output
    assert play.incident["evidence"]["service"]["state"] == "healthy"


@pytest.mark.parametrize("variables", [{"voiceops_agent_via": "the Mac"}, {"voiceops_callback_probe": "everything"}])
def test_nobody_meets_a_wall_of_json_for_a_bad_variable(lab, variables):
    play = lab("healthy").play("diagnose.yml", "-e", json.dumps({**PASSIVE, **variables}))

    assert max(map(len, play.output.splitlines())) < 400


@pytest.mark.parametrize("variables", [{"voiceops_livekit_url": "no-scheme"}, {"voiceops_livekit_api_secret": ""}])
def test_a_proof_that_cannot_be_made_says_all_of_why_in_80_columns(lab, variables):
    play = lab("healthy").play("verify.yml", "-e", json.dumps(variables))

    assert play.returncode == 0, play.output
    told = play.output[play.output.index("NOT KNOWN: ") :].split("\n\n", 1)[0]
    assert max(map(len, told.splitlines())) <= 80
    name = next(iter(variables))
    assert f"NOT KNOWN: {name}: expected" in told
    assert "got 'no-scheme'" in told or "got nothing" in told


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("- {id: x, layer: agent, title: t, because: b, when: [agent.state == 1]}", "agent has no signal 'state'"),
        ("- {id: x, layer: agent, title: t, because: b, when: ['1 +']}", "1 +"),
        ("- {id: healthy, layer: agent, title: t, because: b, when: [agent.found]}", "healthy"),
        ("{", "mine.yml"),
    ],
    ids=["unknown signal", "syntax", "an id of the collection's", "no YAML"],
)
def test_broken_rules_fail_the_play_after_the_evidence_is_written(lab, tmp_path, rule, sentence):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.yml").write_text(rule, encoding="utf-8")
    given = {**PASSIVE, "voiceops_rules": str(tmp_path / "rules")}

    play = lab("healthy").play("diagnose.yml", "-e", json.dumps(given))

    assert play.returncode == 2, play.output
    assert "mine.yml" in play.output
    assert sentence in " ".join(play.incident["problems"])
    assert play.incident["evidence"]["service"]["state"] == "healthy"
    assert play.incident["verdict"]["state"] == "inconclusive"


def test_a_probe_mode_that_does_not_exist_is_named_and_the_passive_verdict_kept(lab):
    play = lab("tunnel-offline").play("diagnose.yml", "-e", json.dumps({"voiceops_dispatch_probe": "sometimes"}))

    assert play.returncode == 2, play.output
    sentence = "voiceops_dispatch_probe: expected one of auto, always, never, got sometimes"
    assert play.incident["problems"] == [sentence]
    assert play.incident["verdict"]["id"] == "tunnel_offline"


def test_a_probe_of_which_an_option_is_bad_is_told_in_one_sentence(lab):
    given = {"voiceops_dispatch_probe": "always", "voiceops_dispatch_cold_start": "soon"}
    play = lab("tunnel-offline").play("diagnose.yml", "-e", json.dumps(given))

    assert play.returncode == 2, play.output
    sentence = "voiceops_dispatch_cold_start: expected seconds above 0 and up to 3600, got 'soon'"
    assert play.incident["problems"] == [sentence]
    assert play.incident["verdict"]["id"] == "tunnel_offline"


def test_a_state_to_fail_on_fails_the_play_with_its_verdict(lab):
    play = lab("tunnel-offline").play("diagnose.yml", "-e", json.dumps({"voiceops_fail_on": ["fault"]}))

    assert play.returncode == 2, play.output
    assert "voiceops_fail_on" in play.output
    assert play.incident["verdict"]["id"] == "tunnel_offline"


def test_a_state_that_does_not_exist_is_named_after_the_report(lab):
    play = lab("tunnel-offline").play("diagnose.yml", "-e", json.dumps({"voiceops_fail_on": ["faulty"]}))

    assert play.returncode == 2, play.output
    assert "voiceops_fail_on: expected a list of fault and inconclusive" in play.output
    assert play.incident["verdict"]["id"] == "tunnel_offline"


@pytest.mark.parametrize("playbook", ["verify.yml", "canary.yml", "remediate.yml"])
def test_so_it_is_by_what_does_more_than_to_report(lab, playbook):
    play = lab("healthy").play(playbook, "-e", json.dumps({"voiceops_fail_on": ["faulty"]}))

    assert play.returncode == 2, play.output
    told = "voiceops_fail_on: expected a list of fault and inconclusive, got ['faulty']."
    assert told in " ".join(play.output.split())


def test_no_secret_is_in_the_output_or_the_artifacts_at_any_verbosity(lab):
    running = lab("healthy")
    secrets = [
        running.facts["variables"][name]
        for name in ("voiceops_livekit_api_secret", "voiceops_callback_key", "voiceops_livekit_api_key")
    ]

    play = running.play("diagnose.yml", "-vvvv")

    assert play.returncode == 0, play.output
    written = [path.read_text(encoding="utf-8") for path in play.artifacts.rglob("*") if path.is_file()]
    assert len(written) > 3
    for secret in secrets:
        assert secret not in play.output
        assert not any(secret in text for text in written)


def test_a_repair_of_the_latest_incident_where_there_is_none_repairs_nothing(lab):
    """By then, C(latest) is the diagnosis that the repair itself began with."""
    play = lab("service-down").play("remediate.yml", "-e", json.dumps({**PASSIVE, "voiceops_incident_id": "latest"}))

    assert play.returncode == 2, play.output
    assert "voiceops_incident_id: expected the id of an incident in" in play.output
    assert play.incident["verdict"]["id"] == "service_down"
    assert play.incident["remediation"] is None


def test_a_repair_with_a_bad_budget_does_not_begin(lab):
    play = lab("service-down").play("remediate.yml", "-e", json.dumps({**PASSIVE, "voiceops_repair_per_day": "few"}))

    assert play.returncode == 2, play.output
    told = "voiceops_repair_per_day: expected a whole number, got 'few'"
    assert told in " ".join(play.output.split())
    assert play.incident["remediation"] is None
    assert not (play.artifacts / "state").exists()


def test_a_bad_variable_of_the_look_after_the_probe_does_not_cost_the_proof(lab):
    play = lab("incident-2026-02-06").play("verify.yml", "-e", json.dumps({"voiceops_agent_via": "the Mac"}), "-v")

    assert play.returncode == 0, play.output
    assert "NOT VERIFIED: " in play.output
    assert "voiceops_agent_via: expected one of auto, lk, api, got 'the Mac'" in play.output


def test_a_canary_names_the_variable_that_is_of_the_wrong_kind(lab):
    play = lab("healthy").play("canary.yml", "-e", json.dumps({"voiceops_livekit_url": ["wss://a.livekit.cloud"]}))

    assert "voiceops_livekit_url: expected a text, got a list" in play.output
    assert "Finalization" not in play.output


def test_a_canary_that_could_not_tell_when_to_give_up_does_not_begin(lab):
    play = lab("healthy").play("canary.yml", "-e", json.dumps({"voiceops_dispatch_deadline": "soon"}))

    assert play.returncode == 2, play.output
    told = "voiceops_dispatch_deadline: expected seconds above 0 and up to 3600, got 'soon'"
    assert told in " ".join(play.output.split())
    assert not play.artifacts.exists()


def test_a_host_that_the_run_leaves_out_is_not_taken_for_one_that_the_inventory_lacks(lab):
    play = lab("healthy").play("diagnose.yml", "--limit", "localhost,mac", "-e", json.dumps(PASSIVE))

    assert play.returncode == 0, play.output
    assert "the run left pi-hub out (--limit)" in play.incident["evidence"]["service"]["summary"]
    assert play.incident["evidence"]["agent"]["state"] == "healthy"


def test_asked_alone_the_service_takes_only_calls_of_the_route_for_the_agents(lab, tmp_path):
    """As where another layer's variable is bad. The tunnel's own GET of the route is in the service's log, too."""
    scenario = tmp_path / "logged.yml"
    scenario.write_text(
        "name: logged\ntitle: The service logs all requests\napi: {logs_requests: true}\n"
        "expected: {verdict: healthy, state: healthy, remedy: null}\n",
        encoding="utf-8",
    )
    running = lab(scenario)

    for variables in (PASSIVE, {**PASSIVE, "voiceops_agent_via": "the Mac"}):
        play = running.play("diagnose.yml", "-e", json.dumps(variables))

    service = play.incident["evidence"]["service"]
    logged = [event["what"] for event in service["events"] if "GET /api/internal/sessions 405" in event["what"]]
    assert logged == []
    assert service["signals"]["callbacks"] == 0
