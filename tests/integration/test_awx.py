# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX as code: the playbook with the real modules of awx.awx, against a stand-in for AWX's API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .awx_running import ENCRYPTED, NODES, TOKEN, Awx, awx_running

ROOT = Path(__file__).resolve().parents[2]
PLACES = [*filter(None, os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":")), sysconfig.get_path("purelib")]
MODULES = "ansible_collections/awx/awx/plugins/modules/workflow_job_template_node.py"
FOUND = next((place for place in PLACES if (Path(place) / MODULES).exists()), None)
SECRETS = {
    "LIVEKIT_URL": "wss://voice.example.org",
    "LIVEKIT_API_KEY": "APIofTheTest",
    "LIVEKIT_API_SECRET": "livekit-secret-of-the-test",
    "INTERNAL_SERVICE_KEY": "callback-key-of-the-test",
    "VOICEOPS_SSH_KEY": "ssh-key-of-the-test",
    "VOICEOPS_NOTIFY_URL": "https://chat.example.org/hooks/of-the-test",
}
HIDDEN = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "INTERNAL_SERVICE_KEY", "VOICEOPS_SSH_KEY")


def play(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "/dev/null", ROOT / "playbooks/awx.yml", *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )


def edges(awx: Awx, node: str, kind: str) -> list[str]:
    by_id = {item["id"]: name for name, item in awx.named(NODES).items()}
    return [by_id[number] for number in awx.lists.get((awx.named(NODES)[node]["id"], kind), [])]


def test_the_playbook_can_be_read_where_awx_awx_is_not_installed(tmp_path: Path) -> None:
    done = play("--syntax-check", ANSIBLE_COLLECTIONS_PATH=str(tmp_path))
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(FOUND is None, reason="left out: AWX as code, with the modules of awx.awx, which are not installed")
def test_it_is_set_up_once_changes_nothing_twice_and_is_taken_away_again() -> None:
    with awx_running() as (address, awx):
        machine_only = awx.named("credential_types")
        here = {"CONTROLLER_HOST": address, "CONTROLLER_OAUTH_TOKEN": TOKEN, "ANSIBLE_COLLECTIONS_PATH": str(FOUND)}

        without = play(**here, **{**SECRETS, "LIVEKIT_API_SECRET": ""})
        assert without.returncode != 0
        assert "voiceops LiveKit: expected a value for api_secret" in without.stdout

        first = play("-vvvv", **here, **SECRETS)
        assert first.returncode == 0, first.stdout[-4000:]
        for name in HIDDEN:
            assert SECRETS[name] not in first.stdout, name
        assert_set_up(awx)

        awx.changes()
        second = play(**here, **SECRETS)
        assert second.returncode == 0, second.stdout[-4000:]
        assert awx.changes() == []
        assert "changed=0 " in second.stdout

        for _twice in range(2):
            gone = play("-e", "awx_state=absent", **here)
            assert gone.returncode == 0, gone.stdout[-4000:]
            assert {kind: list(awx.named(kind)) for kind in awx.kept if awx.kept[kind]} == {
                "credential_types": list(machine_only)
            }
        assert "changed=0 " in gone.stdout


def assert_set_up(awx: Awx) -> None:
    """Assert that what was promised stands there."""
    templates = awx.named("job_templates")
    assert {name.removeprefix("voiceops ") for name in templates} == {
        "diagnose",
        "remediate",
        "verify",
        "canary",
        "replay",
        "gate",
    }
    assert not any(template["allow_simultaneous"] for template in templates.values())
    assert awx.named("workflow_job_templates")["voiceops watch and repair"]["allow_simultaneous"] is False

    diagnose = awx.surveys[templates["voiceops diagnose"]["id"]]["spec"]
    asked = {item["variable"]: item for item in diagnose}
    assert asked["voiceops_dispatch_probe"]["type"] == "multiplechoice"
    assert asked["voiceops_dispatch_probe"]["choices"] == ["auto", "always", "never"]
    assert asked["voiceops_dispatch_probe"]["default"] == "auto"

    livekit = awx.named("credential_types")["voiceops LiveKit"]
    assert livekit["injectors"]["env"] == {
        "LIVEKIT_URL": "{{ url }}",
        "LIVEKIT_API_KEY": "{{ api_key }}",
        "LIVEKIT_API_SECRET": "{{ api_secret }}",
    }
    kept = awx.named("credentials")["voiceops LiveKit"]
    assert kept["inputs"]["api_secret"] == SECRETS["LIVEKIT_API_SECRET"]
    assert awx.shown(kept)["inputs"]["api_secret"] == ENCRYPTED

    inventory = json.loads(awx.named("inventories")["voiceops"]["variables"])
    assert inventory["voiceops_callback_key"] == "{{ lookup('ansible.builtin.env', 'INTERNAL_SERVICE_KEY') }}"
    assert {"localhost", "mac", "pi-hub"} == set(awx.named("hosts"))

    assert edges(awx, "canary", "always_nodes") == ["is-all-well"]
    assert edges(awx, "is-all-well", "failure_nodes") == ["diagnose"]
    assert edges(awx, "is-all-well", "success_nodes") == []
    assert edges(awx, "diagnose", "success_nodes") == ["can-it-be-repaired"]
    assert edges(awx, "can-it-be-repaired", "success_nodes") == ["approve"]
    assert edges(awx, "approve", "success_nodes") == ["remediate"]
    assert edges(awx, "remediate", "success_nodes") == ["verify"]
    (approval,) = awx.kept["workflow_approval_templates"].values()
    assert approval["timeout"] == 1200

    schedules = awx.named("schedules")
    assert schedules["voiceops every 15 minutes"]["rrule"] == (
        "DTSTART;TZID=Etc/UTC:20260101T000000 RRULE:FREQ=MINUTELY;INTERVAL=15"
    )
    assert schedules["voiceops every 15 minutes"]["unified_job_template"] in awx.kept["workflow_job_templates"]
    assert schedules["voiceops every night"]["extra_data"] == {"voiceops_fail_on": ["fault", "inconclusive"]}
