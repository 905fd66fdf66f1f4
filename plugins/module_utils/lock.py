# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A durable lock on one agent: a file that names its holder and survives a killed run.

The lock of a run of this host that is dead is taken over at once; whether a run of another host is dead cannot be
known, so its lock is taken over after a stated time. So is that of a run of this host where ps(1) cannot be asked. A
takeover is told, never silent.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, run
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, rfc3339

EXPIRES_S = 3600.0
_PS_S = 5.0

Holder = dict[str, Any]


class Taken(NamedTuple):
    """Whether the lock is ours now; C(sentence) tells who holds it, or from whom it was taken over."""

    ours: bool
    sentence: str = ""


def slug(agent: str) -> str:
    """Return an agent, C(project/name), as part of a file name; with a hash where that could be another's, too."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", agent).strip("-.")[:100] or "agent"
    if plain == agent.replace("/", "-", 1):
        return plain
    return f"{plain}-{hashlib.sha256(agent.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def holder(run_id: str, pid: int, now: float) -> Holder:
    """Say who this run is: host, pid, when that process began, user, since, run."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "pid_began": began(pid),
        "user": user,
        "since": rfc3339(now),
        "run": run_id,
    }


def began(pid: int) -> str | None:
    """When a process began, as ps(1) tells it; empty if there is no such process, None if ps cannot be asked.

    A process id alone could be somebody else's by now.
    """
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        argv = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
        shown = run(argv, deadline=time.monotonic() + _PS_S, env=env)
    except ProgramError:
        return None
    if shown.timed_out or (shown.returncode != 0 and shown.stderr.strip()):
        return None
    state, _space, since = " ".join(shown.stdout.split()).partition(" ")
    # What is dead and not yet buried is gone, too.
    return "" if state.startswith("Z") else since


def take(
    folder: Path,
    agent: str,
    mine: Holder,
    now: float,
    expires_s: float = EXPIRES_S,
    wait_s: float = whole_file.WAIT_S,
) -> Taken:
    """Take the lock of C(agent) in C(folder), which is made if missing; if it is ours already, it is of C(now) again.

    Another process of this host that is at it is waited for, for C(wait_s). Raises OSError if it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with whole_file.alone(_guard(folder, agent), wait_s):
            return _take(folder, agent, mine, now, expires_s)
    except whole_file.BusyError as exc:
        told = str(exc.strerror)
        return Taken(False, f"{told[0].upper()}{told[1:]}.")


def _take(folder: Path, agent: str, mine: Holder, now: float, expires_s: float) -> Taken:
    path = _path(folder, agent)
    theirs = read(folder, agent)
    if theirs and theirs.get("run") == mine["run"]:
        whole_file.write(path, json.dumps(mine), whole_file.mode_of(folder))
        return Taken(True)
    over = ""
    if theirs is not None:
        gone = _why_gone(theirs, mine["host"])
        why = _why_expired(theirs, now, expires_s) if gone is None else gone
        if not why:
            told = describe(theirs)
            expiry = "" if gone == "" else f" Its lock expires {expires_s:g} s after that."
            if parse_time(theirs.get("since")) is None:
                expiry = " It does not expire: if no repair is at work, remove that file."
            return Taken(False, f"{told[0].upper()}{told[1:]} is at work on this agent: {path}.{expiry}")
        over = f"The lock was taken over from {describe(theirs)}: {why}."
        path.unlink()
    try:
        _create(path, mine)
    except FileExistsError:
        return Taken(False, f"Another run, of another host, took the lock at the same moment: {path}.")
    return Taken(True, over)


def release(folder: Path, agent: str, run_id: str) -> bool:
    """Give the lock back if it is this run's; say whether it was. Raises OSError if it cannot be removed."""
    with whole_file.alone(_guard(folder, agent)):
        theirs = read(folder, agent)
        if theirs is None or theirs.get("run") != run_id:
            return False
        _path(folder, agent).unlink()
        return True


def read(folder: Path, agent: str) -> Holder | None:
    """Return who holds the lock; None if nobody does. One that cannot be read has an unknown holder."""
    try:
        found = json.loads(_path(folder, agent).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def describe(theirs: Mapping[str, Any]) -> str:
    """Name a holder in words."""
    if not theirs.get("run"):
        return "an unknown run (its lock cannot be read)"
    where = f"{theirs.get('user')}@{theirs.get('host')}"
    return f"run {theirs['run']} of {where} (pid {theirs.get('pid')}, since {theirs.get('since')})"


def _why_gone(theirs: Mapping[str, Any], host: str) -> str | None:
    """Say why a holder's process is gone; empty if it lives, None if that cannot be known here."""
    if theirs.get("host") != host or not isinstance(theirs.get("pid"), int):
        return None
    is_now = began(theirs["pid"])
    if is_now == "":
        return "that process is gone"
    if is_now is None or not theirs.get("pid_began"):
        return None
    return "" if is_now == theirs["pid_began"] else "that process is gone, and its id belongs to another one"


def _why_expired(theirs: Mapping[str, Any], now: float, expires_s: float) -> str:
    """Say why a holder of whom no more is known counts as gone; empty if it does not."""
    since = parse_time(theirs.get("since"))
    if since is None or now - since <= expires_s:
        return ""
    return f"it is older than {expires_s:g} s, and whether it still runs cannot be seen from here"


def _path(folder: Path, agent: str) -> Path:
    return folder / f"{slug(agent)}.lock"


def _guard(folder: Path, agent: str) -> Path:
    return folder / f".{slug(agent)}.guard"


def _create(path: Path, mine: Holder) -> None:
    """Make the lock's file with its content in one step; raises FileExistsError if another host was faster."""
    part = path.with_name(f".{path.name}.{mine['pid']}.part")
    try:
        whole_file.write(part, json.dumps(mine), whole_file.mode_of(path.parent))
        os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
