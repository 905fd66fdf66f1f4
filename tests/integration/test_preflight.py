# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight that operators run, and our own checks of the Pi, against a real Pi and the lab's cloud."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

import yaml

from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import read_probes

from .real_pi_running import RealLab

ROOT = Path(__file__).resolve().parents[2]
UNIT = "proto-trainer-next"
GOOD = {
    "test_lk_is_there_and_logged_in",
    "test_lk_has_a_good_version",
    "test_the_agents_secrets_are_present",
    "test_the_route_answers",
    "test_the_key_works",
    "test_the_services_host_answers",
    "test_the_unit_exists_and_runs",
    "test_the_journal_is_readable",
    "test_the_journal_is_persistent",
    "test_the_clock_is_in_step",
}


def inventory_of(running: RealLab, user: str = "brad", **variables: object) -> Path:
    """Write the one inventory that an operator would have of the lab's cloud and the real Pi."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    pi = running.pi.inventory(user)["all"]["hosts"]["pi-hub"]
    kept = {"voiceops_artifacts": "{{ inventory_dir }}/mine"}
    content = {
        "all": {
            "vars": {**running.lab.facts["variables"], "voiceops_attempt_at": "", **kept, **variables},
            "hosts": {"localhost": local, "mac": local, "pi-hub": pi},
            "children": {
                "lk_control": {"hosts": {"mac": None}},
                "voice_tunnel": {"hosts": {"mac": None}},
                "voice_service": {"hosts": {"pi-hub": None}},
            },
        }
    }
    path = running.lab.scratch / "mine.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(suite: str, inventory: Path, *more: str) -> tuple[set[str], dict[str, str]]:
    """Run a suite on an inventory; give the tests that passed, and those that did not with why."""
    report = inventory.with_suffix(".xml")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *more, "--ansible-inventory", inventory, f"--junit-xml={report}", suite],
        cwd=ROOT,
        env={**os.environ, "CI": "", "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert report.exists(), done.stdout
    passed, failed = set(), {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").partition("[")[0]
        problems = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if problems:
            failed[name] = f"{problems[0].get('message')}"
        else:
            passed.add(name)
    return passed, failed


def preflight(inventory: Path) -> tuple[set[str], dict[str, str]]:
    """Run what make preflight runs."""
    (line,) = re.findall(r"-m pytest (.*) --ansible-inventory .* (\S+)\n", (ROOT / "Makefile").read_text("utf-8"))
    return run(line[1], inventory, *line[0].split())


def test_a_preflight_passes_where_all_is_well_and_names_what_is_not(boot, meet):
    pi = boot()
    running = meet(pi)

    assert preflight(inventory_of(running)) == (GOOD, {})
    # The pair of a right and a wrong key is known as ours to a later diagnosis.
    kept = {probe["what"] for probe in read_probes(running.lab.scratch / "mine", time.time())}
    assert kept >= {"POST, right key, invalid body", "POST, wrong key"}

    # As a user who may not read the journal, which is in memory; the unit has another name, and so has a secret.
    pi.write("/etc/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n")
    pi.run("rm -rf /var/log/journal/*; systemctl restart systemd-journald")
    environment = {**running.lab.facts["variables"]["voiceops_lk_environment"], "LAB_LK_VERSION": "2.5.6"}
    passed, failed = preflight(
        inventory_of(
            running,
            "guest",
            voiceops_callback_key="another key",
            voiceops_lk_environment=environment,
            voiceops_required_secrets=["NEXT_APP_URL", "SENTRY_DSN"],
            voiceops_service_unit="proto-trainer",
        )
    )

    assert passed == {
        "test_lk_is_there_and_logged_in",
        "test_the_route_answers",
        "test_the_services_host_answers",
        "test_the_clock_is_in_step",
    }
    assert set(failed) == GOOD - passed
    expected = {
        "test_lk_has_a_good_version": "lk 2.5.6 must not be used, since its update-secrets changes nothing",
        "test_the_agents_secrets_are_present": "the agent lacks SENTRY_DSN: set each by lk agent update-secrets",
        "test_the_key_works": "the API does not accept the key",
        "test_the_unit_exists_and_runs": "systemd knows no such unit",
        "test_the_journal_is_readable": "sudo usermod --append --groups systemd-journal USER",
        "test_the_journal_is_persistent": "set Storage=persistent in /etc/systemd/journald.conf",
    }
    assert {name: text in failed[name] for name, text in expected.items()} == dict.fromkeys(expected, True), failed


def test_our_own_checks_of_the_pi_hold_after_it_is_set_up_and_after_a_repair(boot, meet):
    pi = boot()
    running = meet(pi)
    inventory = inventory_of(running)
    passed, failed = run("tests/testinfra/pi", inventory)
    assert (len(passed) >= 5, failed) == (True, {})

    pi.run(f"systemctl stop {UNIT}")
    _passed, failed = run("tests/testinfra/pi", inventory)
    assert set(failed) == {"test_the_unit_runs_at_each_boot_as_its_own_user"}

    play = running.diagnose("brad", "-e", "voiceops_approve=true", playbook="remediate.yml")
    assert play.returncode == 0, play.output
    remediation = play.incident["remediation"]
    assert remediation["verdict"] == "repaired", play.output
    assert [step["remedy"] for step in remediation["steps"] if step["remedy"]] == ["start_service"]
    assert run("tests/testinfra/pi", inventory) == (passed, {})
