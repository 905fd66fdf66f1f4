# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real parts that the tests meet where this machine can have them: made once, kept outside the project.

A part is a folder in the cache. Its name carries a digest of the recipe, so that a changed recipe is a new part.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class LeftOutError(Exception):
    """This machine cannot have the part; the message says what it lacks and how to get it."""


@dataclass(frozen=True)
class Part:
    """One real part: what cannot be tested without it, what makes it (programs, and files by path), and how."""

    name: str
    without: str
    needs: Sequence[str]
    recipe: Callable[[], bytes]
    make: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where the part is, once it is made."""
        return cache() / f"{self.name}-{hashlib.sha256(self.recipe()).hexdigest()[:12]}"

    def lacks(self) -> list[str]:
        """Name the programs and files that this machine would need to make the part."""
        return [
            need for need in self.needs if not (Path(need).is_file() if os.path.isabs(need) else shutil.which(need))
        ]

    def made(self) -> Path:
        """Give the part's folder, and make it first if need be. Raises LeftOutError."""
        if self.folder.is_dir():
            return self.folder
        if self.lacks():
            raise LeftOutError(f"{self.without} (install {', '.join(self.lacks())}; CONTRIBUTING.md says which)")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / f".{self.name}.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not self.folder.is_dir():
                half = self.folder.with_name(f".{self.folder.name}.part")
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir()
                self.make(half)
                half.rename(self.folder)
        return self.folder


def cache() -> Path:
    """The folder of the user's cache that holds the parts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voiceops.livekit"
