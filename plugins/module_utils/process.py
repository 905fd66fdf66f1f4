# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program that may hang, flood, fork or be missing, and always comes back with what there is."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

LIMIT_BYTES = 1024 * 1024
# How long a process group may take to die: half for SIGTERM, half for SIGKILL. run() ends this much after its deadline.
GRACE_S = 1.0
_TICK_S = 0.1
_CHUNK = 64 * 1024
# More than a pipe holds; a bound, since a child that left the group may go on writing.
_LAST_CHUNKS = 64

# Called with the output so far (not to be changed) and the seconds since its last byte; true ends the program.
StopWhen = Callable[[bytearray, float], bool]
# Called with each piece of the error output as it comes.
Heard = Callable[[bytes], object]


class ProgramError(Exception):
    """The program could not be started; the text says why, in one sentence."""


class Result(NamedTuple):
    """What a program did. C(returncode) is None if it was killed, and minus the signal's number if it died by one."""

    returncode: int | None
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool


def shell_word(text: str) -> str:
    """Quote a text as one word for a shell, but for a C(~/) before it, which the shell is to expand."""
    home = "~/" if text.startswith("~/") else ""
    return home + shlex.quote(text[len(home) :])


class _Stream:
    """One of a program's outputs: keeps its first C(limit) bytes, and reads on to keep the pipe from filling."""

    def __init__(self, limit: int, heard: Heard | None = None) -> None:
        self.kept = bytearray()
        self.truncated = False
        self._limit = limit
        self._heard = heard

    def feed(self, chunk: bytes) -> None:
        if self._heard:
            self._heard(chunk)
        room = self._limit - len(self.kept)
        self.kept += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room

    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    limit_bytes: int = LIMIT_BYTES,
    stop_when: StopWhen | None = None,
    heard: Heard | None = None,
) -> Result:
    """Run C(argv) until it ends, until C(stop_when) says so, or until C(deadline), an absolute C(time.monotonic()).

    The program gets no input and a session of its own, so it can neither ask a question nor find a terminal.
    When it has to end, its whole process group is sent SIGTERM, then SIGKILL; what it wrote by then is kept.
    Of each output the first C(limit_bytes) are kept; C(heard) is given all of the error output. C(env) is the whole
    environment (the caller's own by default).
    Raises ProgramError if the program cannot be started.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as exc:
        raise ProgramError(_why_not_started(argv[0], cwd, exc)) from exc
    out, err = _Stream(limit_bytes), _Stream(limit_bytes, heard)
    try:
        ended, timed_out = _follow(process, out, err, deadline, stop_when)
    finally:
        # Also when interrupted from outside: nothing of ours is left running.
        _end_group(process, out, err)
    return Result(
        process.returncode if ended else None, out.text(), err.text(), timed_out, out.truncated or err.truncated
    )


def _why_not_started(program: str, cwd: str | None, exc: Exception) -> str:
    if cwd is not None and not os.path.isdir(cwd):
        return f"no such folder: {cwd}"
    if isinstance(exc, FileNotFoundError):
        return f"no such program: {program}"
    if isinstance(exc, PermissionError):
        return f"not allowed to run {program}"
    return f"cannot run {program}: {exc}"


def _follow(
    process: subprocess.Popen[bytes], out: _Stream, err: _Stream, deadline: float, stop_when: StopWhen | None
) -> tuple[bool, bool]:
    """Read both outputs until the program ends or has to; return whether it ended, and whether it was late."""
    last_output = time.monotonic()
    with _pipes(process, out, err) as selector:
        while selector.get_map():
            now = time.monotonic()
            if now >= deadline:
                ended = process.poll() is not None
                return ended, not ended
            if _read_ready(selector, min(_TICK_S, deadline - now)):
                last_output = time.monotonic()
            elif process.poll() is not None:
                # Ended, but a child of its holds the pipes open: nothing more is owed to us.
                return True, False
            if stop_when and stop_when(out.kept, time.monotonic() - last_output):
                return process.poll() is not None, False
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False, True
    return True, False


@contextlib.contextmanager
def _pipes(process: subprocess.Popen[bytes], out: _Stream, err: _Stream) -> Iterator[selectors.BaseSelector]:
    """A selector over the outputs that are still open."""
    with selectors.DefaultSelector() as selector:
        for pipe, stream in ((process.stdout, out), (process.stderr, err)):
            if pipe is not None and not pipe.closed:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, (pipe, stream))
        yield selector


def _read_ready(selector: selectors.BaseSelector, timeout: float) -> bool:
    """Read once from each output that has something; close those that ended. Return whether there was anything."""
    ready = selector.select(timeout)
    for key, _events in ready:
        pipe, stream = key.data
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            stream.feed(chunk)
        else:
            selector.unregister(pipe)
            pipe.close()
    return bool(ready)


def _end_group(process: subprocess.Popen[bytes], out: _Stream, err: _Stream) -> None:
    """End what is left of the process group, keep what it says meanwhile, and close its outputs."""
    with _pipes(process, out, err) as selector:
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + GRACE_S / 2
            _signal_group(process.pid, number)
            while time.monotonic() < until and _signal_group(process.pid, 0):
                process.poll()
                _read_ready(selector, _TICK_S / 5)
        for _chunk in range(_LAST_CHUNKS):
            if not _read_ready(selector, 0):
                break
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.poll()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group, or only ask with 0; return whether anyone is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of zombies
        return False
    return True
