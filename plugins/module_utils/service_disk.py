# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the service's host has no room left to write."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ansible_collections.voiceops.livekit.plugins.module_utils.service_files import working_folder

# Who has none of this left may work all the same.
SCRATCH = "/tmp"
# The journal is in the last one where it is kept in memory only.
_FOLDERS = ("/", "/var", "/var/log/journal", "/run/log/journal")
_LEFT = 1024 * 1024


def full_folders(unit: Mapping[str, str]) -> list[str] | None:
    """List the folders in which no room is left: of the unit's own (by its properties), the system's, and L(SCRATCH).

    None if nothing could be measured.
    """
    own = working_folder(unit)
    found = {path: is_full(path) for path in (*([str(own)] if own else []), *_FOLDERS, SCRATCH)}
    known = {path: full for path, full in found.items() if full is not None}
    return [path for path, full in known.items() if full] if known else None


def is_full(path: str) -> bool | None:
    """Say whether a user other than root can write no more there, for want of blocks or of inodes.

    None if it cannot be asked, or is only to be read: an image is full by design.
    """
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    if room.f_flag & os.ST_RDONLY:
        return None
    no_inodes = room.f_files > 0 and room.f_favail == 0
    return room.f_blocks > 0 and (room.f_bavail * room.f_frsize < _LEFT or no_inodes)
