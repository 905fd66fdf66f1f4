# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pi's journal: real journal files where systemd-journal-remote is present, else a file for a stand-in journalctl.

An entry is a dict of journal fields, name to text, as C(journalctl -o json) prints it. The fields, and what journald
itself writes, follow systemd.journal-fields(7), systemd-journald.service(8) and "Journal Export Formats" (systemd.io).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from lab.state import Scenario

HOST = "pi-hub"
BOOT_ID = "6c3f0a9be52f4e0c8f1d7a4b2e915d30"
MACHINE_ID = "b7a1f2c94d5e4f60a3c8d9e0f1a2b3c4"
STARTED = "39f53479d3a045ac8e11786248231fbf"
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"
REMOTE = ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")
HINT = """\
Hint: You are currently not seeing messages from other users and the system.
      Users in groups 'adm', 'systemd-journal' can see all messages.
      Pass -q to turn off this notice."""
QUIET = ("-q", "--quiet", "-o json", "--output=json", "-o cat", "--output=cat")

# How long the writer of journal files may be behind.
SETTLE_S = 30.0

Entry = dict[str, str]


def service_name(unit: str) -> str:
    """Complete a unit's name as systemctl does: C(app) is C(app.service)."""
    return unit if unit.rpartition(".")[2] in ("service", "socket", "timer", "target", "scope") else f"{unit}.service"


class Clock:
    """The Pi's clock: C(offset) seconds ahead of this host's, booted at C(boot) (epoch seconds by this host's)."""

    def __init__(self, offset: float, boot: float) -> None:
        self.offset, self.boot = offset, boot

    def stamp(self, at: float) -> Entry:
        """Give the time fields of an entry written at C(at), epoch seconds on this host's clock."""
        return {
            "__REALTIME_TIMESTAMP": str(round((at + self.offset) * 1e6)),
            "__MONOTONIC_TIMESTAMP": str(max(0, round((at - self.boot) * 1e6))),
            "_BOOT_ID": BOOT_ID,
            "_MACHINE_ID": MACHINE_ID,
            "_HOSTNAME": HOST,
        }


def from_unit(unit: str, message: str, priority: int = 6) -> Entry:
    """Give the fields, without time, of a line that the service C(unit) wrote to its standard output."""
    return {
        "_TRANSPORT": "stdout",
        "PRIORITY": str(priority),
        "SYSLOG_IDENTIFIER": "node",
        "_PID": "812",
        "_UID": "1000",
        "_COMM": "node",
        "_SYSTEMD_UNIT": service_name(unit),
        "MESSAGE": message,
    }


def from_kernel(message: str, priority: int = 6) -> Entry:
    """Give the fields, without time, of what the kernel says."""
    return {"_TRANSPORT": "kernel", "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": message}


def from_manager(unit: str, message: str, message_id: str) -> Entry:
    """Give the fields, without time, of what PID 1 says about C(unit)."""
    return {
        "_TRANSPORT": "journal",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "systemd",
        "_PID": "1",
        "_UID": "0",
        "_COMM": "systemd",
        "_SYSTEMD_UNIT": "init.scope",
        "UNIT": service_name(unit),
        "MESSAGE_ID": message_id,
        "MESSAGE": message,
    }


def from_journald(message: str, **fields: str) -> Entry:
    """Give the fields, without time, of what journald says itself."""
    return {
        "_TRANSPORT": "driver",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "systemd-journald",
        "_PID": "201",
        "_UID": "0",
        "_COMM": "systemd-journal",
        "_SYSTEMD_UNIT": "systemd-journald.service",
        "MESSAGE": message,
        **fields,
    }


def clock_of(scenario: Scenario) -> Clock:
    """Give the Pi's clock; it booted when its journal begins."""
    return Clock(scenario["pi"]["clock_offset"], scenario["pi"]["journal"]["begins_at"])


def entries(scenario: Scenario) -> Iterator[Entry]:
    """Yield what the journal holds when the scenario starts, oldest first; what is older than its beginning is lost."""
    pi, clock = scenario["pi"], clock_of(scenario)
    for at, fields in sorted(_happened(pi, scenario["attempt"]["at"]), key=lambda pair: pair[0]):
        if at >= pi["journal"]["begins_at"]:
            yield {**clock.stamp(at), **fields}


