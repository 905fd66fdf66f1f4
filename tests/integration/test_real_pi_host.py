# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Pi itself: several at once, each apart from the others, and nothing is left of one whose test was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from .real_pi_running import until

TESTS = Path(__file__).resolve().parents[1]
# A test that never ends: it boots a Pi, tells who keeps it, and waits.
STARTER = """\
import sys, time
from pathlib import Path
from realpi.pi import booted
with booted(Path(sys.argv[1]), Path(sys.argv[2])) as pi:
    print(pi.address, flush=True)
    time.sleep(300)
"""


def left(folder: Path) -> list[str]:
    """What there is of the Pis whose files are in C(folder): their processes, cables, cgroups and mounts."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and process.name != str(os.getpid()):
            found.append(command)
            keeper = process.name
            found += [str(path) for path in Path("/sys/class/net").glob(f"vopi{keeper}")]
            # Sessions come and go within a Pi, and a walk passes over a folder that went away meanwhile.
            walked = os.walk("/sys/fs/cgroup")
            found += [path for path, _folders, _files in walked if path.endswith(f"/voiceops-pi-{keeper}")]
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


def test_two_at_once_are_apart(boot):
    first, second = boot(), boot()

    machines = {pi.run("cat /etc/machine-id") for pi in (first, second)}
    keys = {(pi.folder / "known_hosts").read_text(encoding="utf-8").split()[2] for pi in (first, second)}
    first.run("touch /var/here")

    assert (len(machines), len(keys), len({first.address, second.address})) == (2, 2, 2)
    assert second.run("ls /var/here", check=False) == ""
    assert second.run("id --user --name; cat /run/systemd/container", user="brad") == "brad\nsystemd-nspawn\n"


def test_nothing_is_left_of_a_pi_whose_test_was_killed(pi_root, tmp_path):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, pi_root, tmp_path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        start_new_session=True,
    )
    assert starter.stdout is not None
    try:
        assert starter.stdout.readline().startswith(b"198.")
        there = left(tmp_path)
        assert any("systemd-nspawn" in each for each in there), there
        assert any("/sys/class/net/vopi" in each for each in there), there
        assert any("/voiceops-pi-" in each for each in there), there
        paths = [Path(each) for each in there if each.startswith("/sys/")]
    finally:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()
        starter.stdout.close()

    until(lambda: not left(tmp_path), "the Pi is gone with who started it")
    until(lambda: not any(path.exists() for path in paths), "its cable and its cgroups are gone, too")
