# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that change the agent in LiveKit Cloud, each in a playbook of its own against the lab."""

from __future__ import annotations

import json

import pytest

ASLEEP = {"wakes": False, "deployments": [{"status": "Sleeping", "replicas": 0}], "versions": [{"status": "Sleeping"}]}
BAD = {
    "crashes": True,
    "deployments": [{"status": "CrashLoop", "version": "bad"}],
    "versions": [
        {"version": "good", "current": False, "created_at": "-3d", "deployed_at": "-3d"},
        {"version": "bad", "current": True, "created_at": "-1d", "deployed_at": "-1d"},
    ],
}
QUICK = {"voiceops_agent_settle": 1}
SECRETS = {"INTERNAL_SERVICE_KEY": "k3y-of-the-test", "OPENAI_API_KEY": "s3cret $x #y"}


@pytest.mark.parametrize(
    ("role", "agent", "summary"),
    [
        ("restart_agent", ASLEEP, "LiveKit took the restart on, and the agent runs"),
        ("redeploy_agent", ASLEEP, "and runs"),
        ("rollback_agent", BAD, "rolled back from version bad to good, which runs"),
    ],
)
def test_the_agent_is_changed_and_check_mode_only_tells_it(lab, scenario, play_role, role, agent, summary):
    running = lab(scenario("changes", cloud={"agent": agent}, variables=QUICK))

    play, predicted = play_role(running, role, "mac", "--check", "--diff")
    assert play.returncode == 0, play.output
    assert (predicted["changed"], predicted["summary"].startswith("would ")) == (True, True)
    assert next(step["what"] for step in predicted["steps"]) == "look at the agent"

    play, result = play_role(running, role, "mac", "--diff")
    assert play.returncode == 0, play.output
    assert (result["changed"], result["observed"]) == (True, "running")
    assert result["summary"].endswith(summary)
    assert result["before"] == predicted["before"]
    assert '+    "status": "Running",' in play.output
    if role == "redeploy_agent":
        assert "  ... #2 [1/2] FROM docker.io/library/python:3.13-slim" in play.output.splitlines()


def test_a_deploy_that_was_meant_for_a_version_is_not_done_twice(lab, scenario, play_role):
    running = lab(scenario("twice", cloud={"agent": ASLEEP}, variables=QUICK))
    _play, told = play_role(running, "redeploy_agent", "mac", "--check")
    once = {"voiceops_agent_from_version": told["before"]["version"]}

    play, result = play_role(running, "redeploy_agent", "mac", **once)
    assert play.returncode == 0, play.output
    assert (result["changed"], result["rollback_to"]) == (True, told["before"]["version"])

    play, again = play_role(running, "redeploy_agent", "mac", **once)
    assert play.returncode == 0, play.output
    assert (again["changed"], again["after"]["version"]) == (False, result["after"]["version"])


def test_a_refusal_fails_the_task_with_what_to_do(lab, scenario, play_role):
    running = lab(scenario("refused", cloud={"agent": BAD, "plan": "free"}, variables=QUICK))

    play, _nothing = play_role(running, "rollback_agent", "mac")

    assert play.returncode == 2, play.output
    assert "LiveKit rolls back on its paid plans only" in " ".join(play.output.split())


def names(running):
    """The agent's secrets, as a diagnosis finds them."""
    return sorted(running.play("diagnose.yml").incident["evidence"]["secrets"]["signals"]["names"])


@pytest.mark.parametrize("version", ["2.13.2", "2.18.2"])
def test_secrets_are_set_one_at_a_time_and_shown_nowhere_however_much_is_told(
    lab, scenario, play_role, tmp_path, version
):
    old = {"secrets": [{"name": "INTERNAL_SERVICE_KEY"}, {"name": "OTHER"}]}
    calls = tmp_path / "calls"
    running = lab(scenario("secrets", cloud={"agent": old}, lk_version=version, variables=QUICK))
    environment = {**running.facts["variables"]["voiceops_lk_environment"], "LAB_LK_CALLS": str(calls)}
    given = {"voiceops_secret_values": SECRETS, "voiceops_lk_environment": environment}

    play, predicted = play_role(running, "update_secrets", "mac", "--check", **given)
    assert play.returncode == 0, play.output
    assert (predicted["changed"], "update-secrets" in calls.read_text(encoding="utf-8")) == (True, False)

    play, result = play_role(running, "update_secrets", "mac", "-vvv", "--diff", **given)
    assert play.returncode == 0, play.output
    assert result["changed"] is True
    assert result["summary"].startswith("the secret INTERNAL_SERVICE_KEY is set; the secret OPENAI_API_KEY is set, and")
    called = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
    assert [words[1] for words in called if "update-secrets" in words] == ["update-secrets", "update-secrets"]
    assert "--overwrite" not in calls.read_text(encoding="utf-8")
    for value in SECRETS.values():
        assert value not in play.output.replace("\\", "")
        assert value not in json.dumps(result)
        assert value not in calls.read_text(encoding="utf-8")
    assert names(running) == ["INTERNAL_SERVICE_KEY", "OPENAI_API_KEY", "OTHER"]

    for asked, planned in ((True, "false"), (False, "true")):
        careful = {"voiceops_secret_only_if_missing": asked, "update_secrets_only_if_missing": planned}
        play, again = play_role(running, "update_secrets", "mac", **careful, **given)
        assert play.returncode == 0, play.output
        assert again["changed"] is False


@pytest.mark.parametrize(
    ("values", "version", "sentence"),
    [
        ({}, "2.13.2", "voiceops_secret_values: expected the secrets' values by their names, got nothing"),
        ({"OPENAI_API_KEY": "it's"}, "2.13.2", "value (of OPENAI_API_KEY): expected no single quote"),
        ({"OPENAI_API_KEY": "x1y2"}, "2.5.6", "lk 2.5.6 ended without a word, so the secret OPENAI_API_KEY is not set"),
    ],
    ids=["nothing to set", "what lk cannot take", "an old lk"],
)
def test_a_secret_that_is_not_set_fails_the_task_and_says_why(lab, scenario, play_role, values, version, sentence):
    running = lab(scenario("secrets", lk_version=version, variables=QUICK))

    play, _nothing = play_role(running, "update_secrets", "mac", voiceops_secret_values=values)

    assert play.returncode == 2, play.output
    assert sentence in " ".join(play.output.split()), play.output
