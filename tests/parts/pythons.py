# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other Pythons of this machine: on the PATH, or among pyenv's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def installed(*versions: str) -> Iterator[str]:
    """Find interpreters that run, in the order of C(versions), such as 3.12."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in versions:
        candidates = [shutil.which(f"python{version}") or "", *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
        yield from filter(_runs, map(str, candidates))


def _runs(python: str) -> bool:
    # A shim of pyenv may stand on the PATH and not run.
    return (
        bool(python) and not subprocess.run([python, "-c", ""], check=False, capture_output=True, timeout=30).returncode
    )
