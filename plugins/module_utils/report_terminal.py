# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last thing that a diagnosis prints: the layers, the verdict, why, what it is not, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import report_view as view
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clip, plain, to_ascii, wrap

_LABEL = 13
_STATES = {"healthy": "healthy", "faulty": "faulty", "fault": "faulty", "unknown": "unknown", "inconclusive": "unknown"}
_MARKS = {"healthy": ("✔", "+"), "faulty": ("✘", "x"), "unknown": ("?", "?")}
_SGR = {"healthy": "32", "faulty": "31", "unknown": "33", "strong": "1", "dim": "2", "command": "1;36"}


def terminal(
    incident: view.Incident, width: int = 80, *, colour: bool = False, unicode: bool = True, where: str = ""
) -> str:
    """Return the ending as lines of at most C(width) columns, without a newline at the end.

    C(unicode) false keeps to ASCII; C(colour) adds ANSI colours, which take no columns; C(where) is the report's path.
    Only a word of the command and that path may be longer than a line, since broken they could not be used.
    """
    page = Page(width, colour, unicode)
    verdict = incident["verdict"]
    page.line(view.attempt_line(incident), "dim")
    page.line()
    for record in view.records(incident):
        page.entry(mark(record["state"], unicode), record["layer"], [record["summary"]], record["state"])
    page.line()
    page.verdict("VERDICT", verdict)
    page.section("WHY", some(verdict["because"], 5), lines_each=4)
    page.section("THEN MEND", some([view.title(fault) for fault in verdict.get("also") or []], 3))
    page.section("EFFECTS", some([view.title(cause) for cause in view.also_confirmed(incident)], 3))
    page.section("CONFLICT", some(incident.get("conflicts") or [], 3), "unknown", lines_each=4)
    page.section("IGNORE", some(incident["red_herrings"], 3), lines_each=3)
    page.section("RULED OUT", _excluded(view.ruled_out(incident)), lines_each=3)
    page.section("NOT KNOWN", _open(incident), lines_each=3)
    page.section("INPUT", some(incident["problems"], 5), "unknown", lines_each=3)
    page.section("NOTE", some(incident["notes"], 3))
    _next(page, view.next_step(incident))
    if where:
        page.label("REPORT", where)
    return page.text()


class Page:
    """Collects lines. Evidence gets in only through here: it is cleaned, folded to ASCII if need be, and wrapped."""

    def __init__(self, width: int, colour: bool, unicode: bool) -> None:
        # An ellipsis in ASCII takes two columns more.
        self._width, self._colour, self._unicode = width if unicode else width - 2, colour, unicode
        self._lines: list[str] = []

    def text(self) -> str:
        return "\n".join(self._lines)

    def line(self, text: str = "", style: str = "") -> None:
        clipped = self._shown(clip(self._clean(text), self._width - 1))
        self._lines.append(self._styled(f" {clipped}" if text else "", style))

    def label(self, name: str, text: str) -> None:
        self._lines.append(self._name(name) + self._clean(text))

    def entry(self, sign: str, name: str, texts: Iterable[str], style: str) -> None:
        head = f" {self._styled(sign, style)} {name:<{_LABEL - 3}}"
        self._block(head, texts, "", 2)

    def section(self, name: str, texts: Iterable[str], style: str = "", lines_each: int = 2) -> None:
        self._block(self._name(name), texts, style, lines_each)

    def verdict(self, name: str, verdict: dict[str, Any]) -> None:
        state = _STATES[verdict["state"]]
        self.section(name, [f"{mark(state, self._unicode)} {verdict['title']}"], state, lines_each=3)
        self.section("", [view.verdict_line(verdict)], "dim", lines_each=1)

    def command(self, words: Iterable[str]) -> None:
        self._lines += [f"   {self._styled(self._clean(line), 'command')}" for line in words]

    def _block(self, head: str, texts: Iterable[str], style: str, lines_each: int) -> None:
        texts = list(texts)
        bullet = "" if len(texts) < 2 else "· " if self._unicode else "- "
        for text in texts:
            first = bullet
            for line in wrap(self._clean(text), self._width - _LABEL - len(bullet), lines_each):
                self._lines.append(head + self._styled(first + self._shown(line), style))
                head, first = " " * _LABEL, " " * len(bullet)

    def _name(self, name: str) -> str:
        return self._styled(f" {name:<{_LABEL - 1}}", "strong")

    def _clean(self, text: str) -> str:
        return self._shown(plain(text, 2000))

    def _shown(self, text: str) -> str:
        return text if self._unicode else to_ascii(text)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m" if self._colour and style and text else text


def mark(state: str, unicode: bool) -> str:
    return _MARKS[state][0 if unicode else 1]


def some(texts: list[str], most: int) -> list[str]:
    """Return the first texts, and how many more there are."""
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"{more} more in the report"]


def _excluded(causes: list[dict[str, Any]]) -> list[str]:
    """Tell the two most tempting causes with why they are none, and count the others."""
    told = [cause for cause in causes if cause["id"] in view.USUAL_SUSPECTS and cause["because"]][:2]
    others = len(causes) - len(told)
    lines = [f"{view.title(cause)}: {cause['because'][0]}" for cause in told]
    return [*lines, f"{others} {'more' if told else 'causes'} in the report"] if others else lines


def _open(incident: view.Incident) -> list[str]:
    """Tell what would decide it and what is suspected; if it is decided, only how many causes are left open."""
    causes = view.undecided(incident)
    if incident["verdict"]["state"] != "inconclusive":
        return [f"{len(causes)} other causes are not ruled out; the report says which"] if causes else []
    lines = some(incident["verdict"]["needs"], 3)
    for name in ("suspected", "open"):
        ids = [cause["id"] for cause in causes if cause["state"] == name]
        lines += [f"{name.capitalize()}: {', '.join(ids)}"] if ids else []
    return lines


def _next(page: Page, step: dict[str, str]) -> None:
    page.line()
    page.section("NEXT", [step["say"] or "Type:"], lines_each=4)
    if step["command"]:
        page.line()
        page.command(continued(plain(step["command"])))
        page.line()


def continued(command: str, columns: int = 74) -> list[str]:
    """Break a shell command into lines that can be pasted as they are: only at spaces outside quotes."""
    lines = [""]
    for word in _shell_words(command):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _shell_words(command: str) -> list[str]:
    """Split at the spaces outside quotes and keep the quotes, which shlex would drop."""
    words, quote = [""], ""
    for character in command:
        if character == " " and not quote and not words[-1].endswith("\\"):
            words.append("")
            continue
        if character in "'\"":
            quote = "" if quote == character else quote or character
        words[-1] += character
    return [word for word in words if word]
