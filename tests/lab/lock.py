# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock by which a lab's process is known to run."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take_lock(directory: Path) -> int:
    """Take the lock of C(directory), and give the open file that holds it: to be closed, or left to the process's end.

    Raises C(BlockingIOError) if a process holds it, and C(FileNotFoundError) if there is no such directory.
    """
    file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise
    return file
