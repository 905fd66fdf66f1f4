# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(lk) prints: status lines, spinners, tables and their cells, JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar

Version = tuple[int, ...]
JSON_SINCE = (2, 17, 0)
# From here on, without a terminal a question is answered by itself, or is an error.
SKIPS_PROMPTS_SINCE = (2, 14, 0)

_T = TypeVar("_T")
_UNSET, _ZERO = "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(n|u|m||k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)")
_SCALE = {
    **{
        unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


class LkError(Exception):
    """The command fails with this text on stderr and exit code 1."""


class PanicError(Exception):
    """Go code fell over: exit code 2."""


class Output:
    """Where lines go: up to 2.16.4 status lines are on stdout, after it (C(new)) on stderr unless C(quiet)."""

    def __init__(self, version: Version, quiet: bool) -> None:
        self.version = version
        self.new = version >= (2, 16, 5)
        self._quiet = quiet

    def status(self, text: str) -> None:
        if not self.new:
            print(text)
        elif not self._quiet:
            print(text, file=sys.stderr)

    def result(self, text: str) -> None:
        print(text)

    def wait(self, title: str, work: Callable[[], _T]) -> _T:
        """Do C(work) under a spinner: up to 2.16.4 it writes its escape sequences even into a pipe."""
        if self.new:
            self.status(title)
            return work()
        back = "\r" if self.version >= (2, 16, 1) else "\x1b[D"
        sys.stdout.write(f"\x1b[?25l\x1b[?2004h\r▓ {title}{back}")
        try:
            return work()
        finally:
            sys.stdout.write("\x1b[2K\r\x1b[?2004l\x1b[?25h\x1b[?1002l\x1b[?1003l\x1b[?1006l")


def ask(title: str) -> bool:
    """Ask for a confirmation as 2.13.2 does: of stdin with C(TERM=dumb), else of the terminal, waiting for ever.

    Raises C(LkError) without a terminal.
    """
    if os.environ.get("TERM") == "dumb":
        print(f"{title} [y/N] ", end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise LkError(f"huh: could not open a new TTY: open /dev/tty: {(error.strerror or '').lower()}") from error
    os.write(terminal, f"{title}\n".encode())
    while True:
        signal.pause()


def table(headers: list[str], rows: list[list[str]]) -> str:
    """Draw a table as lipgloss does without a terminal: every column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) + 2 for column in zip(headers, *rows, strict=True)]

    def rule(left: str, middle: str, right: str) -> str:
        return left + middle.join("─" * width for width in widths) + right

    def line(cells: list[str]) -> str:
        return "│" + "│".join(f" {cell}".ljust(width) for cell, width in zip(cells, widths, strict=True)) + "│"

    return "\n".join([rule("┌", "┬", "┐"), line(headers), rule("├", "┼", "┤"), *map(line, rows), rule("└", "┴", "┘")])


def moment(value: str | None, new: bool) -> str:
    """Write a timestamp of the protocol's JSON as a cell; from 2.18.0 on (C(new)) Go's zero time is C(--)."""
    text = re.sub(r"\.\d+", "", value or _UNSET)
    return "--" if new and text == _ZERO else text


def cpu(quantity: str) -> str:
    """Write a Kubernetes quantity in thousandths of a core; nothing, and a line on stderr, for another text."""
    value = _quantity(quantity, "cpu")
    return "" if value is None else f"{(value * 1000).to_integral_value(ROUND_CEILING)}m"


def memory(quantity: str, unit: str = "") -> str:
    """Write a Kubernetes quantity in GiB, with two significant digits, as Go's C(%.2g) does."""
    value = _quantity(quantity, "mem")
    return "" if value is None else f"{float(value) / 1024**3:.2g}{unit}"


def _quantity(text: str, what: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        print(f"ERROR\tlk\terror parsing {what}\t{json.dumps({'quantity': text})}", file=sys.stderr)
        return None
    return Decimal(match[1]) * _SCALE[match[2]]


def protojson(message: Any) -> str:
    """Write a message as Go's C(protojson) does: lowerCamelCase names, zero values left out.

    C(message) is Twirp's JSON, which has the names of the C(.proto) file and every field.
    """
    return json.dumps(_without_zeros(message), indent=2, ensure_ascii=False)


# Fields of the type map, whose keys are data: they stay as they are, in their order.
_MAPS = ("attributes",)


def _without_zeros(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_zeros(item) for item in value]
    if isinstance(value, dict):
        return {
            _camel(name): dict(sorted(item.items())) if name in _MAPS else _without_zeros(item)
            for name, item in value.items()
            if not _is_zero(item)
        }
    return value


def _is_zero(value: Any) -> bool:
    return value in (None, "", 0, False, [], {}) or (isinstance(value, str) and value.endswith("_UNKNOWN"))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
