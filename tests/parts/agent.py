# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python environment with livekit-agents, from a lock: for a real agent worker, and for a real participant."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from parts import Part

LOCK = Path(__file__).parents[2] / "requirements" / "agent.lock"
INSTALL_S = 900


def _recipe() -> bytes:
    return f"{sys.version_info[:2]}".encode() + LOCK.read_bytes()


def _make(folder: Path) -> None:
    # The folder is renamed once it is whole: its python moves along, the scripts beside it do not.
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--require-hashes", "--requirement", LOCK], check=True, timeout=INSTALL_S)


AGENT = Part("agent", "no real agent worker runs, and no real participant", (), _recipe, _make)
