# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent restarted, rolled back, and observed, by C(lk), the stand-in or a real one, at the stand-in cloud."""

from __future__ import annotations

import re

import pytest
from integration.agent_running import CRASHES, SLEEPS, VERSION, change
from integration.lk_running import AGENT, STAND_IN, old_and_real

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_watch

TOO_MANY = {"status": 429, "code": "resource_exhausted", "msg": "too many requests"}
AWAY = {"status": 503, "code": "unavailable", "msg": "no response from servers"}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ten times as often as with the real cloud."""
    monkeypatch.setattr(agent_watch, "POLL_S", 0.2)


# Restart


@old_and_real
def test_a_sleeping_agent_is_restarted_and_seen_to_run(tmp_path, lk):
    done = change(tmp_path, "restarted", agent=SLEEPS, by=lk)
    assert done.result["summary"] == "LiveKit took the restart on, and the agent runs"
    assert (done.result["changed"], done.result["observed"], done.result["limits"]) == (True, "running", [])
    assert (done.result["before"]["status"], done.result["after"]["status"]) == ("Sleeping", "Running")
    assert [step["what"] for step in done.result["steps"]] == [
        "look at the agent",
        "lk agent restart",
        "wait until the agent runs again",
    ]
    assert done.result["steps"][1]["output"] == [f"Restarted agent [{AGENT}]"]
    assert done.commands == ["restart"]


@old_and_real
def test_a_restart_of_a_running_agent_shows_in_its_log(tmp_path, lk):
    old = '{"message": "registered worker", "timestamp": "2026-02-06T20:00:00.000000+00:00"}'
    done = change(tmp_path, "restarted", agent={"logs": [old]}, settle=600.0, by=lk)
    assert (done.result["observed"], done.result["limits"]) == ("running", [])


def test_a_restart_that_nothing_shows_is_told_to_be_livekits_word(tmp_path):
    done = change(tmp_path, "restarted")
    assert done.result["observed"] == "running"
    assert done.result["limits"] == ["neither status nor log showed the restart: that it happened is LiveKit's word"]


def test_new_containers_are_waited_for(tmp_path):
    done = change(tmp_path, "restarted", agent={**SLEEPS, "start_delay": 3.0})
    assert (done.result["observed"], done.result["after"]["status"]) == ("running", "Running")
    assert done.result["steps"][-1]["took_s"] >= 1.0


@old_and_real
def test_an_agent_that_crashes_after_its_restart_is_no_success(tmp_path, lk):
    done = change(tmp_path, "restarted", agent={**SLEEPS, "crashes": True}, by=lk)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "crashed", True)
    assert "the agent does not run: LiveKit says CrashLoop of version" in done.result["msg"]
    # The path of lk is in quotes if it has a space.
    assert re.search(r"lk'? agent logs --id ", done.result["msg"])


def test_an_agent_that_does_not_come_back_in_time_is_told_with_its_last_status(tmp_path):
    done = change(tmp_path, "restarted", agent={**SLEEPS, "start_delay": 600.0}, deadline=12.0)
    assert (done.result["failed"], done.result["reason"]) == (True, "late")
    assert "LiveKit says Scheduling" in done.result["msg"]


@pytest.mark.parametrize("state", ["restarted", "deployed", "rolled_back"])
def test_in_check_mode_it_is_told_and_nothing_is_done(tmp_path, state):
    done = change(tmp_path, state, check=True, agent=CRASHES, source="any")
    assert done.result["changed"] is True
    assert done.result["summary"].startswith("would ")
    assert done.commands == []
    expected = {"restarted": "bad", "deployed": "a new version", "rolled_back": "good"}
    assert (done.result["before"]["version"], done.result["after"]["version"]) == ("bad", expected[state])


@pytest.mark.parametrize("state", ["restarted", "deployed", "rolled_back"])
def test_what_was_begun_for_a_version_is_not_done_for_another(tmp_path, state):
    done = change(tmp_path, state, agent=CRASHES, source="any", from_version="good")
    assert (done.result["changed"], done.commands) == (False, [])
    assert done.result["summary"] == "version bad serves, not good: nothing was done"


def test_what_was_begun_for_this_version_is_done(tmp_path):
    assert change(tmp_path, "restarted", agent=SLEEPS, from_version=VERSION).commands == ["restart"]


# Roll back


@old_and_real
def test_the_last_good_version_is_put_back_and_then_left_alone(tmp_path, lk):
    done = change(tmp_path, "rolled_back", agent=CRASHES, by=lk)
    assert done.result["summary"] == "rolled back from version bad to good, which runs"
    assert (done.result["before"]["version"], done.result["after"]["version"]) == ("bad", "good")
    assert done.calls[-1][:2] != ["agent", "rollback"]
    assert ["agent", "rollback", "--version", "good", "--id", AGENT] in [words[:6] for words in done.calls]


def test_a_version_that_serves_already_is_left_alone(tmp_path):
    done = change(tmp_path, "rolled_back", version="bad", agent=CRASHES)
    assert (done.result["changed"], done.commands) == (False, [])
    assert done.result["summary"] == "version bad serves already: nothing was done"


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    done = change(tmp_path, "rolled_back", version="best", agent=CRASHES)
    assert (done.result["reason"], done.commands) == ("refused", [])
    assert "expected one of bad, good, got best" in done.result["msg"]


def test_with_nothing_to_go_back_to_it_says_so(tmp_path):
    done = change(tmp_path, "rolled_back")
    assert (done.result["reason"], done.commands) == ("refused", [])
    assert done.result["msg"] == f"LiveKit lists no version from before {VERSION} to go back to"


@old_and_real
def test_on_the_free_plan_it_says_that_rolling_back_is_for_paid_ones(tmp_path, lk):
    done = change(tmp_path, "rolled_back", agent=CRASHES, cloud={"plan": "free"}, by=lk)
    assert (done.result["failed"], done.result["reason"]) == (True, "refused_by_livekit")
    assert "LiveKit rolls back on its paid plans only" in done.result["msg"]
    assert done.result["changed"] is False


# Faults on the way


@old_and_real
def test_a_network_that_is_gone_in_the_middle_and_comes_back_is_waited_out(tmp_path, lk):
    # Two looks come before the restart; the next calls fail.
    faults = {"ListAgents": {**AWAY, "after": 1, "times": 4}, "ListAgentVersions": {**AWAY, "after": 1, "times": 2}}
    done = change(tmp_path, "restarted", agent=SLEEPS, cloud={"faults": faults}, by=lk)
    assert (done.result.get("failed"), done.result["observed"]) == (None, "running")


def test_a_network_that_does_not_come_back_ends_late_with_the_reason(tmp_path):
    faults = {"ListAgents": {**AWAY, "after": 1}}
    done = change(tmp_path, "restarted", agent=SLEEPS, cloud={"faults": faults}, deadline=12.0)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "late", True)
    assert "the last look failed: lk failed with exit code 1: unable to list agents: no response" in done.result["msg"]


def test_too_many_calls_while_watching_are_waited_out(tmp_path):
    faults = {"ListAgents": {**TOO_MANY, "after": 1, "times": 2}}
    done = change(tmp_path, "restarted", agent=SLEEPS, cloud={"faults": faults})
    assert (done.result.get("failed"), done.result["observed"]) == (None, "running")


@old_and_real
def test_too_many_calls_at_the_act_itself_are_told_and_nothing_is_claimed(tmp_path, lk):
    done = change(tmp_path, "restarted", agent=SLEEPS, cloud={"faults": {"RestartAgent": TOO_MANY}}, by=lk)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "rate_limited", False)
    assert "try again in a minute" in done.result["msg"]


@old_and_real
def test_an_lk_that_hangs_is_ended_at_the_deadline(tmp_path, lk):
    faults = {"RestartAgent": {"hangs": True}}
    done = change(tmp_path, "restarted", agent=SLEEPS, cloud={"faults": faults}, deadline=12.0, by=lk)
    assert (done.result["failed"], done.result["reason"]) == (True, "timeout")
    assert "lk gave no answer in time" in done.result["msg"]


@pytest.mark.parametrize(
    ("options", "reason", "sentence"),
    [
        ({"lk": str(STAND_IN) + "-none"}, "missing", "lk-none"),
        ({"livekit_url": "wss://other.livekit.cloud"}, "project_mismatch", "belongs to the project 'my-project'"),
        ({"cloud": {"credentials": "refused"}}, "unauthorized", "LiveKit refuses the credentials"),
        ({"cloud": {"agent": None}}, "no_agent", "the project has no such agent"),
    ],
    ids=["no lk", "other project", "credentials", "no such agent"],
)
@old_and_real
def test_what_it_needs_and_lacks_is_named(tmp_path, options, reason, sentence, lk):
    done = change(tmp_path, "restarted", by=lk, **options)
    assert (done.result["failed"], done.result["changed"], done.commands) == (True, False, [])
    assert sentence in done.result["msg"]
    assert done.result["reason"] == reason
