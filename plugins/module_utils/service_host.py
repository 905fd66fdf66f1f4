# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's host tells beside the service's unit and its log: its port, its kernel, and its sudo."""

from __future__ import annotations

import errno
import http.client
import re
import shlex
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import journal, systemd
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import USER_AGENT
from ansible_collections.voiceops.livekit.plugins.module_utils.journal_stream import environment
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, run
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.service_files import merged, of_systemd
from ansible_collections.voiceops.livekit.plugins.module_utils.service_log import Frame

SIGNALS = {
    "port": "int|None: the port that the service listens on, as the inventory or the unit says; None if neither does",
    "port_open": "bool|None: something on the host accepts connections to that port; None if it is not known",
    "port_answers": "bool|None: it answers a GET of the callback there; False if none came in "
    "the time that a person waits",
    "kernel_faults": "list[str]|None: what the kernel complained of in the window, from two minutes before the unit "
    "went down until it was up again: under_voltage, out_of_memory; None if its log cannot be read, or does not reach "
    "back",
    "kernel_first": "str|None: the first such line, at most 200 characters",
    "sudo_without_password": "bool|None: False if sudo would ask this user for a password to start the unit; True only "
    "if it says that it would not",
}

_CONNECT_S = 2.0
# A page that takes longer than this is taken for dead by whoever waits for it.
_ANSWER_S = 3.0
_HIGHEST_PORT = 65535
# A host without IPv6 has no such address; nothing listens there.
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH)
_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ")
# Of drivers/hwmon/raspberrypi-hwmon.c, before and since Linux 6.13, and of mm/oom_kill.c.
_KERNEL_FAULTS = {"under_voltage": r"[Uu]nder-?voltage detected", "out_of_memory": r"[Oo]ut of memory: Killed process"}
# What takes a service down is told of before it is down.
_BEFORE_DOWN_S = 120.0
_SUDO_S = 3.0
_PASSWORD_WANTED = re.compile(r"(?:a password|authentication) is required", re.I)
_PORT_OPTION = re.compile(r"(?:-p|--port=)(\d{1,5})", re.ASCII)


def port_signals(given: object, unit: Mapping[str, str], path: str, deadline: float) -> dict[str, Any]:
    """Return the signals of the port by C(deadline), an absolute C(time.monotonic()).

    C(given) is the inventory's port or None, C(unit) has the properties of the systemd unit, C(path) is that of the
    callback.
    """
    # Next.js takes the option before PORT, which it does not look for in its own files.
    port = _port(given) or port_of_command(unit.get("ExecStart", "")) or _port(merged(of_systemd(unit)).get("PORT"))
    accepts = None if port is None else is_open(port, deadline)
    return {
        "port": port,
        "port_open": accepts,
        "port_answers": answers(port, path, deadline) if port and accepts else None,
    }


def port_of_command(exec_start: str) -> int | None:
    """Find C(-p 3003) or C(--port 3003) in ExecStart as systemctl shows it; None if there is none, or two differ."""
    words = _words(" ".join(_ARGUMENTS.findall(exec_start)))
    following = zip(words, [*words[1:], ""])
    found = {_port(after) for word, after in following if word in ("-p", "--port")}
    found |= {_port(match[1]) for match in map(_PORT_OPTION.fullmatch, words) if match}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _port(value: object) -> int | None:
    text = str(value)
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII):
        return None
    return int(text) if 0 < int(text) <= _HIGHEST_PORT else None


def is_open(port: int, deadline: float) -> bool | None:
    """Say whether a connection to the port is accepted on this host; None if that stays open until C(deadline)."""
    outcomes = [_accepts(address, port, deadline) for address in ("127.0.0.1", "::1")]
    return True if True in outcomes else None if None in outcomes else False


def _accepts(address: str, port: int, deadline: float) -> bool | None:
    patience = min(_CONNECT_S, deadline - time.monotonic())
    if patience <= 0:
        return None
    try:
        socket.create_connection((address, port), patience).close()
    except ConnectionRefusedError:
        return False
    except OSError as exc:
        return False if exc.errno in _NO_SUCH_ADDRESS else None
    return True


def answers(port: int, path: str, deadline: float) -> bool | None:
    """Say whether a server on this host answers a GET of the path; None if it speaks no HTTP, or time is short."""
    patience = min(_ANSWER_S, deadline - time.monotonic())
    connection = http.client.HTTPConnection("localhost", port, timeout=max(0.1, patience))
    try:
        connection.request("GET", path or "/", headers={"User-Agent": USER_AGENT})
        connection.getresponse()
    except socket.timeout:
        return False if patience >= _ANSWER_S else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return True


def kernel_signals(frame: Frame, asked: Future[systemd.Shown], deadline: float) -> dict[str, Any]:
    """Return the signals of the kernel's log in the window by C(deadline), an absolute C(time.monotonic()).

    They are of when the unit was down, which systemd was C(asked) for.
    """
    window = frame.since + frame.offset, frame.until + frame.offset
    query = journal.Query("", *window, "|".join(_KERNEL_FAULTS.values()))
    greps = journal.can_grep(deadline)
    down, up = _downtime(asked.result().properties, frame)

    def within(entry: journal.Entry) -> str | None:
        return entry.text if down - _BEFORE_DOWN_S <= entry.at <= up else None

    reading = journal.read(query, within, greps=greps, deadline=deadline)
    found = [
        kind for kind, pattern in _KERNEL_FAULTS.items() if any(re.search(pattern, text) for text in reading.items)
    ]
    return {
        "kernel_faults": found if found or (reading.readable and reading.complete) else None,
        "kernel_first": clip(redact(reading.items[0]), 200) if reading.items else None,
    }


def _downtime(unit: Mapping[str, str], frame: Frame) -> tuple[float, float]:
    """Say from when until when the unit was down last, by the host's clock; after a boot, from the attempt at most."""
    entered, left = (systemd.moment(unit, f"Active{change}Timestamp") for change in ("Enter", "Exit"))
    if left is None:
        known = (systemd.booted(unit), entered, frame.start + frame.offset)
        left = min(at for at in known if at is not None)
    until = frame.until + frame.offset
    return left, until if entered is None or not systemd.is_active(unit) else entered


def sudo_signals(unit: str, deadline: float) -> dict[str, Any]:
    """Return the signal of sudo by C(deadline), an absolute C(time.monotonic()). It only lists: nothing is started.

    What sudo(8) lists may be allowed only with a password; newer versions show the rule, in which !authenticate says
    that none is wanted.
    """
    argv = ["sudo", "-n", "-ll", "systemctl", "start", unit]
    try:
        result = run(argv, deadline=min(deadline, time.monotonic() + _SUDO_S), env=environment())
    except ProgramError:
        return {"sudo_without_password": None}
    wanted = result.returncode != 0 and _PASSWORD_WANTED.search(result.stderr)
    free = result.returncode == 0 and "!authenticate" in result.stdout
    return {"sudo_without_password": False if wanted else True if free else None}
