# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams what journalctl writes line by line, within a deadline, and in a bounded memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

# Of a longer line, only both its ends are kept: the message may hide the time of an entry behind it.
LINE_HEAD = 64 * 1024
LINE_TAIL = 4 * 1024
_STDERR_LIMIT = 8 * 1024


@dataclass
class End:
    """How a program ended; C(returncode) is None if we ended it."""

    returncode: int | None = None
    stderr: str = ""
    timed_out: bool = False


def environment() -> dict[str, str]:
    """Give the environment in which systemd's programs speak plain English, UTC, and to no terminal."""
    return {**os.environ, "LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "NO_COLOR": "1"}


def stream(arguments: Sequence[str], deadline: float, end: End) -> Generator[bytes, None, None]:
    """Yield the lines that journalctl writes as JSON, long ones without their middle; say in C(end) how it ended.

    Closing the generator ends journalctl.
    """
    try:
        process = subprocess.Popen(
            ["journalctl", "--no-pager", "--output=json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
            bufsize=0,
        )
    except OSError as exc:
        missing = isinstance(exc, FileNotFoundError)
        end.returncode, end.stderr = 127, "no such program: journalctl" if missing else f"journalctl: {exc}"
        return
    try:
        yield from _lines(process, deadline, end)
        if not end.timed_out:
            with contextlib.suppress(subprocess.TimeoutExpired):
                end.returncode = process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        _end_process(process)


def _lines(process: subprocess.Popen[bytes], deadline: float, end: End) -> Iterator[bytes]:
    line = _Line()
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                end.timed_out = True
                return
            ready = [key for key, _events in selector.select(left)]
            # What is wrong comes first: whoever is content with one line would miss it.
            for key in sorted(ready, key=lambda key: key.fileobj is not process.stderr):
                chunk = os.read(key.fd, 64 * 1024)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    end.stderr = (end.stderr + chunk.decode("utf-8", "replace"))[:_STDERR_LIMIT]
                else:
                    yield from line.feed(chunk)


class _Line:
    """Cuts a stream of bytes into lines, and keeps only both ends of one that is too long."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._head + self._tail
            self._head = self._tail = b""
        self._add(rest)

    def _add(self, part: bytes) -> None:
        room = LINE_HEAD - len(self._head)
        self._head += part[:room]
        self._tail = (self._tail + part[room:])[-LINE_TAIL:]


def _end_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        # One that hangs in the kernel cannot be helped.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
