# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system of a real Pi: Debian with systemd, journald, sshd, sudo, polkit and Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from parts import LeftOutError, Part

BUILD_S = 900
WITHOUT = "no real Pi is booted"
PACKAGES = (
    "systemd,systemd-sysv,dbus,polkitd,openssh-server,python3-minimal,libpython3-stdlib,sudo,"
    # The clock of all but PID 1 can be set wrong with it.
    "libfaketime"
)
# Nothing of the machine that builds it stays in it, and no key: each Pi gets its own.
CUSTOMIZE = (
    'rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/ssh/ssh_host_*',
    'rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/*',
    ': > "$1"/etc/machine-id',
    'chroot "$1" useradd --create-home --shell /bin/sh --groups systemd-journal brad',
    'chroot "$1" useradd --create-home --shell /bin/sh guest',
    'chroot "$1" useradd --system --shell /usr/sbin/nologin proto-trainer',
)


def _recipe() -> bytes:
    return "\n".join(["trixie", PACKAGES, *CUSTOMIZE]).encode()


def _make(folder: Path) -> None:
    if os.geteuid() != 0:
        raise LeftOutError(f"{WITHOUT} (it needs root: run the tests as root on Debian)")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={PACKAGES}"]
    command += [*(f"--customize-hook={each}" for each in CUSTOMIZE), "trixie", str(folder / "root")]
    subprocess.run(command, check=True, timeout=BUILD_S, stdin=subprocess.DEVNULL)


PI = Part("pi", WITHOUT, ("mmdebstrap", "systemd-nspawn", "ip", "ssh-keygen"), _recipe, _make)
