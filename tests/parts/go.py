# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveKit's own programs, built from the Go modules that a folder beside this file locks (go.mod and go.sum)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from parts import Part

BUILD_S = 1500


def program(name: str, without: str, *, needs: Sequence[str] = (), flags: Sequence[str] = ()) -> Part:
    """Give the program that the folder C(name) locks as its one tool."""
    module = Path(__file__).with_name(name)

    def recipe() -> bytes:
        return b"".join((module / file).read_bytes() for file in ("go.mod", "go.sum")) + " ".join(flags).encode()

    def make(folder: Path) -> None:
        subprocess.run(["go", "build", *flags, "-o", folder / name, "tool"], cwd=module, check=True, timeout=BUILD_S)

    return Part(name, without, ("go", *needs), recipe, make)


SERVER = program("livekit-server", "nothing runs against a real LiveKit server")
LK = program(
    "lk",
    "nothing runs against the real lk",
    needs=("g++", "pkg-config", "/usr/include/portaudio.h"),
    flags=("-tags", "portaudio_system"),
)