def _happened(pi: dict[str, Any], attempt_at: float) -> Iterator[tuple[float, Entry]]:
    """Yield every entry with its time on this host's clock, in no order."""
    unit, journal = pi["unit"], pi["journal"]
    yield journal["begins_at"], from_journald("Journal started")
    if unit["load"] == "loaded" and unit["started_at"] is not None:
        started = f"Started {service_name(unit['name'])} - Proto Trainer."
        yield unit["started_at"], from_manager(unit["name"], started, STARTED)
    for entry in journal["entries"]:
        kernel = entry["unit"] == "kernel"
        made = from_kernel if kernel else functools.partial(from_unit, entry["unit"] or unit["name"])
        yield entry["at"], made(entry["message"], entry["priority"])
    for repeat in journal["repeat"]:
        for number in range(int((repeat["to"] - repeat["from"]) // repeat["every"]) + 1):
            fields = from_unit(unit["name"], repeat["message"], repeat["priority"])
            yield repeat["from"] + number * repeat["every"], fields
    if journal["suppressed"]:
        name = service_name(unit["name"])
        text = f"Suppressed {journal['suppressed']} messages from {name}"
        drop = {"MESSAGE_ID": SUPPRESSED, "N_DROPPED": str(journal["suppressed"]), "OBJECT_SYSTEMD_UNIT": name}
        yield attempt_at, from_journald(text, **drop)


def exported(entry: Entry) -> bytes:
    """Write an entry in the Journal Export Format."""
    lines = []
    for name, text in entry.items():
        value = text.encode("utf-8", "surrogateescape")
        if b"\n" in value:
            lines.append(name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n")
        else:
            lines.append(name.encode() + b"=" + value + b"\n")
    return b"".join(lines) + b"\n"


class Store(Protocol):
    """A journal that is being written; C(command) reads it, given journalctl's arguments."""

    command: list[str]

    def write(self, entry: Entry) -> None:
        """Append one entry; it is readable at once, or some milliseconds later."""

    def settle(self) -> None:
        """Wait until all that was written is readable."""

    def close(self) -> None:
        """End what was started to write it."""


class JournalFile:
    """Real journal files in C(directory), written by systemd-journal-remote and read by the real journalctl."""

    def __init__(self, directory: Path, remote: str, journalctl: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.command = [journalctl, f"--directory={directory}"]
        self._directory, self._written = directory, 0
        self._writer = subprocess.Popen(
            [remote, f"--output={directory / 'pi.journal'}", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def write(self, entry: Entry) -> None:
        """Feed the writer; it may take some milliseconds until journalctl sees the entry."""
        stream = self._stdin()
        stream.write(exported(entry))
        stream.flush()
        self._written += 1

    def settle(self) -> None:
        """Wait until the writer counts all entries in its files' headers, at most for C(SETTLE_S)."""
        end = time.monotonic() + SETTLE_S
        while sum(map(_entries_in, self._directory.glob("*.journal"))) < self._written and time.monotonic() < end:
            time.sleep(0.005)

    def close(self) -> None:
        """End the writer, which then marks the file as cleanly closed."""
        with contextlib.suppress(OSError):
            self._stdin().close()
        try:
            self._writer.wait(timeout=SETTLE_S)
        except subprocess.TimeoutExpired:
            self._writer.kill()
            self._writer.wait()

    def _stdin(self) -> IO[bytes]:
        assert self._writer.stdin is not None
        return self._writer.stdin


def _entries_in(path: Path) -> int:
    """Read how many entries a journal file has from its header (n_entries in systemd's Journal File Format)."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # it may be renamed now
        file.seek(152)
        return int.from_bytes(file.read(8), "little")
    return 0


class JournalLines:
    """One JSON object per line in C(directory), read by the stand-in C(bin/journalctl.py) under C(python)."""

    def __init__(self, directory: Path, python: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "pi.jsonl"
        self.command = [python, "-I", "-S", str(Path(__file__).parent / "bin" / "journalctl.py"), str(path)]
        self._file = path.open("w", encoding="utf-8", errors="surrogateescape")
        self._count = 0

    def write(self, entry: Entry) -> None:
        """Append a line; it is readable when this returns."""
        self._count += 1
        cursor = f"s={MACHINE_ID};i={self._count:x};b={BOOT_ID};t={int(entry['__REALTIME_TIMESTAMP']):x}"
        self._file.write(json.dumps({"__CURSOR": cursor, **entry}) + "\n")
        self._file.flush()

    def settle(self) -> None:
        """Nothing is to be waited for."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_store(directory: Path, python: str) -> Store:
    """Open a journal in C(directory): real files where this machine can write and read them, else the stand-in's."""
    remote = next((path for path in REMOTE if os.access(path, os.X_OK)), None)
    journalctl = shutil.which("journalctl")
    if remote and journalctl:
        return JournalFile(directory, remote, journalctl)
    return JournalLines(directory, python)


class Journal:
    """The Pi's journal of one run, and the script that stands as C(journalctl) on the Pi's PATH."""

    def __init__(self, scenario: Scenario, directory: Path, python: str) -> None:
        self._unit: str = scenario["pi"]["unit"]["name"]
        self._clock = clock_of(scenario)
        self._system = open_store(directory / "system", python)
        for entry in entries(scenario):
            self._system.write(entry)
        self._system.settle()
        readable = scenario["pi"]["journal"]["readable"]
        self.script = _script(self._system.command) if readable else self._own_script(directory / "user", python)

    def append(self, message: str, priority: int = 6) -> None:
        """Log C(message) as a line of the scenario's unit, now."""
        self._system.write({**self._clock.stamp(time.time()), **from_unit(self._unit, message, priority)})
        self._system.settle()

    def close(self) -> None:
        """End the writer."""
        self._system.close()

    def _own_script(self, directory: Path, python: str) -> str:
        """Give the journalctl of a user who may read only their own journal, which says nothing of the system."""
        own = open_store(directory, python)
        login = from_unit("user@1000.service", "Reached target default.target - Main User Target.")
        own.write({**self._clock.stamp(time.time()), **login, "SYSLOG_IDENTIFIER": "systemd", "_COMM": "systemd"})
        own.close()
        return _script(own.command, HINT)


def _script(command: list[str], hint: str = "") -> str:
    """Write a shell script that runs C(command) with its own arguments, after a notice for people.

    As with the real one, C(-q) turns it off, and so do the formats json and cat.
    """
    quiet = "|".join(f'*" {option} "*' for option in QUIET)
    notice = f'case " $* " in {quiet}) ;; *) echo {shlex.quote(hint)} >&2 ;; esac\n' if hint else ""
    return f'#!/bin/sh\n{notice}exec {shlex.join(command)} "$@"\n'
