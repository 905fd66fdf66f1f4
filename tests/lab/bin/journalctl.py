# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for journalctl (systemd 252) over a file of JSON lines, for machines without systemd.

Its first argument is the file; the others are journalctl's. It knows the options that are declared in C(_parser) and
refuses any other, as journalctl does. tests/integration/test_lab_pi.py compares its output with the real one's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

Entry = dict[str, str]

ALWAYS = ("__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID")
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
SHORT = {
    "short": "%b %d %H:%M:%S",
    "short-precise": "%b %d %H:%M:%S.%f",
    "short-iso": "%Y-%m-%dT%H:%M:%S%z",
    "short-iso-precise": "%Y-%m-%dT%H:%M:%S.%f%z",
    "short-full": "%a %Y-%m-%d %H:%M:%S %Z",
    "short-unix": "",
}
UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400}
LONGEST_VALUE = 4096


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"journalctl: {message}")


def moment(text: str) -> float:
    """Read a time as systemd.time(7) allows it, as epoch seconds; ends the program if it is none."""
    if text.startswith("@"):
        try:
            return float(text[1:])
        except ValueError:
            _fail(f"Failed to parse timestamp: {text}")
    today = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"now": time.time(), "today": today.timestamp(), "yesterday": (today - datetime.timedelta(1)).timestamp()}
    if text in words:
        return words[text]
    span = re.fullmatch(r"-\s*(\d+)\s*([a-z]+?)s?|(\d+)\s*([a-z]+?)s? ago", text)
    unit = span and UNITS.get(span[2] or span[4])
    if span and unit:
        return time.time() - int(span[1] or span[3]) * unit
    zone = datetime.UTC if text.endswith(" UTC") else None
    for shape in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return datetime.datetime.strptime(text.removesuffix(" UTC"), shape).replace(tzinfo=zone).timestamp()
        except ValueError:
            continue
    _fail(f"Failed to parse timestamp: {text}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="journalctl", allow_abbrev=False, add_help=False)
    parser.add_argument("-u", "--unit", action="append", default=[])
    parser.add_argument("-t", "--identifier", action="append", default=[])
    parser.add_argument("-S", "--since", type=moment)
    parser.add_argument("-U", "--until", type=moment)
    parser.add_argument("-n", "--lines", nargs="?", const="10", type=_lines)
    parser.add_argument("-r", "--reverse", action="store_true")
    parser.add_argument("-o", "--output", default="short")
    parser.add_argument("-g", "--grep")
    parser.add_argument("-p", "--priority")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-b", "--boot", nargs="?", const="0")
    parser.add_argument("--output-fields", type=lambda text: text.split(","))
    parser.add_argument("--utc", action="store_true")
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--no-hostname", action="store_true")
    parser.add_argument("--list-boots", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("matches", nargs="*")
    return parser


def _joined(arguments: list[str]) -> list[str]:
    """Join C(--since -10min) to one argument; argparse would take the time for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--since", "--until"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _lines(text: str) -> str:
    if text != "all" and not text.isdecimal():
        _fail(f"Failed to add match '{text}': Invalid argument")
    return text


def _service(unit: str) -> str:
    return unit if "." in unit else f"{unit}.service"


def _of_unit(entry: Entry, unit: str) -> bool:
    """Say whether C(-u) shows the entry: the unit's own, or what PID 1 or journald say of it."""
    return (
        entry.get("_SYSTEMD_UNIT") == unit
        or (entry.get("_PID") == "1" and entry.get("UNIT") == unit)
        or (entry.get("_UID") == "0" and entry.get("OBJECT_SYSTEMD_UNIT") == unit)
    )


def _wanted(entry: Entry, options: argparse.Namespace) -> bool:
    at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    if at < (at if options.since is None else options.since) or at > (at if options.until is None else options.until):
        return False
    if options.unit and not any(_of_unit(entry, _service(unit)) for unit in options.unit):
        return False
    if options.identifier and entry.get("SYSLOG_IDENTIFIER") not in options.identifier:
        return False
    if options.priority is not None and int(entry.get("PRIORITY", "7")) > _priority(options.priority):
        return False
    if any(entry.get(name) != value for name, _unused, value in (match.partition("=") for match in options.matches)):
        return False
    # As the real one: a pattern in lower case alone is matched in either case.
    flags = re.IGNORECASE if options.grep == (options.grep or "").lower() else 0
    return options.grep is None or re.search(options.grep, entry["MESSAGE"], flags) is not None


def _priority(text: str) -> int:
    if text in PRIORITIES:
        return PRIORITIES.index(text)
    return int(text) if text.isdecimal() and int(text) < 8 else _fail(f"Unknown log level {text}")


def selected(entries: Iterator[Entry], options: argparse.Namespace) -> list[Entry]:
    """Give the entries to show in the order to show them."""
    chosen = [entry for entry in entries if _wanted(entry, options)]
    if options.lines not in (None, "all"):
        count = int(options.lines)
        # As the real one: the first lines after --since, else the last; with --grep the newest comes first.
        oldest_first = options.since is not None and not options.reverse and options.grep is None
        chosen = chosen[:count] if oldest_first else chosen[len(chosen) - min(count, len(chosen)) :]
    newest_first = options.reverse or (options.grep is not None and options.lines is not None)
    return chosen[::-1] if newest_first else chosen


def shown(entry: Entry, options: argparse.Namespace) -> str:
    """Write one entry in the output mode asked for."""
    if options.output == "json":
        wanted = options.output_fields and {*ALWAYS, *options.output_fields}
        values: dict[str, Any] = {name: text for name, text in entry.items() if not wanted or name in wanted}
        if not options.all:
            values = {name: text if len(text.encode()) <= LONGEST_VALUE else None for name, text in values.items()}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    if options.output == "cat":
        return entry["MESSAGE"]
    seconds = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    zone = datetime.UTC if options.utc else None
    when = datetime.datetime.fromtimestamp(seconds, zone).astimezone(zone).strftime(SHORT[options.output])
    host = "" if options.no_hostname else f" {entry['_HOSTNAME']}"
    who = f"{entry.get('SYSLOG_IDENTIFIER', 'unknown')}[{entry.get('_PID', '')}]"
    prefix = f"{when or f'{seconds:.6f}'}{host} {who}: "
    return prefix + entry["MESSAGE"].replace("\n", "\n" + " " * len(prefix))


def boots(entries: list[Entry]) -> Iterator[str]:
    """Write the table of C(--list-boots)."""
    shape = SHORT["short-full"]
    ends = [int(entry["__REALTIME_TIMESTAMP"]) / 1e6 for entry in (entries[0], entries[-1])]
    first, last = (datetime.datetime.fromtimestamp(end).astimezone().strftime(shape) for end in ends)
    width = len(first)
    yield f"IDX {'BOOT ID':32} {'FIRST ENTRY':{width}} LAST ENTRY"
    yield f"  0 {entries[0]['_BOOT_ID']} {first} {last}"


def main(path: str, arguments: list[str]) -> int:
    """Answer as journalctl would of the entries in a file, and give its exit code."""
    with open(path, encoding="utf-8") as lines:
        return answer([json.loads(line) for line in lines if line.endswith("\n")], arguments)


def answer(entries: list[Entry], arguments: list[str]) -> int:
    """Answer as journalctl would, and give its exit code."""
    options = _parser().parse_args(_joined(arguments))
    if options.version:
        print("systemd 252 (stand-in)")
        return 0
    if options.output not in {*SHORT, "json", "cat"}:
        _fail(f"Unknown output format '{options.output}'.")
    if options.list_boots:
        print(*boots(entries), sep="\n")
        return 0
    chosen = selected(iter(entries), options)
    for entry in chosen:
        print(shown(entry, options))
    if not chosen and not options.quiet and options.output in SHORT:
        print("-- No entries --")
    return 1 if not chosen and options.grep is not None else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
