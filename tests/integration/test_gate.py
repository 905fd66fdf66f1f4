# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate turns what an earlier job handed on, or the incident it wrote, into success or failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bank.cases import find, rules

from lab.scenario import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
PLAY = [Path(sys.executable).with_name("ansible-playbook"), "-i", "/dev/null", ROOT / "playbooks/gate.yml"]
OPEN, CLOSED = 0, 2
FAULT, BY_HAND, REPAIRABLE = "agent-name-mismatch", "disk-full", "incident-2026-02-06"


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
        timeout=600,
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


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    """Incidents that the bank knows, by their scenario's name."""
    known = rules()
    return {name: find(SCENARIOS / f"{name}.yml")[0].saved(known) for name in ("healthy", FAULT, BY_HAND, REPAIRABLE)}


def keep(artifacts: Path, record: dict[str, Any]) -> str:
    """Save an incident, and return its id."""
    folder = artifacts / record["incident_id"]
    folder.mkdir(parents=True)
    (folder / "incident.json").write_text(json.dumps(record), encoding="utf-8")
    return folder.name


@pytest.mark.parametrize(
    ("opens_for", "scenario", "code"),
    [
        ("no_fault", "healthy", OPEN),
        ("no_fault", REPAIRABLE, CLOSED),
        ("remedy", REPAIRABLE, OPEN),
        ("remedy", BY_HAND, CLOSED),
        ("remedy", FAULT, CLOSED),
    ],
)
def test_it_reads_the_incident_where_nothing_was_handed_on(
    tmp_path: Path, records: dict[str, dict[str, Any]], opens_for: str, scenario: str, code: int
) -> None:
    name = keep(tmp_path, records[scenario])
    found, told = gate(tmp_path, gate_opens_for=opens_for, voiceops_incident_id=name)
    assert found == code, told


def test_an_incident_is_looked_for_where_a_diagnosis_writes_it(
    tmp_path: Path, records: dict[str, dict[str, Any]]
) -> None:
    collection = tmp_path / "site/ansible_collections/voiceops/livekit"
    (collection / "playbooks").mkdir(parents=True)
    playbook = collection / "playbooks/gate.yml"
    playbook.write_bytes((ROOT / "playbooks/gate.yml").read_bytes())
    name = keep(tmp_path / "artifacts", records["healthy"])
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections")}
    command = [*PLAY[:-1], playbook, "-e", json.dumps({"voiceops_incident_id": name})]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == OPEN, done.stdout


@pytest.mark.parametrize("name", ["../elsewhere", "{absolute}", "gone"])
def test_only_an_id_names_an_incident(tmp_path: Path, records: dict[str, dict[str, Any]], name: str) -> None:
    kept = keep(tmp_path, records["healthy"])
    (tmp_path / kept).rename(tmp_path / "elsewhere")
    given = name.format(absolute=tmp_path / "elsewhere")
    found, told = gate(tmp_path / "artifacts", voiceops_incident_id=given)
    assert found == CLOSED
    assert f"Expected the id of an incident in {tmp_path / 'artifacts'}, got '{given}'" in told


@pytest.mark.parametrize("opens_for", ["no_fault", "remedy"])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "voiceops_incident_id, got nothing."),
        ({"voiceops_incident_id": ""}, "voiceops_incident_id, got nothing."),
        ({"voiceops_incident_id": "gone"}, "Expected the id of an incident in "),
        ({"voiceops_canary": None, "voiceops_state": None}, "voiceops_incident_id, got nothing."),
        ({"voiceops_state": "weird", "voiceops_action": "restart_agent"}, "got the state weird."),
    ],
)
def test_nothing_known_opens_nothing(tmp_path: Path, opens_for: str, given: dict[str, Any], sentence: str) -> None:
    found, told = gate(tmp_path, gate_opens_for=opens_for, **given)
    assert found == CLOSED, told
    assert sentence in " ".join(told.split())
