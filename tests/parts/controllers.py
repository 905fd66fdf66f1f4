# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers with the oldest ansible-core that the collection works with, and with the newest, from locks.

The newest one needs a Python of its own, found on the PATH or among pyenv's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from parts import LeftOutError, Part
from parts.pythons import installed

LOCKS = Path(__file__).parents[2] / "requirements"
INSTALL_S = 900
# ansible-core from 2.20 on needs Python 3.12.
NEWER = ("3.14", "3.13", "3.12")


def _this_python() -> str:
    return sys.executable


def _newer_python() -> str:
    found = sys.executable if sys.version_info >= (3, 12) else next(installed(*NEWER), None)
    if found is None:
        raise LeftOutError(
            "nothing runs on the newest ansible-core (it needs Python 3.12 or newer, for example by pyenv)"
        )
    return found


def _controller(name: str, without: str, python: Callable[[], str]) -> Part:
    lock = LOCKS / f"{name}.lock"

    def make(folder: Path) -> None:
        # The folder is renamed once it is whole: its python moves along, the scripts beside it do not.
        subprocess.run([python(), "-m", "venv", folder], check=True, timeout=INSTALL_S)
        command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--require-hashes", "--requirement", lock], check=True, timeout=INSTALL_S)

    return Part(f"core-{name}", without, (), lock.read_bytes, make)


OLDEST = _controller("oldest", "nothing runs on the oldest ansible-core", _this_python)
NEWEST = _controller("newest", "nothing runs on the newest ansible-core", _newer_python)
