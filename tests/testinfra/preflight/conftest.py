# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: what a diagnosis will need of an operator's own hosts, asked before it is needed. It changes nothing.

C(make preflight INVENTORY=…) runs it. The evidence is that of the collection's own playbook, on that inventory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import (
    add_probes,
    artifacts_dir,
    read_probes,
)

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK_S = 300
INVENTORY_S = 60

Record = dict[str, Any]
Check = Callable[[object, str], None]


def otherwise(advice: str) -> NoReturn:
    """Fail with what to do, and nothing else."""
    pytest.fail(advice, pytrace=False)


@pytest.fixture(scope="session")
def check() -> Check:
    """Fail with what to do, unless something is so."""

    def judge(is_so: object, advice: str) -> None:
        if not is_so:
            otherwise(advice)

    return judge


def _ran(command: list[str | Path], seconds: float) -> str:
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_VERBOSITY": "0"}
    done = subprocess.run(
        [Path(sys.executable).with_name(str(command[0])), *command[1:]],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        otherwise(f"{command[0]} does not work with this inventory: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


@pytest.fixture(scope="session")
def groups(pytestconfig: pytest.Config) -> dict[str, list[str]]:
    """The hosts of each group of the inventory."""
    inventory = pytestconfig.getoption("ansible_inventory")
    listed = json.loads(_ran(["ansible-inventory", "-i", inventory, "--list"], INVENTORY_S))
    return {name: group.get("hosts", []) for name, group in listed.items() if name != "_meta"}


@pytest.fixture(scope="session")
def kept_in(pytestconfig: pytest.Config) -> Path:
    """The folder of incidents that the playbooks use with this inventory."""
    inventory, playbooks = pytestconfig.getoption("ansible_inventory"), ROOT / "playbooks"
    asked = ["-m", "ansible.builtin.debug", "-a", "msg={{ voiceops_artifacts | default('', true) }}"]
    shown = _ran(["ansible", "localhost", "-i", inventory, "--playbook-dir", playbooks, *asked], INVENTORY_S)
    return artifacts_dir(json.loads(shown.partition("=> ")[2])["msg"], str(playbooks))


@pytest.fixture(scope="session")
def evidence(
    pytestconfig: pytest.Config,
    groups: dict[str, list[str]],
    kept_in: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Record]:
    """The records of all layers that the collection's own diagnosis gathers now, without its dispatch probe.

    The incident is no one's and is not kept. What our probes caused must not count as a user's later, so they are.
    """
    artifacts = tmp_path_factory.mktemp("preflight")
    variables = {
        "voiceops_artifacts": str(artifacts),
        "voiceops_attempt_at": "now",
        "voiceops_dispatch_probe": "never",
        "voiceops_fail_on": [],
        # Where there is an lk, it must work: asking LiveKit without it would hide that it does not.
        **({"voiceops_agent_via": "lk"} if groups.get("lk_control") else {}),
    }
    inventory = pytestconfig.getoption("ansible_inventory")
    playbook = ROOT / "playbooks" / "diagnose.yml"
    _ran(["ansible-playbook", "-i", inventory, playbook, "-e", json.dumps(variables)], PLAYBOOK_S)
    now = time.time()
    try:
        kept_in.mkdir(mode=0o700, parents=True, exist_ok=True)
        add_probes(kept_in, read_probes(artifacts, now), now)
    except OSError as exc:
        otherwise(f"voiceops_artifacts: make {kept_in} a folder that you can write to ({exc})")
    incident = json.loads((artifacts / "latest" / "incident.json").read_text(encoding="utf-8"))
    found: dict[str, Record] = incident["evidence"]
    return found
