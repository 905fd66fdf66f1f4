# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the collection awx.awx out of the package ansible, as the lock names it, and put it beside ansible-core."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements" / "awx.lock"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        subprocess.run(
            [sys.executable, "-m", "pip", *download, "--dest", folder, "--requirement", LOCK], check=True, timeout=600
        )
        (wheel,) = Path(folder).iterdir()
        with zipfile.ZipFile(wheel) as packed:
            wanted = [name for name in packed.namelist() if name.startswith("ansible_collections/awx/awx/")]
            packed.extractall(sysconfig.get_path("purelib"), wanted)


if __name__ == "__main__":
    main()
