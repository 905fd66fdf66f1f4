# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: ansible-runner on a private data directory, with the lab as the world.

Secrets come as AWX hands them on: the credentials' in the environment, the key for SSH through an agent. The inventory
says what the role C(awx) sets up. The project is linked where AWX would clone it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml

from .conftest import PLAYBOOK_TIMEOUT_S, ROOT, Lab

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
# What the custom credential types inject, from which variable of the lab.
INJECTED = {
    "LIVEKIT_URL": "voiceops_livekit_url",
    "LIVEKIT_API_KEY": "voiceops_livekit_api_key",
    "LIVEKIT_API_SECRET": "voiceops_livekit_api_secret",
    "INTERNAL_SERVICE_KEY": "voiceops_callback_key",
}
LOOKED_UP = {"voiceops_callback_key": "{{ lookup('ansible.builtin.env', 'INTERNAL_SERVICE_KEY') }}"}


def inventory(lab: Lab) -> dict[str, Any]:
    """The inventory as AWX writes it: hosts and groups with their variables, and no secret in it."""
    plain = {name: value for name, value in lab.facts["variables"].items() if name not in INJECTED.values()}
    ssh = lab.facts["ssh"]
    pi = {
        "ansible_host": "127.0.0.1",
        "ansible_port": ssh["port"],
        "ansible_user": ssh["user"],
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null",
        "ansible_python_interpreter": "python3",
        "ansible_pipelining": True,
        "ansible_remote_tmp": f"{ssh['home']}/.ansible/tmp",
    }
    return {
        "all": {
            "vars": {**plain, **LOOKED_UP},
            "hosts": {"localhost": LOCAL},
            "children": {
                "lk_control": {"hosts": {"mac": LOCAL}},
                "voice_tunnel": {"hosts": {"mac": {}}},
                "voice_service": {"hosts": {"pi-hub": pi}},
            },
        }
    }


class Controller:
    """One AWX with one lab: its jobs, the folder of incidents that outlives them, and the facts it keeps of hosts."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.artifacts = folder / "incidents"
        self.facts = folder / "facts"
        self.jobs: list[Path] = []
        self.environment = {name: lab.facts["variables"][variable] for name, variable in INJECTED.items()}
        self.ssh_key = Path(lab.facts["ssh"]["private_key"]).read_text(encoding="utf-8")

    def secrets(self) -> list[str]:
        """What must be in no event; of the key for SSH, its longest line."""
        values = [value for name, value in self.environment.items() if name != "LIVEKIT_URL"]
        return [*values, max(self.ssh_key.splitlines(), key=len)]

    def run(self, playbook: str, *cmdline: str, **extra: Any) -> ansible_runner.Runner:
        """Run a job to its end."""
        private = self.folder / f"job {len(self.jobs)}"
        self.jobs.append(private)
        (private / "env").mkdir(parents=True)
        (private / "inventory").mkdir()
        (private / "project").symlink_to(ROOT)
        (private / "inventory/hosts.json").write_text(json.dumps(inventory(self.lab)), encoding="utf-8")
        environment = {**self.environment, "ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_NOCOLOR": "1"}
        files = {
            "envvars": json.dumps(environment),
            "extravars": json.dumps({"voiceops_artifacts": str(self.artifacts), **extra}),
            "cmdline": " ".join(["-vvvv", *cmdline]),
            "settings": json.dumps({"job_timeout": PLAYBOOK_TIMEOUT_S, "fact_cache_type": "jsonfile"}),
            "ssh_key": self.ssh_key,
        }
        for name, content in files.items():
            (private / "env" / name).write_text(content, encoding="utf-8")
        return ansible_runner.run(
            private_data_dir=str(private),
            playbook=f"playbooks/{playbook}",
            ident="1",
            fact_cache=str(self.facts),
            quiet=True,
        )

    def incident(self, name: str) -> dict[str, Any]:
        """The incident of this id, or the latest."""
        found: dict[str, Any] = json.loads((self.artifacts / name / "incident.json").read_text(encoding="utf-8"))
        return found

    def left_behind(self) -> Iterator[tuple[Path, str]]:
        """Every event, what the job printed, and what it kept of facts and incidents, with its text."""
        told = [path for job in self.jobs for path in job.glob("artifacts/1/job_events/*.json")]
        told += [job / "artifacts/1/stdout" for job in self.jobs]
        kept = [path for place in (self.artifacts, self.facts) for path in place.rglob("*") if path.is_file()]
        for path in (*told, *kept):
            yield path, path.read_text(encoding="utf-8")


def handed_on(job: ansible_runner.Runner) -> dict[str, Any]:
    """The artifacts that AWX would keep of the job: those of its last event."""
    (stats,) = (event for event in job.events if event["event"] == "playbook_on_stats")
    kept: dict[str, Any] = stats["event_data"]["artifact_data"]
    return kept


def assert_no_secret(controller: Controller) -> None:
    """Assert that no secret is in anything that the jobs left behind."""
    looked_at = 0
    for path, text in controller.left_behind():
        looked_at += 1
        for secret in controller.secrets():
            assert secret not in text, path
    assert looked_at > 50


@pytest.fixture
def controller(lab: Callable[[str], Lab], tmp_path: Path) -> Controller:
    """A controller with the incident in the lab."""
    return Controller(lab("incident-2026-02-06"), tmp_path / "awx")


def test_a_job_hands_on_its_verdict_and_no_secret_at_the_highest_verbosity(controller: Controller) -> None:
    job = controller.run("diagnose.yml")
    assert (job.status, job.rc) == ("successful", 0), job.stdout.read()[-4000:]
    found = handed_on(job)
    assert found["voiceops_verdict"] == "cloud_agent_dormant_no_wake"
    assert (found["voiceops_state"], found["voiceops_action"]) == ("fault", "redeploy_agent")
    record = controller.incident(found["voiceops_incident_id"])
    assert record["verdict"]["id"] == found["voiceops_verdict"]

    # The next jobs of the workflow get the artifacts as extra variables.
    assert controller.run("gate.yml", gate_opens_for="remedy", **found).rc == 0
    assert controller.run("gate.yml", gate_opens_for="no_fault", **found).rc != 0
    assert_no_secret(controller)


def test_two_slices_and_what_they_found_put_together_say_what_one_job_says(controller: Controller) -> None:
    # Each slice asks its half of the hosts. AWX keeps the hosts' facts, and a last job judges them together.
    attempt = controller.lab.facts["variables"]["voiceops_attempt_at"]
    asked = {"voiceops_attempt_at": attempt, "voiceops_dispatch_probe": "never"}
    for half in ("localhost,mac", "pi-hub"):
        assert controller.run("diagnose.yml", "--limit", half, **asked).rc == 0
    halves = controller.incident("latest")
    assert halves["evidence"]["service"]["state"] == "unknown"

    book = ROOT / "playbooks" / f"test-{controller.folder.parent.name}.yml"
    tasks = [{"name": "Judge", "ansible.builtin.import_role": {"name": "voiceops.livekit.diagnosis"}}]
    play = {"name": "Put it together", "hosts": "localhost", "gather_facts": False, "tasks": tasks}
    book.write_text(yaml.safe_dump([play]), encoding="utf-8")
    try:
        job = controller.run(book.name)
    finally:
        book.unlink()
    assert job.rc == 0, job.stdout.read()[-4000:]
    whole = controller.incident("latest")
    assert handed_on(job)["voiceops_verdict"] == "cloud_agent_dormant_no_wake"
    assert whole["evidence"]["service"]["state"] == "healthy"
    assert_no_secret(controller)
