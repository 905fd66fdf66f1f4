# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pi: an SSH server on loopback, for the real OpenSSH client, whose sessions run as the lab's own user."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import asyncssh

from lab import pi_host
from lab.journal import Journal
from lab.state import LabState, Scenario

ADDRESS = "127.0.0.1"
CHUNK = 65536

Process = asyncssh.SSHServerProcess[bytes]


class _Files(asyncssh.SFTPServer):
    """SFTP over the whole file system; relative paths are in the Pi's home."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: Path) -> None:
        super().__init__(channel)
        self._home = os.fsencode(home)

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)

    def exit(self) -> None:
        # OpenSSH's scp fails without the exit status that a real SFTP server leaves.
        self.channel.exit(0)


async def _copy_in(process: Process, child: asyncio.subprocess.Process) -> None:
    """Copy the client's input and signals to the command."""
    assert child.stdin is not None
    while True:
        try:
            data = await process.stdin.read(CHUNK)
        except asyncssh.TerminalSizeChanged:
            continue
        except asyncssh.SignalReceived as received:
            _signal(child, getattr(signal, f"SIG{received.signal}", signal.SIGTERM))
            continue
        except asyncssh.BreakReceived:
            _signal(child, signal.SIGINT)
            continue
        # A command may end, or close its input, before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if not data:
                child.stdin.close()
                return
            child.stdin.write(data)
            await child.stdin.drain()


async def _copy_out(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    """Copy one of the command's outputs to the client."""
    assert source is not None
    while data := await source.read(CHUNK):
        target.write(data)
        await target.drain()


async def _finished(process: Process, child: asyncio.subprocess.Process) -> int:
    """Give the command's exit code once it has ended and its outputs are closed and copied."""
    await asyncio.gather(_copy_out(child.stdout, process.stdout), _copy_out(child.stderr, process.stderr))
    return await child.wait()


def _signal(child: asyncio.subprocess.Process, number: int) -> None:
    """Signal the command's whole process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


async def _run(process: Process, root: Path) -> None:
    """Run the session's command until it ends and has closed its output, or the client is gone."""
    arguments = ["-c", process.command] if process.command else []
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=pi_host.environment(root),
        cwd=pi_host.home_of(root),
        process_group=0,
    )
    copied_in = asyncio.create_task(_copy_in(process, child))
    finished = asyncio.create_task(_finished(process, child))
    gone = asyncio.create_task(process.wait_closed())
    await asyncio.wait((finished, gone), return_when=asyncio.FIRST_COMPLETED)
    if finished.done() and not finished.exception() and not gone.done():
        _report(process, finished.result())
    for task in (copied_in, finished, gone):
        task.cancel()
    await asyncio.gather(copied_in, finished, gone, return_exceptions=True)
    if child.returncode is None:
        _signal(child, signal.SIGKILL)
        await child.wait()


def _report(process: Process, code: int) -> None:
    """Tell the client how the command ended; a negative C(code) is the signal that ended it."""
    if code < 0:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
    else:
        process.exit(code)


def _private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


class Pi:
    """The Pi of one run: where its SSH server is, and what runs on it.

    C(port) is on 127.0.0.1; C(private_key) and C(known_hosts) are files for the client; C(root) is where the Pi lives.
    """

    def __init__(self, scenario: Scenario, directory: Path, state: LabState) -> None:
        self.root = directory / "pi"
        self.private_key = directory / "ssh" / "id_ed25519"
        self.known_hosts = directory / "ssh" / "known_hosts"
        self._state: str = scenario["pi"]["state"]
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._sessions: set[asyncio.Task[Any]] = set()
        self._listener: asyncssh.SSHAcceptor | None = None
        self._socket = socket.create_server((ADDRESS, 0)) if self._state != "unreachable" else closed_port()
        self.port: int = self._socket.getsockname()[1]
        pi_host.make_host(scenario, self.root)
        self._journal = Journal(scenario, directory / "journal", pi_host.python_of(self.root))
        if self._state != "no_systemd":
            pi_host.make_command(self.root, "journalctl", self._journal.script)
        state.journal = self._journal.append

    async def start(self) -> None:
        """Make the keys, and listen unless the Pi is unreachable."""
        host_key, client_key, other_key = (asyncssh.generate_private_key("ssh-ed25519") for _turn in range(3))
        self.private_key.parent.mkdir()
        _private(self.private_key, client_key.export_private_key())
        host_line = host_key.export_public_key().decode()
        self.known_hosts.write_text(f"[{ADDRESS}]:{self.port} {host_line}", encoding="utf-8")
        if self._state == "unreachable":
            return
        allowed = other_key if self._state == "refuses_key" else client_key
        self._listener = await asyncssh.listen(
            sock=self._socket,
            server_factory=lambda: _Server(self._connections),
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(allowed.export_public_key().decode()),
            process_factory=self._session,
            sftp_factory=lambda channel: _Files(channel, pi_host.home_of(self.root)),
            encoding=None,
            line_editor=False,
        )

    async def close(self) -> None:
        """Close every connection, end the commands that still run, then end the journal."""
        if self._listener:
            self._listener.close()
        else:
            self._socket.close()
        for connection in list(self._connections):
            connection.abort()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=5)
        self._journal.close()

    async def _session(self, process: Process) -> None:
        """Serve one command of a connection, which may have several at once."""
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        if self._state == "hangs":
            await process.wait_closed()
        else:
            await _run(process, self.root)


class _Server(asyncssh.SSHServer):
    """Remembers its connection in C(connections) while it is open."""

    def __init__(self, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)


def closed_port() -> socket.socket:
    """Take a free port without listening on it, so that connections to it are refused."""
    taken = socket.socket()
    taken.bind((ADDRESS, 0))
    return taken


async def start_pi(scenario: Scenario, directory: Path, state: LabState) -> Pi:
    """Start the scenario's Pi in C(directory), and let C(state.journal) append to its journal."""
    pi = Pi(scenario, directory, state)
    await pi.start()
    return pi
