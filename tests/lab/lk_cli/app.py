# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(lk) as a program: the way from its arguments to its exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab.lk_cli.client import CanceledError, Client
from lab.lk_cli.commands import ACTIONS
from lab.lk_cli.options import HELP, VERSION, Command, UsageError, commands, global_flags, help_text, parse
from lab.lk_cli.output import JSON_SINCE, LkError, Output, PanicError, Version
from lab.lk_cli.project import Toml, check_subdomain, resolve
from lab.lk_cli.run import Run

SDK_VERSIONS = {
    "2.5.6": "2.11.3",
    "2.12.9": "2.12.9",
    "2.13.0": "2.12.9",
    "2.13.2": "2.13.3",
    "2.16.4": "2.16.4",
    "2.18.2": "2.18.1",
}
"""The versions of C(lk) that this stand-in can be, and the SDK that each is built with."""

NAMES_SIGNALS_SINCE = (2, 16, 4)
"""The first version built with Go 1.26, which says what signal ended the work."""
PADS_SINCE, PADS_UNTIL = (2, 16, 4), (2, 18, 2)

_SIGNALS = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated", signal.SIGQUIT: "quit"}


def main(arguments: list[str]) -> int:
    """Run C(lk) and give its exit code: 0, 1 for errors, 2 for a panic, 3 for an unknown command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", line_buffering=True)
    for number in _SIGNALS:
        signal.signal(number, _cancel)
    return answer(arguments)


def answer(arguments: list[str]) -> int:
    """Do what the arguments say, with this process' output, environment and current folder; give the exit code."""
    version = _chosen()
    if "LAB_LK_CALLS" in os.environ:
        with open(os.environ["LAB_LK_CALLS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(arguments) + "\n")
    try:
        if version not in SDK_VERSIONS:
            raise LkError(f"LAB_LK_VERSION: expected one of {', '.join(SDK_VERSIONS)}, got {version}")
        return _root(arguments, version)
    except LkError as error:
        return _fail(_padded(str(error)) if PADS_SINCE <= numbers(version) < PADS_UNTIL else str(error), 1)
    except CanceledError as error:
        return _fail(str(error), 1)
    except PanicError as error:
        return _fail(f"panic: {error}\n\ngoroutine 1 [running]:", 2)


def _chosen() -> str:
    return os.environ.get("LAB_LK_VERSION", "2.13.2")


def numbers(version: str) -> Version:
    """Make of a version what can be compared."""
    return tuple(map(int, version.split(".")))


def _cancel(number: int, frame: FrameType | None) -> NoReturn:
    """Cancel on the first signal; the next one kills."""
    for known in _SIGNALS:
        signal.signal(known, signal.SIG_DFL)
    named = numbers(_chosen()) >= NAMES_SIGNALS_SINCE
    raise CanceledError(f"{_SIGNALS[signal.Signals(number)]} signal received" if named else "context canceled")


def _padded(text: str) -> str:
    """Make every line of an error as long as the longest, as lipgloss does."""
    lines = text.split("\n")
    return "\n".join(line.ljust(max(map(len, lines))) for line in lines)


def _fail(text: str, code: int) -> int:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    return code


def _root(arguments: list[str], version: str) -> int:
    """Read the options before C(agent)."""
    number = numbers(version)
    shared = global_flags(number)
    flags = (*shared, HELP, VERSION)
    page = help_text("lk", "CLI client to LiveKit", "[global options] [command [command options]]", _TOPICS, flags)
    try:
        parsed = parse(arguments, flags, {"agent", "a"}, number >= JSON_SINCE)
    except UsageError as error:
        _print_usage_error(error)
        print(page)
        raise
    if parsed.values.get("version"):
        print(f"lk version {'2.12.9' if version == '2.13.0' else version}")
        return 0
    if parsed.values.get("help") or not parsed.rest:
        print(page)
        return 0
    if parsed.rest[0] not in ("agent", "a"):
        return _fail(f"No help topic for '{parsed.rest[0]}'", 3)
    known = commands(number)
    flags = (*shared, HELP)
    try:
        group = parse(parsed.rest[1:], flags, set(known), number >= JSON_SINCE)
    except UsageError as error:
        _print_usage_error(error)
        raise
    if group.rest and group.rest[0] in known and not group.values.get("help"):
        values = {**parsed.values, **group.values}
        return _command(known[group.rest[0]], group.rest[1:], values, version)
    if group.rest and not group.values.get("help"):
        return _fail(f"No help topic for '{group.rest[0]}'", 3)
    topics = {command.name: command.usage for command in known.values()}
    print(help_text("lk agent", _TOPICS["agent"], "[command [command options]]", topics, flags))
    return 0


def _command(command: Command, arguments: list[str], values: dict[str, object], version: str) -> int:
    """Read the options of a command of C(lk agent) and run it."""
    number = numbers(version)
    flags = (*command.flags, *global_flags(number), HELP)
    page = help_text(f"lk agent {command.name}", command.usage, f"[options] {command.arguments}", {}, flags)
    try:
        # A command's usage error shows no help: urfave/cli looks for it among the command's own subcommands.
        parsed = parse(arguments, flags, set(), number >= JSON_SINCE)
    except UsageError as error:
        _print_usage_error(error)
        raise
    if parsed.values.get("help"):
        print(page)
        return 0
    merged = {**values, **parsed.values}
    out = Output(number, bool(merged.get("quiet")))
    toml = Toml(str(merged.get("config") or "livekit.toml"))
    project = resolve(merged, toml, out)
    directory = Path(parsed.rest[0] if parsed.rest else ".")
    if toml.find(directory):
        check_subdomain(project, toml)
    missing = [flag.name for flag in command.flags if flag.required and flag.name not in parsed.values]
    if missing:
        print(page)
        raise LkError(f'Required flag "{missing[0]}" not set')
    ACTIONS[command.name](Run(merged, directory, toml, Client(project, SDK_VERSIONS[version]), out))
    return 0


def _print_usage_error(error: UsageError) -> None:
    print(f"Incorrect Usage: {error}\n", file=sys.stderr)


_TOPICS = {"agent": "Manage LiveKit Cloud Agents"}
