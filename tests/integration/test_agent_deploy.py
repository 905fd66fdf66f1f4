# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent deployed by C(lk), stand-in or real, at the stand-in cloud, past each of the traps of its deploy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from integration.agent_running import SLEEPS, VERSION, change
from integration.lk_running import AGENT, STAND_IN, Lk, each_of, make_project, new

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_deploy, agent_watch

BUILD = [
    "#1 [internal] load remote build context",
    "#2 [1/2] FROM docker.io/library/python:3.13-slim",
    "#3 [2/2] COPY . .",
]


def steps(lines: list[str]) -> list[str]:
    """The names of a build's steps: those that end at once may come in any order."""
    return sorted(line.partition(" ")[2] for line in lines)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ten times as often as with the real cloud."""
    monkeypatch.setattr(agent_watch, "POLL_S", 0.2)


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *named, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    """Put the agent's folder under git as it is; give the commit."""
    project = make_project(folder)
    (project / "requirements.txt").write_text("livekit-agents~=1.3\n", encoding="utf-8")
    (project / "agent.py").write_text("print('hello')\n", encoding="utf-8")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "first")
    return git(project, "rev-parse", "HEAD")


@each_of("2.5.6", "2.12.9", "2.13.2", "2.16.4", "2.18.2")
def test_a_new_version_is_deployed_and_seen_to_run_whatever_this_lk_says_at_the_end(tmp_path, lk):
    done = change(tmp_path, "deployed", agent=SLEEPS, by=lk)
    result = done.result
    assert (result["changed"], result["observed"]) == (True, "running"), result
    assert (result["before"]["version"], result["rollback_to"]) == (VERSION, VERSION)
    assert result["after"]["version"] not in (VERSION, None)
    assert result["summary"] == f"version {result['after']['version']} is deployed in place of {VERSION}, and runs"
    assert steps(done.shown) == steps(BUILD)
    yes = ["--yes"] if lk.version in ("2.16.4", "2.18.2") else []
    assert [words for words in done.calls if words[1:2] == ["deploy"] and "--help" not in words] == [
        ["agent", "deploy", *yes]
    ]


def test_the_newest_lks_other_words_for_success_are_no_trouble(tmp_path):
    wrapped = tmp_path / "lk"
    wrapped.write_text(
        f'#!/bin/sh\n"{STAND_IN}" "$@" 2> "$0.$$"; code=$?\n'
        'sed "s/^Deployed agent$/Completed deployment of agent to production/" "$0.$$" >&2; exit $code\n',
        encoding="utf-8",
    )
    wrapped.chmod(0o755)
    done = change(tmp_path, "deployed", agent=SLEEPS, lk=str(wrapped), by=new)
    assert "Completed deployment of agent to production" in done.result["steps"][2]["output"]
    assert (done.result["changed"], done.result["observed"]) == (True, "running")


def test_exit_code_0_at_the_end_of_the_build_is_not_the_end(tmp_path):
    done = change(tmp_path, "deployed", agent={**SLEEPS, "start_delay": 3.0})
    assert done.result["observed"] == "running"
    assert done.result["steps"][-1]["what"] == "wait until the new version runs"
    assert done.result["steps"][-1]["took_s"] >= 1.0


def test_a_new_version_that_stays_asleep_is_told_to_be_unproven(tmp_path):
    done = change(tmp_path, "deployed", agent={**SLEEPS, "next": "sleeps"})
    assert (done.result["changed"], done.result["observed"]) == (True, "asleep")
    assert "the new version was not seen to run: only a dispatch tells whether it wakes" in done.result["limits"]


def test_a_new_version_that_crashes_is_told_with_the_one_to_go_back_to(tmp_path):
    done = change(tmp_path, "deployed", agent={**SLEEPS, "next": "crashes"})
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "crashed", True)
    assert done.result["rollback_to"] == VERSION
    assert f"version {VERSION} served before, roll back to it" in done.result["msg"]
    assert "on the free plan, check the earlier commit out and deploy it" in done.result["msg"]


@each_of("2.13.2", "2.18.2")
def test_a_build_that_fails_is_told_by_its_last_lines_without_secrets(tmp_path, lk):
    done = change(tmp_path, "deployed", agent={**SLEEPS, "next": "build-fails"}, by=lk)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "build_failed", False)
    told = done.result["msg"]
    assert told.startswith(f"the build failed, and version {VERSION} serves as before: unable to deploy agent: "), told
    assert "No matching distribution" not in told
    assert "Could not find a version that satisfies the requirement livekit-agentz" in told
    assert "sk-labsecret0123456789" not in str(done)
    assert steps(done.shown) == steps([*BUILD, "#4 [3/3] RUN pip install -r requirements.txt"])


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (None, "livekit.toml in {folder} is missing: lk would choose an agent, or make one; nothing was deployed"),
        ('[project]\n  subdomain = "my-project"\n', "livekit.toml in {folder} names no agent"),
    ],
    ids=["no livekit.toml", "without an agent"],
)
@pytest.mark.parametrize("version", ["2.13.2", "2.16.4"])
def test_a_folder_that_names_no_agent_is_refused_before_lk_is_asked(tmp_path, toml, sentence, version):
    folder = tmp_path / "other"
    folder.mkdir()
    if toml:
        (folder / "livekit.toml").write_text(toml, encoding="utf-8")
    done = change(tmp_path, "deployed", agent_dir=str(folder), agent_id=AGENT, by=Lk(STAND_IN, version))
    assert (done.result["reason"], done.calls) == ("refused", [])
    assert sentence.format(folder=folder) in done.result["msg"]


