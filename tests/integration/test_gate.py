# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate turns what an earlier job handed on, or the incident it wrote, into success or failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = [Path(sys.executable).with_name("ansible-playbook"), "-i", "/dev/null", ROOT / "playbooks/gate.yml"]
OPEN, CLOSED = 0, 2
REMEDY = {"id": "redeploy_agent", "automatic": True}
BY_HAND = {"id": "free_disk", "automatic": False}


def gate(artifacts: Path, **given: Any) -> tuple[int, str]:
    """The exit code of the gate, and what it said."""
    extra = {"voiceops_artifacts": str(artifacts), **given}
    done = subprocess.run(
        [*PLAY, "-e", json.dumps(extra)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("opens_for", "state", "action", "code"),
    [
        ("no_fault", "healthy", "none", OPEN),
        ("no_fault", "inconclusive", "none", OPEN),
        ("no_fault", "fault", "none", CLOSED),
        ("remedy", "fault", "redeploy_agent", OPEN),
        ("remedy", "fault", "none", CLOSED),
        ("remedy", "healthy", "none", CLOSED),
        ("remedy", "fault", "free_disk", CLOSED),
        ("remedy", "inconclusive", "redeploy_agent", CLOSED),
    ],
)
def test_it_opens_only_for_what_it_waits_for(
    tmp_path: Path, opens_for: str, state: str, action: str, code: int
) -> None:
    handed_on = {"voiceops_state": state, "voiceops_action": action, "voiceops_automatic": action == "redeploy_agent"}
    found, told = gate(tmp_path, gate_opens_for=opens_for, **handed_on)
    assert found == code, told
    by_hand = " (by hand)" if action == "free_disk" else ""
    assert f"{'Open' if code == OPEN else 'Closed'} for {opens_for}: found {state}, remedy {action}{by_hand}." in told


@pytest.mark.parametrize(
    ("canary", "code"), [("healthy", OPEN), ("inconclusive", OPEN), ("busy", OPEN), ("fault", CLOSED)]
)
def test_what_the_canary_found_counts_before_the_incident_that_it_opened(
    tmp_path: Path, canary: str, code: int
) -> None:
    found, told = gate(tmp_path, voiceops_canary=canary, voiceops_state="fault" if code == OPEN else "healthy")
    assert found == code, told


def test_what_the_canary_found_is_no_remedy(tmp_path: Path) -> None:
    handed_on = {"voiceops_canary": "fault", "voiceops_state": "healthy", "voiceops_action": "none"}
    found, told = gate(tmp_path, gate_opens_for="remedy", **handed_on)
    assert found == CLOSED, told


@pytest.mark.parametrize(
    ("opens_for", "state", "remedy", "code"),
    [
        ("no_fault", "healthy", None, OPEN),
        ("no_fault", "fault", REMEDY, CLOSED),
        ("remedy", "fault", REMEDY, OPEN),
        ("remedy", "fault", BY_HAND, CLOSED),
        ("remedy", "fault", None, CLOSED),
    ],
)
def test_it_reads_the_incident_where_nothing_was_handed_on(
    tmp_path: Path, opens_for: str, state: str, remedy: dict[str, Any] | None, code: int
) -> None:
    (tmp_path / "an-id").mkdir()
    record = {"verdict": {"id": "some", "state": state, "remedy": remedy}}
    (tmp_path / "an-id/incident.json").write_text(json.dumps(record), encoding="utf-8")
    found, told = gate(tmp_path, gate_opens_for=opens_for, voiceops_incident_id="an-id")
    assert found == code, told


@pytest.mark.parametrize("opens_for", ["no_fault", "remedy"])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "voiceops_incident_id, got nothing."),
        ({"voiceops_incident_id": ""}, "voiceops_incident_id, got nothing."),
        ({"voiceops_incident_id": "gone"}, "voiceops_incident_id, got gone, which is none in "),
        ({"voiceops_canary": None, "voiceops_state": None}, "voiceops_incident_id, got nothing."),
        ({"voiceops_state": "weird", "voiceops_action": "restart_agent"}, "got the state weird."),
    ],
)
def test_nothing_known_opens_nothing(tmp_path: Path, opens_for: str, given: dict[str, Any], sentence: str) -> None:
    found, told = gate(tmp_path, gate_opens_for=opens_for, **given)
    assert found == CLOSED, told
    assert sentence in " ".join(told.split())
