# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commit is checked out in a folder, read from git's own files (gitrepository-layout(5)), without git."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LIMIT = 4 * 1024 * 1024


def commit_of(folder: str) -> str | None:
    """Return the commit that is checked out in C(folder) or the repository around it; None if that is not known."""
    start = Path(folder).expanduser()
    for place in (start, *start.parents):
        git = place / ".git"
        if git.is_file():
            # A worktree's or submodule's: the file names the folder.
            named = _read(git).partition("gitdir:")[2].strip()
            return _head(place / named) if named else None
        if git.is_dir():
            return _head(git)
    return None


def _head(git: Path) -> str | None:
    head = _read(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head[4:].strip()
    common = git / (_read(git / "commondir").strip() or ".")
    for place in (git, common):
        loose = _read(place / name).strip()
        if _COMMIT.fullmatch(loose):
            return loose
    packed = re.search(rf"^([0-9a-f]{{40,64}}) {re.escape(name)}$", _read(common / "packed-refs"), re.M)
    return packed[1] if packed else None


def _read(path: Path) -> str:
    """Return a file's text, as far as it is of use; empty if it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LIMIT)
    except OSError:
        return ""
