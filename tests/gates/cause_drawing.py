# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the rules' decision tree as an SVG that needs nothing else: a spine of stages, each a box with its causes.

Lengths are the drawing's own pixels. Fonts are the reader's, so that widths of text are estimates, on the safe side.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import Rule
from gates.cause_book import Book, Stage
from gates.cause_tree import END, LEGEND, NONE, NOTHING, START, look

WIDTH = 1040
_MARGIN, _SPINE, _BOX = 24, 46, 84
_COLUMNS = 2
_PADDING = 18
_COLUMN = (WIDTH - _BOX - _MARGIN - 2 * _PADDING) // _COLUMNS
_TITLE, _ID, _HEAD, _ABOUT = 13.5, 11.0, 18.0, 13.0
_INDENT = 52
_LINE = 17
_ROW_PADDING = 5
_GAP = 46
# Widths in parts of the size: generous ones of common sans-serif fonts, and that of fixed-width ones.
_NARROW, _WIDE = frozenset("ijltfI.,:;'|!()[]/ "), frozenset("mwMWOQGCD@%")
_FIXED = 0.61
_BOLD = 1.15

_STYLE = """
  svg { --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #c3cbd4; --card: #f5f7f9; --hover: #e6ebf0;
    --good: #1a7431; --unsure: #8a5a00; --accent: #0a57a8; color-scheme: light dark;
    font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #12161b; --ink: #e4e8ed; --soft: #9aa5b1; --line: #3d4752; --card: #1a2027; --hover: #262e37;
      --good: #57c878; --unsure: #e6b450; --accent: #7ab8ff; }
  }
  text { fill: var(--ink); user-select: text; }
  .paper { fill: var(--paper); }
  .box { fill: var(--card); stroke: var(--line); }
  .pill { fill: var(--ink); }
  .pill-text { fill: var(--paper); font-weight: 600; }
  .spine { stroke: var(--soft); stroke-width: 2; fill: none; }
  .tip { fill: var(--soft); }
  .soft, .soft tspan { fill: var(--soft); }
  .head { font-weight: 700; }
  .id { fill: var(--soft); font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
  .row { fill: transparent; }
  a:hover .row, a:focus .row { fill: var(--hover); }
  a:hover .name { text-decoration: underline; }
  .mark { fill: none; stroke-width: 1.8; }
  .yes { stroke: var(--good); } .yes .full { fill: var(--good); }
  .guard { stroke: var(--unsure); } .guard .full { fill: var(--unsure); }
  .no, .inconclusive { stroke: var(--soft); }
  .healthy { stroke: var(--accent); }
"""


class _Row(NamedTuple):
    rule: Rule
    lines: list[str]

    @property
    def height(self) -> int:
        return (len(self.lines) + 1) * _LINE + 2 * _ROW_PADDING - 2


def width(text: str, size: float, *, fixed: bool = False) -> float:
    """Estimate how wide a text is."""
    if fixed:
        return len(text) * _FIXED * size
    parts = (0.36 if each in _NARROW else 0.86 if each in _WIDE else 0.7 if each.isupper() else 0.6 for each in text)
    return sum(parts) * size


