# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pi's files as its SSH sessions see them: a home, a Python of its own, and a PATH with stand-ins for systemd."""

from __future__ import annotations

import json
import os
import shlex
import venv
from pathlib import Path
from typing import Any

from lab.journal import clock_of, service_name
from lab.state import Scenario

BIN = Path(__file__).parent / "bin"
USER = "brad"
_CLOCK = """\
import time

_real, _real_ns = time.time, time.time_ns
time.time = lambda: _real() + {offset!r}
time.time_ns = lambda: _real_ns() + {offset_ns!r}
"""


def python_of(root: Path) -> str:
    """Give the path of the Pi's Python."""
    return str(root / "bin" / "python3")


def home_of(root: Path) -> Path:
    """Give the home of the Pi's user."""
    return root / "home"


def environment(root: Path) -> dict[str, str]:
    """Give the environment of a session: nothing is inherited from the lab's own."""
    home = str(home_of(root))
    path = f"{root / 'bin'}{os.pathsep}{root / 'tools'}"
    return {"HOME": home, "PATH": path, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/sh", "LANG": "C.UTF-8"}


def make_python(root: Path, offset: float) -> None:
    """Make a Python without packages; its time.time() and time.time_ns() are C(offset) seconds ahead.

    C(datetime.now()) reads the clock by itself and is not shifted.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(root)
    if offset:
        (packages,) = root.glob("lib/python3*/site-packages")
        (packages / "lab_clock.py").write_text(_CLOCK.format(offset=offset, offset_ns=round(offset * 1e9)))
        # A .pth line, since a distribution's own sitecustomize would hide ours.
        (packages / "lab_clock.pth").write_text("import lab_clock\n")


def link_tools(tools: Path) -> None:
    """Link this machine's commands into C(tools), without its systemd, its Pythons and its sudo."""
    tools.mkdir()
    for folder in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for command in Path(folder).iterdir() if Path(folder).is_dir() else ():
            link = tools / command.name
            foreign = command.name.endswith("ctl") or command.name.startswith(("systemd", "python", "sudo"))
            if not foreign and not link.is_symlink():
                link.symlink_to(command)


def make_app(scenario: Scenario, folder: Path) -> None:
    """Make the files of the unit's WorkingDirectory in C(folder), if it has one."""
    for name, file in (scenario["pi"]["app"] or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["text"], encoding="utf-8")
        written_at = file["written_at"] + clock_of(scenario).offset
        os.utime(path, (written_at, written_at))


def units(scenario: Scenario, app: Path) -> dict[str, dict[str, Any]]:
    """Give the properties of the scenario's unit, in the order and with the names of C(systemctl show).

    Times are on the Pi's clock. A unit that is not found has no entry. C(app) is where L(make_app) made its files.
    """
    unit, clock = scenario["pi"]["unit"], clock_of(scenario)
    if unit["load"] == "not-found":
        return {}
    name = service_name(unit["name"])
    started, stopped = (None if at is None else at + clock.offset for at in (unit["started_at"], unit["stopped_at"]))
    runs, failed = unit["active"] == "active", unit["result"] != "success"
    return {
        name: {
            "Type": "simple",
            "Restart": "always",
            "MainPID": 812 if runs else 0,
            "Result": unit["result"],
            "NRestarts": unit["restarts"],
            "ExecMainStartTimestamp": started,
            "ExecMainExitTimestamp": None if runs else started,
            "ExecMainPID": 812 if started else 0,
            "ExecMainCode": 1 if failed else 0,
            "ExecMainStatus": 1 if failed else 0,
            "Id": name,
            "Names": name,
            "Description": "Proto Trainer",
            "LoadState": unit["load"],
            "ActiveState": unit["active"],
            "SubState": unit["sub"],
            "FragmentPath": f"/etc/systemd/system/{name}",
            "UnitFileState": "enabled",
            "StateChangeTimestamp": started,
            "ActiveEnterTimestamp": started,
            "ActiveEnterTimestampMonotonic": _since_boot(scenario),
            "ActiveExitTimestamp": stopped,
            "ExecStart": _exec_start(unit["command"]),
            "WorkingDirectory": "" if scenario["pi"]["app"] is None else str(app),
            "EnvironmentFiles": [f"{app / each} (ignore_errors=no)" for each in unit["environment_files"]],
            "Environment": " ".join(shlex.quote(f"{name}={value}") for name, value in unit["environment"].items()),
            "_starts": unit["starts"],
        }
    }


def _since_boot(scenario: Scenario) -> int:
    """Return when the unit was started in microseconds since the Pi's boot, 0 if it never was."""
    started = scenario["pi"]["unit"]["started_at"]
    return 0 if started is None else round((started - scenario["pi"]["booted_at"]) * 1e6)


def _exec_start(command: str) -> str:
    """Write a command as systemctl shows it."""
    path = command.partition(" ")[0]
    return f"{{ path={path} ; argv[]={command} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 }}"


def make_host(scenario: Scenario, root: Path) -> None:
    """Make the Pi in the new folder C(root); C(bin/journalctl) is left to the journal."""
    make_python(root, scenario["pi"]["clock_offset"])
    link_tools(root / "tools")
    home_of(root).mkdir()
    if scenario["pi"]["clock_offset"]:
        # Not isolated as the other stand-ins are: what shifts the clock is loaded as a package.
        call = shlex.join([python_of(root), str(BIN / "date.py")])
        make_command(root, "date", f'#!/bin/sh\nexec {call} "$@"\n')
    if scenario["pi"]["state"] == "no_systemd":
        return
    state = root / "units.json"
    app = home_of(root) / "app"
    make_app(scenario, app)
    state.write_text(json.dumps(units(scenario, app)), encoding="utf-8")
    synchronized = "no" if scenario["pi"]["clock_offset"] else "yes"
    programs = {"systemctl": str(state), "timedatectl": synchronized, "sudo": scenario["pi"]["sudo"]}
    for command, argument in programs.items():
        if argument is None:
            continue
        call = shlex.join([python_of(root), "-I", "-S", str(BIN / f"{command}.py"), argument])
        make_command(root, command, f'#!/bin/sh\nexec {call} "$@"\n')


def make_command(root: Path, name: str, script: str) -> None:
    """Put C(script) on the Pi's PATH as C(name)."""
    path = root / "bin" / name
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
