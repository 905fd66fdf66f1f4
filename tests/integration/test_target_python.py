# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on targets, on the oldest Python of this machine from 3.9 on, which may be the tests' own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import ansible
from parts.pythons import installed

PROJECT = Path(__file__).resolve().parents[2]
COLLECTIONS = PROJECT / "playbooks" / "collections"
PLUGINS = "ansible_collections.voiceops.livekit.plugins"
LOGIC = sorted((PROJECT / "plugins" / "module_utils").rglob("*.py"))
MODULES = sorted((PROJECT / "plugins" / "modules").glob("*.py"))


def run(script: str, *path: Path) -> str:
    """Run a script with nothing beside the standard library but what is in C(path); return what it printed."""
    python = next(installed("3.9", "3.10"), sys.executable)
    done = subprocess.run(
        [python, "-S", "-B", "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{python}: {done.stderr}"
    return done.stdout


def names(files: list[Path]) -> list[str]:
    return [".".join((PLUGINS, *file.relative_to(PROJECT / "plugins").with_suffix("").parts)) for file in files]


def test_all_logic_can_be_imported_with_the_standard_library_alone() -> None:
    assert len(LOGIC) > 50
    run("\n".join(f"import {name}" for name in names(LOGIC)), COLLECTIONS)


def test_all_modules_can_be_imported_with_ansible_beside() -> None:
    assert len(MODULES) > 10
    run("\n".join(f"import {name}" for name in names(MODULES)), COLLECTIONS, Path(ansible.__file__).parents[1])


def test_a_server_that_accepts_and_says_nothing_is_told_by_its_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        script = (
            f"import time; from {PLUGINS}.module_utils import service_host\n"
            f"print(service_host.answers({silent.getsockname()[1]}, '/', time.monotonic() + 20))"
        )
        assert run(script, COLLECTIONS) == "False\n"
