# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line: C(python -m lab up SCENARIO | down | status | list)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.lock import take_lock
from lab.scenario import SCENARIOS, ScenarioError, load, path_of

TESTS = Path(__file__).resolve().parent.parent
DIRECTORY = TESTS.parent / ".lab"
UP_DEADLINE = 120.0
DOWN_DEADLINE = 10.0


class LabError(Exception):
    """The lab cannot be started or ended; the message says what was seen."""


def _wait(reached: Callable[[], bool], seconds: float) -> bool:
    """Ask C(reached) again and again until it is true, at most for C(seconds); give its last answer."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _running(directory: Path) -> bool:
    """Say whether a daemon holds the directory; its lock tells, since a process id may be somebody else's by now."""
    try:
        os.close(take_lock(directory))
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _pid(directory: Path) -> int | None:
    """Give the process id of the last daemon in the directory."""
    try:
        return int((directory / "pid").read_text())
    except (OSError, ValueError):
        return None


def _session(leader: int) -> list[int]:
    """Give the processes of the session that C(leader) led, if it is gone itself; zombies are gone."""
    command = ["ps", "-A", "-o", "stat=,pid="]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    pids = [int(pid) for stat, pid in map(str.split, listed.splitlines()) if not stat.startswith("Z")]
    if leader in pids:
        return []
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def _end(pid: int, how: signal.Signals) -> bool:
    """Send a signal; say whether there still was such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
        return True
    return False


def down(directory: Path) -> bool:
    """End the lab in C(directory) and whatever a crashed one left; say whether anything was running.

    Raises C(LabError) if its process cannot be ended.
    """
    pid, ran = _pid(directory), _running(directory)
    if pid is None:
        return False
    if ran:
        _end(pid, signal.SIGTERM)
        if not _wait(lambda: not _running(directory), DOWN_DEADLINE):
            _end(pid, signal.SIGKILL)
            if not _wait(lambda: not _running(directory), DOWN_DEADLINE):
                raise LabError(f"process {pid} does not end")
    for orphan in _session(pid):
        ran = _end(orphan, signal.SIGKILL) or ran
    for name in ("lab.json", "pid"):
        (directory / name).unlink(missing_ok=True)
    return ran


def up(name: str, directory: Path) -> dict[str, Any]:
    """Start the scenario in C(directory) in place of what runs there; give its C(lab.json) once everything answers.

    Raises C(ScenarioError) for a scenario that cannot be used and C(LabError) if the lab does not come up.
    """
    path = path_of(name).resolve()
    load(path, time.time())
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    down(directory)
    lab, log = directory / "lab.json", directory / "lab.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "lab.daemon", str(path), str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
    (directory / "pid").write_text(str(daemon.pid))
    if _wait(lambda: lab.exists() or daemon.poll() is not None, UP_DEADLINE) and daemon.poll() is None:
        started: dict[str, Any] = json.loads(lab.read_text(encoding="utf-8"))
        return started
    daemon.kill()
    daemon.wait()
    down(directory)
    raise LabError(f"the lab did not come up; {log} ends with:\n{log.read_text(errors='replace')[-2000:]}")


def _status(directory: Path) -> int:
    """Print what runs; give 3, as service managers do, when nothing does."""
    if not _running(directory) or not (directory / "lab.json").exists():
        print(f"down: no lab runs in {directory}")
        return 3
    lab = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
    print(f"up: {lab['scenario']} (process {lab['pid']}) in {directory}")
    for part, port in sorted(lab["ports"].items()):
        print(f"  {part:10} 127.0.0.1:{port}")
    return 0


def _list() -> int:
    """Print the scenarios with the verdict expected of each."""
    for path in sorted(SCENARIOS.glob("*.yml")):
        scenario = load(path, 0)
        print(f"{scenario['name']:32} {scenario['expected']['verdict']:32} {scenario['title']}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; give its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status", "list"):
        command = commands.add_parser(name)
        if name == "up":
            command.add_argument("scenario", help="name of a file in tests/scenarios, or a path")
        if name != "list":
            command.add_argument("--dir", type=Path, default=DIRECTORY, help="the lab's folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            return _list()
        directory: Path = options.dir.resolve()
        if options.command == "status":
            return _status(directory)
        if options.command == "down":
            print("down" if down(directory) else "nothing was running")
            return 0
        lab = up(options.scenario, directory)
    except (ScenarioError, LabError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"up: {lab['scenario']} (process {lab['pid']}) in {directory}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
