# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what the rules say as Markdown for a tired reader: what it is, what to do, and only then how it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import render
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import QUESTIONS
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import Rule
from gates.cause_book import Book, Stage
from gates.cause_words import Condition, readable

GENERATED = "<!-- Written by make docs from roles/classify/files/rules: change the rules, not this file. -->"
RULES = "roles/classify/files/rules"
UNATTENDED = {
    "yes": "safe by itself",
    "guard": "only behind limits, and proven afterwards",
    "no": "a person decides",
}
STATES = {
    "fault": "fault",
    "inconclusive": "no fault, but a reason why nothing can be said; a verdict only if no fault is confirmed",
    "healthy": "no fault; a verdict only if nothing else is confirmed",
}
# A longer list of alternatives is easier to read line by line.
_ONE_LINE = 110


def index(book: Book) -> str:
    """Return the page with all causes, one line each."""
    lines = [GENERATED, "", "# Causes", ""]
    lines += [f"The {len(book.rules)} answers that a diagnosis knows, in the order in which they are judged:"]
    lines += ["the first fault that is confirmed, and that no other confirmed one explains, is the verdict.", ""]
    lines += [
        "- From a report, go to the cause by its id. Each says what to do first, then how it is told and from what.",
        "- A condition that needs a value which is not known is undecided: it neither confirms nor rules out.",
        f"- The same as a drawing: [decision tree](decision-tree.md). The rules themselves: [{RULES}](../{RULES}).",
        f"- Unattended: {', '.join(f'**{name}** ({meaning})' for name, meaning in UNATTENDED.items())}.",
        "",
    ]
    for number, stage in enumerate(book.stages, 1):
        lines += [f"## {number}. [{stage.title}](causes/{stage.page}.md)", "", _text(stage.about), ""]
        lines += ["| # | cause | id | layer | remedy | unattended |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [_row(book, rule) for rule in stage.rules]
        lines += [""]
    lines += ["## By layer", ""]
    for layer in LAYERS:
        found = [rule for rule in book.rules if rule["layer"] == layer]
        links = " · ".join(f"[{rule['id']}](causes/{book.page_of[rule['id']]}.md#{rule['id']})" for rule in found)
        lines += [f"**{layer}**: {QUESTIONS[layer]} ([how it is asked](../roles/{layer}/README.md))", "", links, ""]
    return "\n".join([*lines, *_remedies(book), *_conflicts(book)])


def page(book: Book, stage: Stage) -> str:
    """Return the page of one stage, with each of its causes."""
    place = book.stages.index(stage)
    before = [f"before: [{each.title}]({each.page}.md)" for each in book.stages[:place][-1:]]
    after = [f"next: [{each.title}]({each.page}.md)" for each in book.stages[place + 1 :][:1]]
    way = " · ".join([*before, "[all causes](../causes.md)", "[decision tree](../decision-tree.md)", *after])
    lines = [GENERATED, "", f"# {place + 1}. {stage.title}", "", _text(stage.about), "", way, ""]
    lines += [f"- [{_text(rule['title'])}](#{rule['id']})" for rule in stage.rules]
    for rule in stage.rules:
        lines += ["", *_cause(book, rule)]
    return "\n".join([*lines, "", "---", "", way, ""])


def _row(book: Book, rule: Rule) -> str:
    remedy, is_fault = rule["remedy"], rule["state"] == "fault"
    cells = (
        str(book.number_of[rule["id"]]),
        f"[{_text(rule['title'])}](causes/{book.page_of[rule['id']]}.md#{rule['id']})",
        f"`{rule['id']}`",
        rule["layer"],
        f"[{_text(remedy['title'])}](#{remedy['id']})" if remedy else "by hand" if is_fault else "none",
        remedy["unattended"] if remedy else "no" if is_fault else "",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cause(book: Book, rule: Rule) -> list[str]:
    layer = f"layer [{rule['layer']}](../../roles/{rule['layer']}/README.md)"
    lines = [f'<a id="{rule["id"]}"></a>', "", f"## {_text(rule['title'])}", ""]
    lines += [f"`{rule['id']}` · {layer} · {STATES[rule['state']]}", ""]
    lines += ["\n>\n".join(f"> {_text(readable(text))}" for text in rule["because"]), "", *_do(rule)]
    lines += ["**Told by**" + (", all of it" if len(book.conditions(rule)) > 1 else ""), ""]
    lines += [*_bullets(book.conditions(rule)), ""]
    exclusions = book.exclusions(rule)
    if exclusions:
        lines += ["**Ruled out at once by**", "", *(f"- {text}" for text in exclusions), ""]
    if rule["otherwise"]:
        lines += [f"If it is ruled out, the report says: {_text(readable(rule['otherwise']))}", ""]
    lines += [*_apart(book, rule), *_effects(book, rule)]
    meanings = [f"- `{name}`: {_text(book.words.meaning(name))}" for name in book.signals(rule)]
    lines += ["<details>", "<summary>What these signals mean</summary>", "", *meanings, "", "</details>", ""]
    return [*lines, "[all causes](../causes.md)"]


def _do(rule: Rule) -> list[str]:
    remedy = rule["remedy"]
    lines = []
    if remedy:
        allowed = f"**{remedy['unattended']}**, {UNATTENDED[remedy['unattended']]}"
        lines += [f"**Do:** [{_text(remedy['title'])}](../causes.md#{remedy['id']}). Unattended: {allowed}.", ""]
        lines += ["```sh", command(remedy["command"]), "```", ""]
    if rule["advice"]:
        lines += [("" if remedy else "**Do:** ") + _text(readable(rule["advice"])), ""]
    return lines


def command(text: str) -> str:
    """Return a remedy's command with names in angle brackets for what only an incident knows."""
    return render(text, {}, lambda value: f"<{', '.join(value.names).rsplit('.', maxsplit=1)[-1]}>").strip()


def _apart(book: Book, rule: Rule) -> list[str]:
    lines = []
    if rule["look_alikes"]:
        lines += ["**Easily confused with**", ""]
    for other in (book.by_id[name] for name in rule["look_alikes"]):
        difference = book.difference(rule, other)
        lines += [f"- {_link(book, other)}. {difference.both}"]
        lines += [f"  - here: {'; '.join(difference.here) or 'nothing more than what holds there, too'}"]
        lines += [f"  - there: {'; '.join(difference.there) or 'nothing more than what holds here, too'}"]
    lines += [""] if rule["look_alikes"] else []
    others = book.taken_for(rule)
    if others:
        lines += [f"**Also mistaken for this one**, and told apart there: {_links(book, others)}", ""]
    return lines


def _effects(book: Book, rule: Rule) -> list[str]:
    lines = []
    effects = [book.by_id[name] for name in rule["explains"]]
    if effects:
        lines += [f"**Its effects**, no faults of their own: {_links(book, effects)}", ""]
    causes = book.explained_by(rule)
    if causes:
        lines += [f"**Only an effect, if confirmed is:** {_links(book, causes)}", ""]
    return lines


def _bullets(conditions: Iterable[Condition]) -> list[str]:
    lines = []
    for each in conditions:
        if len(each.text) <= _ONE_LINE or len(each.ways) == 1:
            lines.append(f"- {each.text}")
            continue
        lines += [f"- one of these{f' ({each.note})' if each.note else ''}:", *(f"  - {way}" for way in each.ways)]
    return lines


def _remedies(book: Book) -> list[str]:
    lines = ["## Remedies", ""]
    remedies = {rule["remedy"]["id"]: rule["remedy"] for rule in book.rules if rule["remedy"]}
    for name, remedy in remedies.items():
        users = [rule for rule in book.rules if rule["remedy"] and rule["remedy"]["id"] == name]
        links = ", ".join(
            f"[{rule['id']}](causes/{book.page_of[rule['id']]}.md#{rule['id']}) ({rule['remedy']['unattended']})"
            for rule in users
        )
        lines += [f'<a id="{name}"></a>', "", f"### {_text(remedy['title'])}", ""]
        lines += ["```sh", command(remedy["command"]), "```", "", f"For (unattended): {links}", ""]
    return lines


def _conflicts(book: Book) -> list[str]:
    lines = ["## Contradictions", ""]
    lines += [
        "Where two witnesses contradict each other, the report says so, and what is in doubt is not known.",
        "",
    ]
    for conflict in book.conflicts:
        conditions = [each for source in conflict["when"] for each in book.words.conditions(source)]
        doubts = ", ".join(f"`{name}`" for name in conflict["doubts"])
        lines += [f'<a id="{conflict["id"]}"></a>', "", f"### {_sentence(conflict['id'])}", ""]
        lines += [f"> {_text(readable(conflict['because']))}", "", "**Told by**", "", *_bullets(conditions), ""]
        lines += [f"**In doubt:** {doubts}", ""]
    return lines


def _link(book: Book, rule: Rule) -> str:
    return f"[{_text(rule['title'])}]({book.page_of[rule['id']]}.md#{rule['id']})"


def _links(book: Book, rules: Iterable[Rule]) -> str:
    return " · ".join(f"[{rule['id']}]({book.page_of[rule['id']]}.md#{rule['id']})" for rule in rules)


def _sentence(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return re.sub(r"([<*\[\]])", r"\\\1", " ".join(text.split()))
