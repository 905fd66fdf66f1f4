# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a file that is either the old one or the whole new one, whenever the run is killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


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
