# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks, end to end, against a real livekit-server whose agent the team runs itself."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api

from .conftest import Lab, Play
from .real_running import DEADLINE_S, EXAMPLE, FAR_S, KEY, REGISTERED, SECRET, Real, Unit, until

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
Run = Callable[..., Play]


@pytest.fixture
def run(real: Real, tmp_path: Path) -> Run:
    """Run a playbook as the team would that runs the agent C(name) itself; C(controller) is the controller's Python."""

    def run(playbook: str, name: str, *, controller: Path | None = None, **more: Any) -> Play:
        here = {**LOCAL, "ansible_python_interpreter": str(controller)} if controller else LOCAL
        groups = {"voice_worker": {"hosts": {"worker-host": LOCAL}}}
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": here}, "children": groups}}))
        variables = {
            "voiceops_agent_name": name,
            "voiceops_worker_url": real.worker_url(name),
            "voiceops_server_unit": "livekit-server",
            "voiceops_dispatch_deadline": DEADLINE_S,
            **more,
        }
        return Lab(tmp_path, {}, tmp_path).play(
            playbook,
            "-e",
            json.dumps(variables),
            inventory=inventory,
            PATH=f"{real.hosts[name].bin}{os.pathsep}{os.environ['PATH']}",
            LIVEKIT_URL=real.url,
            LIVEKIT_API_KEY=KEY,
            LIVEKIT_API_SECRET=SECRET,
        )

    return run


@pytest.fixture(scope="module")
def voice(real: Real) -> Iterator[str]:
    """The name under which the example of docs/examples runs."""
    with real.worker("spoken", EXAMPLE) as worker:
        worker.await_line(REGISTERED)
        yield "spoken"


def test_a_room_that_asks_for_another_name_is_diagnosed(real: Real, voice: str, run: Run) -> None:
    with real.person("wrong-name", ["Spoken"]):
        real.await_waiting(voice)
        play = run("diagnose.yml", voice)
    assert play.returncode == 0, play.output
    assert play.incident["verdict"]["id"] == "agent_name_mismatch", play.output
    assert "The room wrong-name asks for Spoken, but the agent's dispatch name is spoken." in " ".join(
        play.output.split()
    )
    assert SECRET not in play.output + json.dumps(play.incident)


def test_the_proof_goes_up_to_a_sound_that_was_heard(real: Real, voice: str, agent_python: Path, run: Run) -> None:
    real.callbacks.taken.clear()
    play = run(
        "verify.yml", voice, controller=agent_python, voiceops_dispatch_listen=True, voiceops_dispatch_deadline=90
    )
    assert play.returncode == 0, play.output
    (line,) = (line for line in play.output.splitlines() if "VERIFIED" in line)
    assert "VERIFIED: " in line
    assert all(level in line for level in ("joined", "ready", "audible", "heard")), line
    assert real.callbacks.taken == []


def test_who_cannot_listen_says_so_and_proves_the_rest(real: Real, voice: str, run: Run) -> None:
    play = run("verify.yml", voice, voiceops_dispatch_listen=True, voiceops_dispatch_deadline=90)
    assert play.returncode == 0, play.output
    (line,) = (line for line in play.output.splitlines() if "VERIFIED" in line)
    assert "audible" in line
    assert "heard" not in line


def test_a_person_who_came_before_the_worker_is_given_the_agent_and_keeps_it(
    real: Real, run: Run, start_worker: Callable[..., Unit]
) -> None:
    with real.person("early", ["late"]) as person:
        real.await_waiting("late")
        start_worker("late", EXAMPLE).await_line(REGISTERED)
        play = run("remediate.yml", "late")
        assert play.returncode == 0, play.output
        remediation = play.incident["remediation"]
        assert (remediation["cause"], remediation["verdict"]) == ("worker_restarting_gap", "repaired"), play.output
        assert person.logged("joined")
        # The server lists the job of a worker that has just come only seconds later. By then a dispatch that was
        # withdrawn for the lack of a job has ended the agent.
        jobs = until(lambda: [item["jobs"] for item in dispatches(real, "early") if item["jobs"]], "the job is listed")
        assert len(jobs) == 1
        assert not person.logged("left")


def dispatches(real: Real, room: str) -> list[dict[str, Any]]:
    with Api(real.options()) as api:
        return api.dispatches(room, time.monotonic() + FAR_S)
