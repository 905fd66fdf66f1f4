# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a file that is either the old one or the whole new one, whenever the run is killed, and one run at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_S = 10.0
_AGAIN_S = 0.05


class BusyError(OSError):
    """Another process keeps files to itself for longer than reading and writing them takes."""


def mode_of(folder: Path) -> int:
    """Return the rights of a file in C(folder): for its owner alone, or the group's too where that may write there.

    Raises OSError if there is no such folder.
    """
    return 0o660 if folder.stat().st_mode & stat.S_IWGRP else 0o600


def open_shared(path: Path) -> int:
    """Open a file to read and write, made if missing with the rights of L(mode_of); return its descriptor."""
    mode = mode_of(path.parent)
    file = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    if os.fstat(file).st_uid == os.geteuid():
        # Whatever the umask says.
        os.fchmod(file, mode)
    return file


@contextlib.contextmanager
def alone(guard: Path, seconds: float = WAIT_S) -> Iterator[None]:
    """Keep other processes of this host out while files are read and changed; C(guard) is made if missing.

    Raises BusyError if another one is not done within C(seconds), and OSError if C(guard) cannot be used.
    """
    deadline = time.monotonic() + seconds
    file = open_shared(guard)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    why = f"another process of this host has kept {guard} to itself for {seconds:g} s"
                    raise BusyError(errno.EBUSY, why) from None
                time.sleep(_AGAIN_S)
        yield
    finally:
        os.close(file)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace C(path) by C(text) in one step. Raises OSError if it cannot be written; nothing is left behind then."""
    part = path.with_name(f".{path.name}.part")
    # A killed run may have left it.
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            # Whatever the umask says, since others may have to read it.
            os.fchmod(stream.fileno(), mode)
            # A lone surrogate, left by broken UTF-8, has no bytes of its own; its escape is valid in JSON.
            stream.write(text.encode("utf-8", errors="backslashreplace"))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
