# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repair of an agent in LiveKit Cloud: the ladder of its remedies, and what may go wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab
from .repairing import APPROVED, ASLEEP, DORMANT, acts, ledger, remediation, repair, state, told

STALE = {**DORMANT, "restart_helps": False}
QUICK = {"voiceops_agent_settle": 1, "voiceops_dispatch_deadline": 3, "voiceops_dispatch_cold_start": 2.9}
VERSION = "20260204101112"


def asleep(scenario: Callable[..., Path], **cloud: Any) -> Path:
    return scenario("asleep", attempt=ASLEEP["attempt"], cloud={"agent": DORMANT, **cloud}, variables=QUICK)


def test_where_a_restart_does_not_help_the_agent_is_deployed_again(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    play = repair(lab(asleep(scenario, agent=STALE)), *APPROVED)

    assert play.returncode == 0, play.output
    found = remediation(play)
    assert found["verdict"] == "repaired", play.output
    assert acts(play) == [("redispatch", "unchanged"), ("restart_agent", "done"), ("redeploy_agent", "done")]
    assert (found["before"]["joined"], found["after"]["joined"]) == (False, True)
    assert "What helped: redeploy_agent." in told(play)
    assert [(entry["remedy"], entry["outcome"]) for entry in ledger(play)] == [
        ("restart_agent", "failed"),
        ("redeploy_agent", "helped"),
    ]
    deployed = next(step for step in found["steps"] if step["remedy"] == "redeploy_agent")
    assert "#2 [1/2] FROM docker.io/library/python:3.13-slim" in deployed["output"]


def test_a_deploy_that_stays_asleep_is_no_repair_and_after_two_failures_a_person_must_look(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(asleep(scenario, agent={**STALE, "next": "sleeps"}))

    play = repair(running, *APPROVED)

    assert play.returncode == 0, play.output
    found = remediation(play)
    assert found["verdict"] == "needs_human", play.output
    assert acts(play)[-1] == ("redeploy_agent", "done")
    assert (found["after"]["joined"], found["after"]["cause"]) == (False, "confirmed")
    assert "Tried in vain: restart_agent, redeploy_agent." in told(play)
    assert "NEXT" not in told(play)

    again = repair(running, *APPROVED, "-e", "voiceops_repair_cooldown=0s", "-e", "voiceops_repair_per_hour=9")
    assert remediation(again)["verdict"] == "needs_human", again.output
    assert "2 repairs in a row did not help (restart_agent, redeploy_agent)" in told(again)
    assert acts(again) == [("redispatch", "unchanged")]


def test_a_deploy_that_builds_but_crashes_says_what_to_go_back_to(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    play = repair(lab(asleep(scenario, agent={**STALE, "next": "crashes"})), *APPROVED)

    assert play.returncode == 0, play.output
    assert (remediation(play)["verdict"], acts(play)[-1]) == ("broken", ("redeploy_agent", "failed")), play.output
    assert "the new version is deployed, but does not run: LiveKit says CrashLoop" in told(play)
    assert f"version {VERSION} served before, roll back to it" in told(play)
    assert [entry["outcome"] for entry in ledger(play)] == ["failed", "failed"]


def test_a_build_that_fails_tells_its_last_lines(lab: Callable[[Any], Lab], scenario: Callable[..., Path]) -> None:
    play = repair(lab(asleep(scenario, agent={**STALE, "next": "build-fails"})), *APPROVED)

    assert (remediation(play)["verdict"], acts(play)[-1]) == ("broken", ("redeploy_agent", "failed")), play.output
    assert f"the build failed, and version {VERSION} serves as before" in told(play)
    record = (play.artifacts / "latest" / "incident.json").read_text(encoding="utf-8")
    assert "Could not find a version that satisfies the requirement livekit-agentz" in record
    assert "sk-labsecret0123456789" not in record + play.output


@pytest.mark.parametrize(
    ("faults", "variables", "verdict", "outcome", "sentence"),
    [
        (
            {"RestartAgent": {"status": 429, "code": "resource_exhausted", "msg": "too many requests"}},
            {},
            "blocked",
            "refused",
            "LiveKit takes no more calls for now",
        ),
        (
            {"RestartAgent": {"hangs": True}},
            {"voiceops_agent_deadline": 4},
            "broken",
            "failed",
            "lk gave no answer in time",
        ),
        (
            {"RestartAgent": {"status": 503, "code": "unavailable", "msg": "no response from servers"}},
            {},
            "broken",
            "failed",
            "no response from servers",
        ),
    ],
    ids=["too many calls", "lk hangs", "LiveKit is away"],
)
def test_a_restart_that_fails_is_told_and_the_agent_unlocked(
    lab: Callable[[Any], Lab],
    scenario: Callable[..., Path],
    faults: dict[str, Any],
    variables: dict[str, Any],
    verdict: str,
    outcome: str,
    sentence: str,
) -> None:
    path = scenario(
        "fails",
        attempt=ASLEEP["attempt"],
        cloud={"agent": DORMANT, "faults": faults},
        variables={**QUICK, **variables},
    )

    play = repair(lab(path), *APPROVED)

    assert play.returncode == 0, play.output
    assert (remediation(play)["verdict"], acts(play)[-1]) == (verdict, ("restart_agent", outcome)), play.output
    assert sentence in told(play)
    assert not [name for name in state(play) if name.endswith(".lock")]
    # What LiveKit did not take on was no repair.
    assert [entry["outcome"] for entry in ledger(play)] == ([] if outcome == "refused" else ["failed"])


def test_a_network_that_goes_after_the_act_leaves_it_unproven(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    away = {"status": 503, "code": "unavailable", "msg": "no response from servers"}
    # The third room that is asked for is that of the proof.
    play = repair(lab(asleep(scenario, then=[{"at_room": 3, "faults": {"*": away}}])), *APPROVED)

    assert play.returncode == 0, play.output
    assert acts(play)[-1] == ("restart_agent", "done")
    assert remediation(play)["verdict"] == "needs_human", play.output
    assert "It is not proven that an agent joins now" in told(play)
    assert [entry["outcome"] for entry in ledger(play)] == ["failed"]


def test_a_source_that_differs_blocks_the_deploy(lab: Callable[[Any], Lab], scenario: Callable[..., Path]) -> None:
    running = lab(
        scenario(
            "other-commit",
            attempt=ASLEEP["attempt"],
            lk_version="2.18.2",
            cloud={
                "agent": {
                    **STALE,
                    "source_commit": "a" * 40,
                    "versions": [{"status": "Sleeping", "attributes": {"git_commit": "b" * 40}}],
                }
            },
            variables=QUICK,
        )
    )

    play = repair(running, *APPROVED)

    assert (remediation(play)["verdict"], acts(play)[-1]) == ("blocked", ("redeploy_agent", "refused")), play.output
    assert "is at commit aaaaaaaaaaaa, but bbbbbbbbbbbb is deployed: check that one out" in told(play)
    assert [(entry["remedy"], entry["outcome"]) for entry in ledger(play)] == [("restart_agent", "failed")]


def test_a_secret_that_is_missing_is_set_from_the_vault_and_shown_nowhere(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    lacking = {"secrets": [{"name": "INTERNAL_SERVICE_KEY"}, {"name": "NEXT_APP_URL"}]}
    running = lab(scenario("lacks", attempt=ASLEEP["attempt"], cloud={"agent": lacking}, variables=QUICK))

    nothing = repair(running)
    assert (remediation(nothing)["verdict"], acts(nothing)) == ("blocked", [("update_secret", "refused")])
    assert "voiceops_secret_values: expected the secrets' values by their names, got nothing" in told(nothing)

    values = {"NEXT_APP_URL": "an-older-value-of-the-vault", "OPENAI_API_KEY": "k3y-of-the-test"}
    play = repair(running, "-vv", "-e", json.dumps({"voiceops_secret_values": values}))

    assert play.returncode == 0, play.output
    assert acts(play) == [("update_secret", "done")]
    assert (remediation(play)["verdict"], remediation(play)["after"]["joined"]) == ("repaired", True), play.output
    assert "the secret NEXT_APP_URL exists already: nothing was done" in str(remediation(play)["steps"])
    assert play.output.count("k3y-of-the-test") == 0
    assert "k3y-of-the-test" not in (play.artifacts / "latest" / "incident.json").read_text(encoding="utf-8")


def test_what_could_not_be_written_down_is_followed_by_nothing(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path], tmp_path: Path
) -> None:
    running = lab(asleep(scenario, agent=STALE))
    record = running.scratch / "artifacts" / "latest" / "incident.json"
    asked = tmp_path / "asked"
    lk = tmp_path / "lk"
    # The record is lost while the agent is being restarted.
    lk.write_text(
        f"""#!/bin/sh
echo "$@" >>'{asked}'
case "$*" in *restart*) rm -f '{record}' ;; esac
exec '{running.facts["variables"]["voiceops_lk"]}' "$@"
""",
        encoding="utf-8",
    )
    lk.chmod(0o755)

    play = repair(running, *APPROVED, "-e", f"voiceops_lk={lk}")

    assert play.returncode != 0, play.output
    assert "cannot be kept" in play.output
    calls = asked.read_text(encoding="utf-8").split("\n")
    assert [line for line in calls if " restart" in line], calls
    assert not [line for line in calls if " deploy " in line], calls