def wrapped(text: str, size: float, room: float) -> list[str]:
    """Break a text into lines that fit into the room, between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def drawing(book: Book) -> str:
    """Return the whole drawing."""
    body, top = _start()
    begin = _MARGIN + 36
    for number, stage in enumerate(book.stages, 1):
        part, height = _stage(book, number, stage, top)
        body += [*_step(top, NONE if number > 1 else ""), *part]
        top += height + _GAP
    top += 9
    body += [*_step(top - 9, NOTHING), *_pill(END, top)]
    body.insert(0, f'<path class="spine" d="M{_SPINE} {begin}V{top}"/>')
    height = top + 36 + _MARGIN
    title = f"Decision tree: {START}"
    about = f"{len(book.rules)} causes in {len(book.stages)} stages, judged from top to bottom."
    return "\n".join(
        [
            "<!-- Written by make docs from the rules: change those, not this file. -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            ' role="group" aria-labelledby="title about" lang="en">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="about">{escape(about)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            *body,
            "</svg>",
            "",
        ]
    )


def _start() -> tuple[list[str], int]:
    """Draw what everything begins with and the legend; return where the first box begins, too."""
    lines = _pill(START, _MARGIN)
    x, y = float(_BOX), 92
    for name, text in LEGEND.items():
        wide = 26 + width(text, 12) + 18
        if x + wide > WIDTH - _MARGIN:
            x, y = float(_BOX), y + 24
        lines += [
            _mark(name, x + 8, y),
            f'<text class="soft" x="{x + 20:.0f}" y="{y + 4}" font-size="12">{escape(text)}</text>',
        ]
        x += wide
    return lines, y + 30


def _stage(book: Book, number: int, stage: Stage, top: int) -> tuple[list[str], int]:
    """Draw one stage's box with its causes; return its height, too."""
    room = WIDTH - _MARGIN - _BOX - 2 * _PADDING
    about = wrapped(stage.about, _ABOUT, room)
    first = top + 40 + len(about) * _LINE + 8
    columns = _columns([_Row(rule, wrapped(rule["title"], _TITLE, _COLUMN - _INDENT - 10)) for rule in stage.rules])
    height = first - top + max(sum(row.height for row in column) for column in columns) + 12
    lines = [
        f'<g><rect class="box" x="{_BOX}" y="{top}" width="{WIDTH - _MARGIN - _BOX}" height="{height}" rx="8"/>',
        f'<path class="spine" d="M{_SPINE} {top + 28}H{_BOX}"/>',
        f'<circle class="pill" cx="{_SPINE}" cy="{top + 28}" r="17"/>',
        f'<text class="pill-text" x="{_SPINE}" y="{top + 33}" font-size="15" text-anchor="middle">{number}</text>',
        f'<a href="causes/{stage.page}.md"><text class="head name" x="{_BOX + _PADDING}" y="{top + 34}"'
        f' font-size="{_HEAD:.0f}">{escape(stage.title)}</text></a>',
    ]
    lines += _text(about, "soft", _BOX + _PADDING, top + 56, _ABOUT)
    lines += ["</g>"]
    for place, column in enumerate(columns):
        y = first
        for row in column:
            lines += _cause(book, row, _BOX + _PADDING + place * _COLUMN, y)
            y += row.height
    return lines, height


def _columns(rows: list[_Row]) -> list[list[_Row]]:
    """Share the rows out, in their order, so that the highest column is as low as it can be."""
    total = range(1, len(rows) + 1)
    cut = min(total, key=lambda at: max(sum(row.height for row in part) for part in (rows[:at], rows[at:])))
    return [rows[:cut], rows[cut:]]


def _cause(book: Book, row: _Row, x: int, y: int) -> list[str]:
    rule, number = row.rule, book.number_of[row.rule["id"]]
    base = y + _ROW_PADDING + 13
    target = f"causes/{book.page_of[rule['id']]}.md#{rule['id']}"
    return [
        f'<a href="{target}"><title>{escape(LEGEND[look(rule)])}</title>',
        f'<rect class="row" x="{x}" y="{y}" width="{_COLUMN - 6}" height="{row.height}" rx="4"/>',
        f'<text class="soft" x="{x + 26}" y="{base}" font-size="11" text-anchor="end">{number}</text>',
        _mark(look(rule), x + 39, base - 4.5),
        *_text(row.lines, "name", x + _INDENT, base, _TITLE),
        f'<text class="id" x="{x + _INDENT}" y="{base + len(row.lines) * _LINE - 1}" font-size="{_ID:.0f}">'
        f"{rule['layer']} · {rule['id']}</text></a>",
    ]


def _text(lines: list[str], name: str, x: int, y: int, size: float) -> list[str]:
    spans = "".join(
        f'<tspan x="{x}" y="{y + number * _LINE}">{escape(line)}</tspan>' for number, line in enumerate(lines)
    )
    return [f'<text class="{name}" font-size="{size:g}">{spans}</text>'] if lines else []


def _mark(name: str, x: float, y: float) -> str:
    """Draw what a cause is, so that the shape tells it without the colour."""
    shapes = {
        "yes": '<circle class="full" r="5"/>',
        "guard": '<circle r="5"/><path class="full" stroke="none" d="M0-5A5 5 0 0 0 0 5Z"/>',
        "no": '<circle r="5"/>',
        "inconclusive": '<path d="M0-6 6 0 0 6-6 0Z"/>',
        "healthy": '<path d="M-5 0-1 4 6-5"/>',
    }
    return f'<g class="mark {name}" transform="translate({x:g} {y:g})" aria-hidden="true">{shapes[name]}</g>'


def _step(top: int, label: str) -> list[str]:
    """Draw the tip of the arrow that leads to a box or to the end, and why one gets there."""
    tip = f'<path class="tip" d="M{_SPINE - 6} {top}h12l-6 9Z"/>'
    return [tip, f'<text class="soft" x="{_BOX}" y="{top - 18}" font-size="12">{escape(label)}</text>']


def _pill(text: str, top: int) -> list[str]:
    wide = width(text, 15) * _BOLD + 40
    return [
        f'<g><rect class="pill" x="{_MARGIN}" y="{top}" width="{wide:.0f}" height="36" rx="18"/>',
        f'<text class="pill-text" x="{_MARGIN + 20}" y="{top + 23}" font-size="15">{escape(text)}</text></g>',
    ]
