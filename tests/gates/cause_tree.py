# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as a decision tree in Mermaid, and the page that shows it beside the drawing (cause_drawing.py)."""

from __future__ import annotations

import json

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import Rule
from gates.cause_book import Book
from gates.cause_pages import GENERATED

START = 'Voice "Waiting for agent…"'
NONE = "no fault is confirmed"
NOTHING = "nothing is confirmed"
END = "Not decided: the report says what would decide it, cheapest first"
# Each title on one line, and the lines close together: there are a hundred.
_LAYOUT = {"wrappingWidth": 520, "nodeSpacing": 10, "padding": 6}
# Fill, line and text are all given, so that a dark page does not take one of them away.
_CLASSES = {
    "yes": "fill:#e9f6ec,stroke:#1a7431,color:#1b1f24",
    "guard": "fill:#fdf4dd,stroke:#8a5a00,color:#1b1f24",
    "no": "fill:#ffffff,stroke:#59636e,color:#1b1f24",
    "inconclusive": "fill:#f5f7f9,stroke:#59636e,color:#1b1f24,stroke-dasharray:4 3",
    "healthy": "fill:#e8f1fb,stroke:#0a57a8,color:#1b1f24",
    "stage": "fill:#1b1f24,stroke:#1b1f24,color:#ffffff",
}
# What the looks of a cause mean, in both drawings.
LEGEND = {
    "yes": "repaired unattended",
    "guard": "repaired behind limits, then proven",
    "no": "a person repairs it",
    "inconclusive": "inconclusive, if no fault is confirmed",
    "healthy": "healthy, if nothing else is confirmed",
}


def look(rule: Rule) -> str:
    """Return which of the LEGEND a cause is."""
    if rule["state"] != "fault":
        return str(rule["state"])
    return str(rule["remedy"]["unattended"]) if rule["remedy"] else "no"


def mermaid(book: Book) -> str:
    """Return the tree as a Mermaid flow chart: a spine of stages, each with its causes in the order of precedence."""
    lines = [f"%%{{init: {json.dumps({'flowchart': _LAYOUT})}}}%%", "flowchart LR", f"  start([{_quoted(START)}])"]
    for number, stage in enumerate(book.stages, 1):
        lines += [f"  stage_{number}[{_quoted(f'{number}. {stage.title}')}]:::stage"]
        lines += [f"  start -- {_quoted('first' if number == 1 else f'{number - 1}: {NONE}')} --> stage_{number}"]
        for rule in stage.rules:
            lines += [f"  stage_{number} --> cause_{rule['id']}[{_quoted(rule['title'])}]:::{look(rule)}"]
    lines += [f"  nothing([{_quoted(END)}])", f"  start -- {_quoted(NOTHING)} --> nothing"]
    return "\n".join([*lines, *(f"  classDef {name} {style}" for name, style in _CLASSES.items())]) + "\n"


def page(book: Book) -> str:
    """Return the page that shows both drawings."""
    last = len(book.stages)
    return "\n".join(
        [
            GENERATED,
            "",
            "# Decision tree",
            "",
            f"How a diagnosis eliminates, from 1 to {last}: the first fault that is confirmed, and that no other",
            "confirmed one explains, is the verdict. Further ones are told after it, in this order. What is not known",
            "rules nothing out.",
            "",
            "[![The decision tree, described as text in the page of all causes](decision-tree.svg)](decision-tree.svg)",
            "",
            "Opened by itself, [the drawing](decision-tree.svg) links to the causes; [as a list](causes.md).",
            "",
            "## The same in Mermaid",
            "",
            "To paste elsewhere: [decision-tree.mmd](decision-tree.mmd).",
            "",
            "<details>",
            "<summary>Show it</summary>",
            "",
            "```mermaid",
            mermaid(book).rstrip(),
            "```",
            "",
            "</details>",
            "",
        ]
    )


def _quoted(text: str) -> str:
    """Return a label in quotes; Mermaid takes its own meanings of a quote, a number sign and a bracket as entities."""
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return f'"{text}"'
