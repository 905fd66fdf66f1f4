# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for people, made from evidence that nobody vouches for: cleaned, measured, wrapped, and told in times of day."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

# ECMA-48: control sequences (CSI), operating system commands (OSC) up to their end, and the two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_ASCII = str.maketrans(
    {
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MIDDLE DOT}": "-",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHTWARDS ARROW}": "->",
    }
)


def plain(text: object, limit: int | None = None) -> str:
    """Return the text on one line without escape sequences, control or invisible characters, clipped to C(limit).

    Direction marks and zero-width characters go too: they can make a line read as something that it is not.
    """
    kept = "".join(map(_visible, _ESCAPES.sub("", str(text))))
    line = " ".join(kept.split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def printable(text: object) -> str:
    """Return the text with its lines as they are, but without escape sequences, control or invisible characters."""
    lines = _ESCAPES.sub("", str(text)).splitlines()
    return "\n".join("".join(map(_visible, line)).rstrip() for line in lines)


def to_ascii(text: str) -> str:
    """Return the text for a terminal that knows only ASCII; what it cannot show becomes a question mark."""
    return text.translate(_ASCII).encode("ascii", errors="replace").decode("ascii")


def width(text: str) -> int:
    """Columns that the text takes in a terminal: East Asian wide characters take two, combining marks none."""
    return sum(map(_columns, text))


def wrap(text: str, columns: int, max_lines: int | None = None) -> list[str]:
    """Break one line into lines of at most C(columns) columns, words too long for one in pieces.

    With C(max_lines), the last line ends in an ellipsis if something had to go.
    """
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
            continue
        pieces = _pieces(word, columns)
        lines[-1:] = pieces if not lines[-1] else [lines[-1], *pieces]
    if max_lines is not None and len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], clip(" ".join(lines[max_lines - 1 :]), columns)]
    return lines


def clip(text: str, columns: int) -> str:
    """Shorten the text to at most C(columns) columns, with an ellipsis if something had to go."""
    return text if width(text) <= columns else f"{_pieces(text, columns - 1)[0].rstrip()}…"


def clock(at: float | str | None, *, seconds: bool = False, date: bool = False) -> str:
    """Tell a time, seconds since 1970 or RFC 3339, as a person reads it: 22:39, 22:48:12, or with its date; in UTC.

    A question mark stands for what is not a time.
    """
    epoch = at if isinstance(at, (int, float)) else parse_time(at)
    if epoch is None:
        return "?"
    form = ("%Y-%m-%d " if date else "") + ("%H:%M:%S" if seconds else "%H:%M")
    return datetime.fromtimestamp(epoch, timezone.utc).strftime(form)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if category[0] == "C":
        return " " if category == "Cc" else ""
    return " " if category in ("Zl", "Zp") else character


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _pieces(word: str, columns: int) -> list[str]:
    pieces = [""]
    for character in word:
        if pieces[-1] and width(pieces[-1]) + _columns(character) > columns:
            pieces.append("")
        pieces[-1] += character
    return pieces
