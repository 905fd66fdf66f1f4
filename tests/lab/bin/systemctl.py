# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for systemctl (systemd 252 to 257): show, is-active, cat, start, restart, reset-failed and --version.

Its first argument is a JSON file: unit name to properties in the order of the real one; a property whose name ends in
C(Timestamp) is in epoch seconds, or null; a list has a line for each of its items. A unit that is not in the file is
not found. What changes a unit needs sudo, and changes the file; C(_starts) says whether the unit can be started.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, NoReturn

Properties = dict[str, Any]

HANGS_S = 300.0
VERSION = "systemd 252 (252.39-1~deb12u1)\n+PAM +AUDIT +SELINUX +APPARMOR +SECCOMP default-hierarchy=unified"


def _fail(message: str, code: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"systemctl: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="systemctl", allow_abbrev=False, add_help=False)
    parser.add_argument("-p", "--property", action="append", default=[])
    parser.add_argument("--value", action="store_true")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--timestamp", choices=("pretty", "utc", "unix"), default="pretty")
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--no-ask-password", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("verb", nargs="?", default="")
    parser.add_argument("units", nargs="*")
    return parser


def missing(name: str) -> Properties:
    """Give what systemd says of a service that it cannot find."""
    return {
        "Result": "success",
        "NRestarts": 0,
        "ExecMainStartTimestamp": None,
        "ExecMainExitTimestamp": None,
        "ExecMainPID": 0,
        "ExecMainCode": 0,
        "ExecMainStatus": 0,
        "Environment": "",
        "WorkingDirectory": "",
        "Id": name,
        "Names": name,
        "Description": name,
        "LoadState": "not-found",
        "ActiveState": "inactive",
        "SubState": "dead",
        "FragmentPath": "",
        "UnitFileState": "",
        "StateChangeTimestamp": None,
        "ActiveEnterTimestamp": None,
        "ActiveEnterTimestampMonotonic": 0,
        "ActiveExitTimestamp": None,
        "ActiveExitTimestampMonotonic": 0,
        "LoadError": f'org.freedesktop.systemd1.NoSuchUnit "Unit {name} not found."',
    }


def text_of(name: str, value: Any, style: str) -> str:
    """Write a property's value as C(systemctl show --timestamp=STYLE) does; a time that never was is empty."""
    if not name.endswith("Timestamp"):
        return str(value)
    if value is None:
        return ""
    if style == "unix":
        return f"@{int(value)}"
    moment = time.gmtime(value) if style == "utc" else time.localtime(value)
    return time.strftime("%a %Y-%m-%d %H:%M:%S ", moment) + ("UTC" if style == "utc" else time.strftime("%Z", moment))


def show(properties: Properties, options: argparse.Namespace) -> None:
    """Print the properties; those asked for by name are printed even if they are empty."""
    asked = {name for names in options.property for name in names.split(",")}
    for name, value in properties.items():
        if name.startswith("_"):
            continue
        for each in value if isinstance(value, list) else [value]:
            text = text_of(name, each, options.timestamp)
            if name in asked or (not asked and (text or options.all)):
                print(text if options.value else f"{name}={text}")


def is_active(units: list[Properties], quiet: bool) -> int:
    """Print each unit's state; give 0 if one is active, 4 if none is known (systemd 257)."""
    for unit in units if not quiet else ():
        print(unit["ActiveState"])
    if all(unit["LoadState"] == "not-found" for unit in units):
        return 4
    return 0 if any(unit["ActiveState"] == "active" for unit in units) else 3


def cat(units: list[Properties]) -> int:
    """Print each unit's file; ends the program at one that has none."""
    for unit in units:
        if not unit["FragmentPath"]:
            _fail(f"No files found for {unit['Id']}.")
        print(f"# {unit['FragmentPath']}\n[Unit]\nDescription={unit['Description']}\n")
        print("[Service]\nExecStart=/usr/bin/npm start\nRestart=always")
    return 0


def change(verb: str, names: list[str], known: dict[str, Properties]) -> int:
    """Start, restart or reset units; give the exit code."""
    for name in names:
        resets = verb == "reset-failed"
        doing = "reset failed state of unit" if resets else verb
        if resets and name not in known:
            _fail(f"Failed to {doing} {name}: Unit {name} not loaded.")
        if "SUDO_UID" not in os.environ:
            more = "" if resets else f"\nSee system logs and 'systemctl status {name}' for details."
            _fail(f"Failed to {doing} {name}: Interactive authentication required.{more}")
        if name not in known:
            _fail(f"Failed to {doing} {name}: Unit {name} not found.", 5)
        unit = known[name]
        if resets:
            unit.update(ActiveState="inactive", SubState="dead", Result="success", NRestarts=0)
        elif unit.get("_starts") == "hangs":
            time.sleep(HANGS_S)
        elif unit.get("_starts", True):
            now = time.time()
            unit.update(ActiveState="active", SubState="running", Result="success", MainPID=913, ExecMainPID=913)
            unit.update(ExecMainStartTimestamp=now, ActiveEnterTimestamp=now, StateChangeTimestamp=now)
        else:
            unit.update(ActiveState="failed", SubState="failed", Result="exit-code", ExecMainStatus=1)
    return 0


def main(path: str, arguments: list[str]) -> int:
    """Answer as systemctl would of the units in a file, and give its exit code."""
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    before = json.dumps(known)
    code = answer(known, arguments)
    after = json.dumps(known)
    if after != before:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(after)
        os.replace(f"{path}.new", path)
    return code


def answer(known: dict[str, Properties], arguments: list[str]) -> int:
    """Answer as systemctl would, and give its exit code."""
    options = _parser().parse_args(arguments)
    if options.version:
        print(VERSION)
        return 0
    changes = options.verb in ("start", "restart", "reset-failed")
    if options.verb not in ("show", "is-active", "cat") and not changes:
        _fail(f"Unknown command verb {options.verb}.")
    if not options.units:
        _fail("Too few arguments.")
    names = [name if "." in name else f"{name}.service" for name in options.units]
    if changes:
        return change(options.verb, names, known)
    units = [known.get(name) or missing(name) for name in names]
    if options.verb == "is-active":
        return is_active(units, options.quiet)
    if options.verb == "cat":
        return cat(units)
    for number, unit in enumerate(units):
        if number:
            print()
        show(unit, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
