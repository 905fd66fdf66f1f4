# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(make demo-repair) runs: the incident replayed, repaired, and proven by the test before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import PLAYBOOK_TIMEOUT_S, ROOT

APPROVED = ("-e", "voiceops_approve=true")


def test_the_demo_repairs_the_incident_and_proves_it(tmp_path):
    done = subprocess.run(
        [
            ROOT / "tests" / "demo",
            "incident-2026-02-06",
            "remediate",
            *APPROVED,
            "-e",
            json.dumps({"voiceops_artifacts": str(tmp_path / "artifacts")}),
        ],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "tests"),
            "VOICEOPS_LAB_DIR": str(tmp_path / "the lab"),
            "ANSIBLE_NOCOLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAYBOOK_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "✔ repaired: the cause is gone, and an agent joins" in done.stdout
    assert done.stdout.rstrip().endswith("down")
    assert not (tmp_path / "the lab" / "lab.json").exists()
    record = json.loads((tmp_path / "artifacts" / "latest" / "incident.json").read_text(encoding="utf-8"))
    found = record["remediation"]
    assert (record["verdict"]["id"], found["verdict"]) == ("cloud_agent_dormant_no_wake", "repaired")
    assert (found["before"]["joined"], found["before"]["cause"]) == (False, "confirmed")
    assert (found["after"]["joined"], found["after"]["cause"], found["after"]["level"]) == (
        True,
        "ruled_out",
        "audible",
    )
    assert [(step["remedy"], step["outcome"]) for step in found["steps"] if step["remedy"]] == [
        ("redispatch", "unchanged"),
        ("restart_agent", "done"),
    ]


def test_after_the_repair_a_second_run_changes_nothing(lab):
    running = lab("incident-2026-02-06")
    first = running.play("remediate.yml", *APPROVED)
    assert first.incident["remediation"]["verdict"] == "repaired", first.output

    for arguments in ((), ("-e", "voiceops_attempt_at=now")):
        again = running.play("remediate.yml", *APPROVED, *arguments)
        assert again.returncode == 0, again.output
        assert again.incident["remediation"]["steps"] == []
        assert "changed=1" not in again.output
    assert again.incident["remediation"]["verdict"] == "not_needed"
