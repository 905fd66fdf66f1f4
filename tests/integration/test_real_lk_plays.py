# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis and repair from end to end with real ones of C(lk), against the lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bank.cases import find

from lab.lk_cli.app import numbers
from lab.lk_cli.commands import MERGES_SINCE
from lab.scenario import SCENARIOS

from .conftest import Lab
from .lk_running import REAL, Lk, each_real_lk
from .repairing import APPROVED, ASLEEP, DORMANT, acts, remediation, repair

# Up to 2.6.2 lk sets no secret, and 2.13.0 ends no deploy without an answer.
able = pytest.mark.parametrize(
    "lk", [lk for lk in REAL if numbers(lk.version) >= MERGES_SINCE and lk.version != "2.13.0"], ids=str
)
QUICK = {"voiceops_agent_settle": 1, "voiceops_dispatch_deadline": 3, "voiceops_dispatch_cold_start": 2.9}


@pytest.fixture
def lab_with(lab: Callable[[str | Path], Lab], monkeypatch: pytest.MonkeyPatch) -> Callable[[Lk, Path], Lab]:
    """Bring up a lab whose control host has that C(lk)."""

    def up(lk: Lk, path: Path) -> Lab:
        monkeypatch.setenv("LAB_LK", lk.program)
        return lab(path)

    return up


@each_real_lk
@pytest.mark.parametrize("name", ["incident-2026-02-06", "agent-missing-secret", "agent-crash-loop"])
def test_the_diagnosis_is_the_one_expected(lab_with: Callable[..., Lab], lk: Lk, name: str) -> None:
    path = SCENARIOS / f"{name}.yml"

    play = lab_with(lk, path).play()

    assert play.returncode == 0, play.output
    assert play.incident["evidence"]["agent"]["signals"]["via"] == "lk"
    case, *_variants = find(path)
    assert case.differences(play.incident) == [], play.output


@able
def test_an_agent_that_sleeps_is_restarted_deployed_again_and_proven(
    lab_with: Callable[..., Lab], scenario: Callable[..., Path], lk: Lk
) -> None:
    stale = {**DORMANT, "restart_helps": False}
    path = scenario("asleep", attempt=ASLEEP["attempt"], cloud={"agent": stale}, variables=QUICK)

    play = repair(lab_with(lk, path), *APPROVED)

    assert play.returncode == 0, play.output
    found = remediation(play)
    assert found["verdict"] == "repaired", play.output
    assert acts(play) == [("redispatch", "unchanged"), ("restart_agent", "done"), ("redeploy_agent", "done")]
    assert (found["before"]["joined"], found["after"]["joined"]) == (False, True)
    deployed = next(step for step in found["steps"] if step["remedy"] == "redeploy_agent")
    assert "#1 [internal] load remote build context" in deployed["output"]


@able
def test_a_secret_that_is_missing_is_set_and_shown_nowhere(
    lab_with: Callable[..., Lab], scenario: Callable[..., Path], lk: Lk
) -> None:
    lacking = {"secrets": [{"name": "INTERNAL_SERVICE_KEY"}, {"name": "NEXT_APP_URL"}]}
    running = lab_with(lk, scenario("lacks", attempt=ASLEEP["attempt"], cloud={"agent": lacking}, variables=QUICK))

    play = repair(running, "-vv", "-e", json.dumps({"voiceops_secret_values": {"OPENAI_API_KEY": "k3y-of-the-test"}}))

    assert play.returncode == 0, play.output
    assert acts(play) == [("update_secret", "done")]
    assert remediation(play)["verdict"] == "repaired", play.output
    record = (play.artifacts / "latest" / "incident.json").read_text(encoding="utf-8")
    assert "k3y-of-the-test" not in play.output + record


@each_real_lk
def test_the_version_that_crashes_is_rolled_back(
    lab_with: Callable[..., Lab], scenario: Callable[..., Path], play_role: Callable[..., Any], lk: Lk
) -> None:
    versions = [
        {"version": "good", "current": False, "created_at": "-3d", "deployed_at": "-3d"},
        {"version": "bad", "current": True, "created_at": "-1d", "deployed_at": "-1d"},
    ]
    bad = {"crashes": True, "deployments": [{"status": "CrashLoop", "version": "bad"}], "versions": versions}
    running = lab_with(lk, scenario("bad", cloud={"agent": bad}, variables=QUICK))

    play, result = play_role(running, "rollback_agent", "mac")

    assert play.returncode == 0, play.output
    assert result["summary"] == "rolled back from version bad to good, which runs"