def test_without_a_folder_it_is_refused(tmp_path):
    done = change(tmp_path, "deployed", agent_dir=None, agent_id=AGENT)
    assert (done.result["reason"], done.calls) == ("refused", [])
    assert done.result["msg"].startswith("voiceops_agent_dir: expected the agent's folder to deploy from")


def test_another_agent_than_the_folder_names_is_refused(tmp_path):
    done = change(tmp_path, "deployed", agent_id="CA_other")
    assert (done.result["reason"], done.calls) == ("refused", [])
    assert f"voiceops_agent_id: expected {AGENT}, which livekit.toml" in done.result["msg"]


@each_of("2.13.0")
def test_lk_2_13_0_which_ends_a_deploy_with_a_question_is_refused_though_it_calls_itself_2_12_9(tmp_path, lk):
    done = change(tmp_path, "deployed", by=lk)
    assert (done.result["reason"], done.commands) == ("refused", [])
    assert "ends a deploy with a question: update it" in done.result["msg"]


# The source


def test_a_source_that_differs_from_its_commit_is_named_and_refused(tmp_path):
    commit(tmp_path)
    (make_project(tmp_path) / "agent.py").write_text("print('hi')\n", encoding="utf-8")
    (make_project(tmp_path) / "new.py").write_text("", encoding="utf-8")
    done = change(tmp_path, "deployed", agent=SLEEPS)
    assert (done.result["reason"], done.commands) == ("refused", [])
    assert "differs from its commit (agent.py, new.py): commit or stash that" in done.result["msg"]


def test_a_source_that_differs_is_deployed_if_that_is_allowed_and_told(tmp_path):
    head = commit(tmp_path)
    (make_project(tmp_path) / "agent.py").write_text("print('hi')\n", encoding="utf-8")
    done = change(tmp_path, "deployed", agent=SLEEPS, source="any")
    assert done.commands == ["deploy"]
    assert (done.result["source"]["commit"], done.result["source"]["changes"]) == (head, ["agent.py"])
    assert done.result["source"]["dirty"] is True


def deployed_from(head: str) -> dict:
    # lk tags a version with its commit from 2.18.0 on.
    return {**SLEEPS, "versions": [{"version": VERSION, "attributes": {"git_commit": head}, "status": "Sleeping"}]}


def test_another_commit_than_the_deployed_one_is_refused_where_lk_tells_it(tmp_path):
    head = commit(tmp_path)
    done = change(tmp_path, "deployed", agent=deployed_from("f" * 40), by=new)
    assert (done.result["reason"], done.commands) == ("refused", [])
    assert f"is at commit {head[:12]}, but ffffffffffff is deployed: check that one out" in done.result["msg"]


@each_of("2.18.2")
def test_the_deployed_commit_is_deployed_again_and_nothing_is_left_in_doubt(tmp_path, lk):
    head = commit(tmp_path)
    done = change(tmp_path, "deployed", agent=deployed_from(head), by=lk)
    assert (done.commands, done.result["limits"]) == (["deploy"], [])
    assert (done.result["source"]["same"], done.result["source"]["dirty"]) == (True, False)


# What breaks off on the way


@each_of("2.13.2", "2.18.2")
def test_a_deploy_that_hangs_is_ended_at_the_deadline_with_its_last_words(tmp_path, monkeypatch, lk):
    monkeypatch.setattr(agent_deploy, "CALL_S", 4.0)
    faults = {"build": {"hangs": True, "after": 99}}
    done = change(tmp_path, "deployed", agent=SLEEPS, cloud={"faults": faults}, deadline=15.0, by=lk)
    assert (done.result["failed"], done.result["changed"]) == (True, False)
    assert "lk did not end within 15 s and was ended; its last words: #1 DONE 0.0s" in done.result["msg"]
    assert f"no new version serves: LiveKit says Sleeping of version {VERSION}" in done.result["msg"]
    assert done.shown == BUILD[:1]


@pytest.mark.parametrize("words", ["bufio.Scanner: token too long", "terminated signal received"])
def test_a_build_that_goes_on_without_lk_is_watched_to_its_end(tmp_path, words):
    wrapped = tmp_path / "lk"
    # The build comes to its end in the cloud, but lk trips over a long line, as all versions may, or is ended.
    wrapped.write_text(
        f'#!/bin/sh\n"{STAND_IN}" "$@" || exit\n[ "$2" != deploy ] || [ "$3" = --help ] || '
        f'{{ echo "unable to deploy agent: {words}" >&2; exit 1; }}\n',
        encoding="utf-8",
    )
    wrapped.chmod(0o755)
    done = change(tmp_path, "deployed", agent=SLEEPS, lk=str(wrapped))
    assert (done.result.get("failed"), done.result["observed"]) == (None, "running")
    assert any("lk broke off a build that may go on: unable to deploy" in each for each in done.result["limits"])


@each_of("2.13.2", "2.18.2")
def test_too_many_calls_are_told_as_such_and_not_as_a_failed_build(tmp_path, lk):
    fault = {"status": 429, "code": "resource_exhausted", "msg": "too many requests"}
    faults = dict.fromkeys(("DeployAgent", "DeployAgentV2"), fault)
    done = change(tmp_path, "deployed", agent=SLEEPS, cloud={"faults": faults}, by=lk)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "rate_limited", False)
    assert "lk said: unable to deploy agent: too many requests" in done.result["msg"]
