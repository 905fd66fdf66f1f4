# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on the oldest ansible-core that the collection works with, and on the newest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from parts import LeftOutError, Part
from parts.controllers import NEWEST, OLDEST

from .conftest import Lab


@pytest.fixture(params=[OLDEST, NEWEST], ids=lambda part: part.name)
def controlled(request: pytest.FixtureRequest, lab: Callable[[Any], Lab]) -> Callable[[Any], Lab]:
    """Bring labs up that are controlled by another ansible-core."""
    part: Part = request.param
    try:
        python = part.made() / "bin" / "python"
    except LeftOutError as problem:
        pytest.skip(f"left out: {problem}")
    return lambda scenario: replace(lab(scenario), ansible_playbook=(python, "-m", "ansible", "playbook"))


def test_the_incident_is_diagnosed_and_repaired(controlled: Callable[[Any], Lab]) -> None:
    play = controlled("incident-2026-02-06").play("remediate.yml", "-e", "voiceops_approve=true")

    assert play.returncode == 0, play.output
    assert "WARNING" not in play.output
    record = play.incident
    assert record["verdict"]["id"] == "cloud_agent_dormant_no_wake"
    asked = {layer: found["state"] for layer, found in record["evidence"].items()}
    assert [layer for layer, state in asked.items() if state == "unknown"] == ["client"], play.output
    assert record["remediation"]["verdict"] == "repaired"
    assert record["remediation"]["after"]["callbacks"] == {"journal": 0, "inspector": None}


def test_a_healthy_system_is_found_healthy_by_the_canary_and_the_proof(controlled: Callable[[Any], Lab]) -> None:
    running = controlled("healthy")
    for playbook, end in (("canary.yml", "healthy"), ("verify.yml", "joined"), ("diagnose.yml", "healthy")):
        play = running.play(playbook)
        assert play.returncode == 0, play.output
        assert end in play.output
    replayed = running.play("replay.yml", "-e", "voiceops_incident=latest")
    assert replayed.returncode == 0, replayed.output
    assert "changed=0" in replayed.output
