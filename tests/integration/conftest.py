# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for each test that wants one, the playbooks run against it as a user would, and the bank of known answers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from bank.cases import Case, find
from integration.real_pi_running import RealLab
from parts import LeftOutError, Part
from parts.agent import AGENT
from parts.debian import PI
from parts.go import SERVER
from realpi.pi import Pi, booted

from lab.scenario import SCENARIOS

from .real_running import Real, Unit

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK_TIMEOUT_S = 900


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """The bank of known answers."""
    return find(SCENARIOS)


@dataclass
class Play:
    """One finished run of a playbook."""

    returncode: int
    output: str
    artifacts: Path

    @property
    def incident(self) -> dict[str, Any]:
        """The incident that the run wrote."""
        record: dict[str, Any] = json.loads((self.artifacts / "latest" / "incident.json").read_text(encoding="utf-8"))
        return record


@dataclass
class Lab:
    """A running lab."""

    directory: Path
    facts: dict[str, Any]
    scratch: Path
    ansible_playbook: tuple[str | Path, ...] = (Path(sys.executable).with_name("ansible-playbook"),)

    def play(
        self,
        playbook: str = "diagnose.yml",
        *arguments: str,
        inventory: Path = ROOT / "inventory" / "lab",
        **environment: str,
    ) -> Play:
        """Run a playbook of the project against the lab, without a terminal, as a scheduler would."""
        artifacts = self.scratch / "artifacts"
        done = subprocess.run(
            [
                *self.ansible_playbook,
                "-i",
                inventory,
                ROOT / "playbooks" / playbook,
                "-e",
                json.dumps({"voiceops_artifacts": str(artifacts)}),
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, "VOICEOPS_LAB_DIR": str(self.directory), "ANSIBLE_NOCOLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PLAYBOOK_TIMEOUT_S,
            check=False,
        )
        return Play(done.returncode, done.stdout, artifacts)


def lab_command(*arguments: str | Path) -> None:
    """Run C(python -m lab); its output shows if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Bring labs up by scenario name or file; all are down when the test ends."""
    directories: list[Path] = []

    def up(scenario: str | Path) -> Lab:
        directory = tmp_path / f"lab {len(directories)}"  # a space, as users' folders have them
        directories.append(directory)
        lab_command("up", scenario, "--dir", directory)
        facts = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
        return Lab(directory, facts, tmp_path)

    yield up
    for directory in directories:
        lab_command("down", "--dir", directory)


@pytest.fixture(scope="session")
def pi_root() -> Path:
    """The root file system of a real Pi, where this machine can have one."""
    if os.geteuid() != 0:
        pytest.skip("no real Pi is booted (it needs root: run the tests as root on Debian)")
    try:
        return PI.made() / "root"
    except LeftOutError as problem:
        pytest.skip(f"{problem}; on Debian as root, make parts installs that")


@pytest.fixture
def boot(pi_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pi]]:
    """Boot real Pis, as C(realpi.pi.booted) does; all are gone when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(booted(pi_root, tmp_path_factory.mktemp("pi"), **options))


@pytest.fixture
def meet(lab: Callable[..., Lab], scenario: Callable[..., Path]) -> Callable[..., RealLab]:
    """Bring up a lab whose API is a real Pi's."""

    def up(pi: Pi, **parts: Any) -> RealLab:
        elsewhere = {"elsewhere": {"url": pi.url, "key": pi.service_key}}
        return RealLab(lab(scenario("real-pi", **{"api": elsewhere, **parts})), pi)

    return up


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Path]:
    """Write a scenario of the lab from the parts that matter; give its file."""

    def write(name: str, **parts: Any) -> Path:
        path = tmp_path / f"{name}.yml"
        content = {"name": name, "title": name, "expected": {"verdict": "any", "state": "fault"}, **parts}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def play_role(tmp_path: Path) -> Callable[..., tuple[Play, Any]]:
    """Run one role on a host of the lab; give the play and what the role registered."""

    def play(lab: Lab, role: str, hosts: str, *arguments: str, **variables: Any) -> tuple[Play, Any]:
        kept = tmp_path / "result.json"
        kept.unlink(missing_ok=True)
        tasks = [
            {"name": "Do it", "ansible.builtin.import_role": {"name": f"voiceops.livekit.{role}"}, "vars": variables},
            {
                "name": "Keep the result",
                "ansible.builtin.copy": {
                    "content": f"{{{{ {role}_result | to_json }}}}",
                    "dest": str(kept),
                    "mode": "0600",
                },
                "delegate_to": "localhost",
                "check_mode": False,
            },
        ]
        book = ROOT / "playbooks" / f"test-{tmp_path.parent.name}-{tmp_path.name}.yml"  # workers share the latter
        content = [{"name": "Try a role", "hosts": hosts, "gather_facts": False, "tasks": tasks}]
        book.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            done = lab.play(book.name, *arguments)
        finally:
            book.unlink()
        return done, json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None

    return play


@pytest.fixture
def play_on(play_role: Callable[..., tuple[Play, Any]]) -> Callable[..., tuple[Play, Any]]:
    """Run one role on a real Pi as one of its users; give the play and what the role registered."""

    def play(running: RealLab, user: str, role: str, **variables: Any) -> tuple[Play, Any]:
        inventory = str(running.inventory(user))
        return play_role(running.lab, role, "pi-hub", "-i", inventory, **variables)

    return play


def _part(part: Part) -> Path:
    try:
        return part.made()
    except LeftOutError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def agent_python() -> Path:
    """The Python that has livekit-agents, and LiveKit's realtime SDK."""
    return _part(AGENT) / "bin" / "python"


@pytest.fixture(scope="session")
def real(agent_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A real livekit-server, and what tests start against it."""
    server = _part(SERVER) / "livekit-server"
    running = Real(tmp_path_factory.mktemp("real"), server, agent_python)
    yield running
    running.close()


@pytest.fixture
def start_worker(real: Real) -> Iterator[Callable[..., Unit]]:
    """Start workers that end with the test, see L(Real.worker)."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **env: stack.enter_context(real.worker(*args, **env))
