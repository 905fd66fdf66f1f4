# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots one Pi and keeps it until its standard input ends, so that it ends with whoever started it, even if killed.

Run as root, by C(unshare --mount --propagation private): what it mounts (a disk in memory, an overlay over the root
file system, a /run of its own with the network namespace) is in its own mount namespace, and vanishes with it. It
prints one line, C({"address": …}), once the Pi has one.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

# For benchmarks between networks (RFC 2544), so that nobody's own network has these addresses.
NETWORK = ipaddress.ip_network("198.18.0.0/15")
NAMESPACE = "pi"
REBOOT = 133
DOWN_S = 10


def do(*command: str | Path) -> None:
    """Run one command of the preparation."""
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)


def make_disk(base: Path, folder: Path, size: str) -> Path:
    """Lay a disk in memory of C(size) over the root file system C(base); give where it is mounted."""
    do("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder)
    root, upper, work = (folder / name for name in ("root", "upper", "work"))
    for each in (root, upper, work):
        each.mkdir()
    do("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={base},upperdir={upper},workdir={work}", root)
    return root


def make_network() -> str:
    """Make a network namespace with a cable to this host; give the Pi's address."""
    do("ip", "netns", "add", NAMESPACE)
    here = f"vopi{os.getpid()}"
    do("ip", "link", "add", here, "type", "veth", "peer", "name", "host0", "netns", NAMESPACE)
    # The kernel gives no two interfaces of a host the same index.
    first = NETWORK[4 * socket.if_nametoindex(here)]
    do("ip", "address", "add", f"{first + 1}/30", "dev", here)
    do("ip", "link", "set", here, "up")
    do("ip", "-n", NAMESPACE, "address", "add", f"{first + 2}/30", "dev", "host0")
    for interface in ("lo", "host0"):
        do("ip", "-n", NAMESPACE, "link", "set", interface, "up")
    return str(first + 2)


def own_cgroups() -> list[Path]:
    """Make a cgroup of our own, and move there, in each hierarchy that systemd uses, old or new; give their folders."""
    made = []
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers not in ("", "name=systemd"):
            continue
        mounts = ["/sys/fs/cgroup/systemd"] if controllers else ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        parent = next((Path(each + path) for each in mounts if (Path(each + path) / "cgroup.procs").exists()), None)
        if parent:
            folder = parent / f"voiceops-pi-{os.getpid()}"
            folder.mkdir()
            (folder / "cgroup.procs").write_text("0")
            made.append(folder)
    return made


def leave(cgroups: list[Path]) -> None:
    """Go back to the parents, and remove the cgroups with all that systemd made below."""
    for folder in cgroups:
        with contextlib.suppress(OSError):
            (folder.parent / "cgroup.procs").write_text("0")
    deadline = time.monotonic() + DOWN_S
    # Those whose last process is only just ending are busy for a moment.
    while any(folder.exists() for folder in cgroups) and time.monotonic() < deadline:
        for folder in cgroups:
            for path, _folders, _files in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        time.sleep(0.02)


def boot(root: Path) -> subprocess.Popen[bytes]:
    """Start the Pi; it dies with this process."""
    command = ["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]
    command += [f"--directory={root}", f"--machine=pi{os.getpid()}", "--console=pipe"]
    command += [f"--network-namespace-path=/run/netns/{NAMESPACE}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)


def keep(root: Path) -> int:
    """Boot the Pi, and again after each reboot, until standard input ends; give nspawn's last exit code."""
    machine = boot(root)
    ending = threading.Event()

    def end() -> None:
        while os.read(0, 1024):
            pass
        ending.set()
        machine.terminate()

    threading.Thread(target=end, daemon=True).start()
    while (code := wait(machine, ending)) == REBOOT and not ending.is_set():
        machine = boot(root)
    return code


def wait(machine: subprocess.Popen[bytes], ending: threading.Event) -> int:
    """Wait until the Pi is down; once it is to end, kill it if it takes too long."""
    while True:
        try:
            return machine.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            if ending.is_set():
                machine.kill()


def main() -> int:
    """Prepare, boot, keep, and take all of it away again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="the root file system, which stays as it is")
    parser.add_argument("folder", type=Path, help="an empty folder to mount the Pi's disk on")
    parser.add_argument("seed", type=Path, help="files to copy onto it before it boots, owned by root")
    parser.add_argument("--size", default="256m", help="of its disk")
    options = parser.parse_args()
    # A signal must not end this process before the Pi has ended; who wants that closes its input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    cgroups = own_cgroups()
    try:
        root = make_disk(options.base, options.folder, options.size)
        shutil.copytree(options.seed, root, symlinks=True, dirs_exist_ok=True)
        do("mount", "-t", "tmpfs", "tmpfs", "/run")
        address = make_network()
        print(json.dumps({"address": address}), flush=True)
        return keep(root)
    finally:
        leave(cgroups)


if __name__ == "__main__":
    sys.exit(main())
