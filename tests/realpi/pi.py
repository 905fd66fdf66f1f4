# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Pi as a test has it: booted afresh, reached by ssh with its host key checked, and gone when the test is.

The callback API runs on it as the unit C(proto-trainer-next), as its own user, with a database and a key of its own.
The user C(brad) is in the group systemd-journal and may manage the unit by sudo; C(guest) neither; root is the test's.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.scenario import load
from lab.state import Scenario

TESTS = Path(__file__).resolve().parent.parent
UNIT = "proto-trainer-next"
PORT = 3003
SUDOERS = "brad ALL=(root) NOPASSWD: " + ", ".join(
    f"/usr/bin/systemctl {verb} {UNIT}" for verb in ("start", "restart", "reset-failed")
)
UP_S = 180
RUN_S = 180
LAST_LINES = 15
SERVICE = """\
[Unit]
Description=Proto Trainer
After=network.target

[Service]
User=proto-trainer
WorkingDirectory=/opt/proto-trainer
EnvironmentFile=/etc/proto-trainer.env
StateDirectory=proto-trainer
ExecStart=/usr/bin/python3 server.py {user}
Restart=always

[Install]
WantedBy=multi-user.target
"""
SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
PasswordAuthentication no
UseDNS no
"""


class PiError(Exception):
    """The Pi does not come up; the message has the end of what its console said."""


@dataclass(frozen=True)
class Pi:
    """A running Pi; C(folder) has its keys and its console's log, C(service_key) is the API's."""

    folder: Path
    address: str
    service_key: str

    @property
    def url(self) -> str:
        """The API's base URL, from this host."""
        return f"http://{self.address}:{PORT}"

    def ssh(self, user: str) -> list[str]:
        """Give the arguments of ssh as C(user), up to the host; its host key is checked."""
        options = {"StrictHostKeyChecking": "yes", "IdentitiesOnly": "yes", "BatchMode": "yes", "ConnectTimeout": "30"}
        files = {"UserKnownHostsFile": f'"{self.folder}/known_hosts"', "GlobalKnownHostsFile": "/dev/null"}
        flags = [part for name, value in {**options, **files}.items() for part in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", *flags, "-i", str(self.folder / key_of(user)), f"{user}@{self.address}"]

    def run(self, command: str, *, user: str = "root", check: bool = True) -> str:
        """Run a command of the shell on the Pi; give its standard output, or fail with what it said."""
        done = subprocess.run(
            [*self.ssh(user), command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        if check and done.returncode != 0:
            raise PiError(f"{command!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file on the Pi, and the folders above it."""
        self.run(f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(text)} > {path}")

    def drop_in(self, *lines: str, section: str = "Service") -> None:
        """Change the unit by a drop-in, without a restart."""
        text = "\n".join([f"[{section}]", *lines, ""])
        self.write(f"/etc/systemd/system/{UNIT}.service.d/{section.lower()}.conf", text)
        self.run("systemctl daemon-reload")

    def set_clock(self, seconds: int) -> None:
        """From the next boot on, let the clock be ahead by C(seconds) for all but PID 1, which libfaketime spares."""
        (library,) = self.run("ls /usr/lib/*/faketime/libfaketime.so.1").split()
        variables = [f"LD_PRELOAD={library}", "FAKETIME_TIMESTAMP_FILE=/etc/faketime", "FAKETIME_NO_CACHE=1"]
        variables.append("FAKETIME_DONT_FAKE_MONOTONIC=1")
        self.write("/etc/faketime", f"{seconds:+d}\n")
        self.write("/etc/environment", "".join(f"{each}\n" for each in variables))
        manager = f"[Manager]\nDefaultEnvironment={' '.join(variables)}\n"
        self.write("/etc/systemd/system.conf.d/clock.conf", manager)

    def reboot(self) -> None:
        """Reboot it, and wait until it is up again."""
        boot_id = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(boot_id)
        self.run("systemctl reboot", check=False)
        deadline = time.monotonic() + UP_S
        while self.run(boot_id, check=False) in ("", before):
            if time.monotonic() > deadline:
                raise PiError(f"the Pi does not come up again; its console said:\n{console(self.folder)}")
            time.sleep(0.1)
        self.run("systemctl is-system-running --wait", check=False)

    def inventory(self, user: str) -> dict[str, Any]:
        """Give an inventory that puts this Pi in the place of the lab's, for C(user)."""
        host = {
            "ansible_host": self.address,
            "ansible_port": 22,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.folder / key_of(user)),
            "ansible_ssh_common_args": shlex.join(
                [
                    *("-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"),
                    *("-o", f'UserKnownHostsFile="{self.folder}/known_hosts"'),
                ]
            ),
            "ansible_remote_tmp": "~/.ansible/tmp",
        }
        return {"all": {"hosts": {"pi-hub": host}}}


def key_of(user: str) -> str:
    """Name the file of the private key of a user: root has one of its own."""
    return "root_key" if user == "root" else "user_key"


def console(folder: Path) -> str:
    """Give the end of what the Pi's console said."""
    return "\n".join((folder / "console.log").read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def make_keys(folder: Path) -> None:
    """Make the keys of the host, of root and of the users."""
    for name in ("host_key", "root_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)


def scenario() -> Scenario:
    """Give a scenario with all its defaults, for the user that the API knows."""
    return load(TESTS / "scenarios" / "healthy.yml", time.time())


def make_seed(folder: Path, service_key: str) -> Path:
    """Make the files that this Pi has beside those of every Pi."""
    seed = folder / "seed"

    def write(path: str, text: str, mode: int = 0o644) -> None:
        file = seed / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    write("etc/ssh/ssh_host_ed25519_key", (folder / "host_key").read_text(encoding="utf-8"), 0o600)
    for user in ("root", "brad", "guest"):
        write(f"etc/ssh/authorized_keys/{user}", (folder / f"{key_of(user)}.pub").read_text(encoding="utf-8"))
    write("etc/ssh/sshd_config.d/pi.conf", SSHD)
    write("etc/hostname", "pi-hub\n")
    write("etc/hosts", "127.0.0.1 localhost pi-hub\n")
    write("etc/sudoers.d/brad", f"{SUDOERS}\n", 0o440)
    environment = {"PORT": PORT, "DATABASE_URL": "file:/var/lib/proto-trainer/app.sqlite"}
    environment["INTERNAL_SERVICE_KEY"] = service_key
    lines = [f"{name}={value}\n" for name, value in environment.items()]
    write("etc/proto-trainer.env", "".join(lines), 0o600)
    write(f"etc/systemd/system/{UNIT}.service", SERVICE.format(user=scenario()["api"]["users"][0]))
    for source in (TESTS / "realpi" / "server.py", TESTS / "lab" / "sessions.py"):
        write(f"opt/proto-trainer/{source.name}", source.read_text(encoding="utf-8"))
    wanted = seed / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True)
    (wanted / f"{UNIT}.service").symlink_to(f"../{UNIT}.service")
    write("var/log/journal/.keep", "")
    return seed


@contextlib.contextmanager
def booted(base: Path, folder: Path, *, size: str = "256m") -> Iterator[Pi]:
    """Boot a Pi over the root file system C(base), with its keys in the empty C(folder); it is down in the end."""
    make_keys(folder)
    service_key = secrets.token_urlsafe(24)
    seed = make_seed(folder, service_key)
    disk = folder / "disk"
    disk.mkdir()
    command = ["unshare", "--mount", "--propagation", "private", "--", sys.executable, "-m", "realpi.keeper"]
    with (folder / "console.log").open("wb") as log:
        keeper = subprocess.Popen(
            [*command, base, disk, seed, "--size", size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            start_new_session=True,
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        pi = Pi(folder, address_of(keeper, folder), service_key)
        public = (folder / "host_key.pub").read_text(encoding="utf-8")
        (folder / "known_hosts").write_text(f"{pi.address} {public}", encoding="utf-8")
        wait_for_ssh(pi, keeper)
        pi.run("systemctl is-system-running --wait", check=False)
        yield pi
    finally:
        keeper.stdin.close()
        try:
            keeper.wait(30)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        keeper.stdout.close()


def address_of(keeper: subprocess.Popen[bytes], folder: Path) -> str:
    """Wait for the keeper's line."""
    assert keeper.stdout is not None
    readable = select.select([keeper.stdout], [], [], UP_S)[0]
    line = keeper.stdout.readline() if readable else b""
    if not line:
        raise PiError(f"the Pi does not boot; its console said:\n{console(folder)}")
    address: str = json.loads(line)["address"]
    return address


def wait_for_ssh(pi: Pi, keeper: subprocess.Popen[bytes]) -> None:
    """Wait until root can log in."""
    deadline = time.monotonic() + UP_S
    while pi.run("echo up", check=False) != "up\n":
        if time.monotonic() > deadline or keeper.poll() is not None:
            raise PiError(f"nobody can log in to the Pi; its console said:\n{console(pi.folder)}")
        time.sleep(0.1)
