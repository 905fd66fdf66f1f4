# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say together: their stages in the order of precedence, who explains whom, and what tells two apart.

A stage is one file of rules. Its name and place are the file's, and its first comment says what it is about.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import rules as rule_files
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import Rule
from gates.cause_words import Condition, Words

# A reader at night compares two or three facts, not ten.
_MOST_DIFFERENCES = 3
_SENTENCE = re.compile(r"(.+?[.?!])(?:\s|$)")


class Stage(NamedTuple):
    """One file of rules: C(page) is the name of its page without the ending, C(about) one sentence."""

    page: str
    title: str
    about: str
    rules: list[Rule]


class Difference(NamedTuple):
    """What holds for one cause and not for another, what holds for the other, and what if both seem to be so."""

    here: list[str]
    there: list[str]
    both: str


class Book:
    """All that a folder of rules says. Whatever refers to a cause does so by its rule."""

    def __init__(self, folder: Path) -> None:
        loaded = rule_files.load(str(folder))
        self.words = Words(rule_files.vocabulary())
        self.rules = loaded.rules
        self.conflicts = loaded.conflicts
        self.by_id: dict[str, Rule] = {rule["id"]: rule for rule in self.rules}
        files = dict.fromkeys(rule["file"] for rule in self.rules)
        self.stages = [_stage(folder / file, [rule for rule in self.rules if rule["file"] == file]) for file in files]
        self.page_of = {rule["id"]: stage.page for stage in self.stages for rule in stage.rules}
        self.number_of = {rule["id"]: number for number, rule in enumerate(self.rules, 1)}

    def conditions(self, rule: Rule) -> list[Condition]:
        """Return what must all be true for the cause to be confirmed."""
        return [each for source in rule["when"] for each in self.words.conditions(source)]

    def exclusions(self, rule: Rule) -> list[str]:
        """Return what rules the cause out by itself."""
        return [text for source in rule["unless"] for text in self.words.exclusions(source)]

    def signals(self, rule: Rule) -> list[str]:
        """Return the signals that decide the cause, in the order in which they are named."""
        unless = [each for source in rule["unless"] for each in self.words.conditions(source, hold=False)]
        return list(dict.fromkeys(name for each in (*self.conditions(rule), *unless) for name in each.signals))

    def explained_by(self, rule: Rule) -> list[Rule]:
        return [other for other in self.rules if rule["id"] in other["explains"]]

    def taken_for(self, rule: Rule) -> list[Rule]:
        """Return the causes that name this one as easily taken for them, and that it does not name itself."""
        others = [other for other in self.rules if rule["id"] in other["look_alikes"]]
        return [other for other in others if other["id"] not in rule["look_alikes"]]

    def difference(self, rule: Rule, other: Rule) -> Difference:
        """Tell two causes apart by their conditions; those that are about the same signal come first."""
        decisive = [self._decisive(*pair) for pair in ((rule, other), (other, rule))]
        here, there = (_only(*sides) for sides in (decisive, decisive[::-1]))
        return Difference([each.text for each in here], [each.text for each in there], self._both(rule, other))

    def _decisive(self, rule: Rule, other: Rule) -> list[Condition]:
        """Return a rule's conditions, and those of its exclusions that are about a signal of the other rule."""
        named = {name for each in self.conditions(other) for name in each.signals}
        unless = [each for source in rule["unless"] for each in self.words.conditions(source, hold=False)]
        return [*self.conditions(rule), *(each for each in unless if named & set(each.signals))]

    def _both(self, rule: Rule, other: Rule) -> str:
        """Say what the verdict is if both hold, as classify.py decides it."""
        if _exclude_each_other(self.conditions(rule), self.conditions(other)):
            return "Both at once cannot be."
        if other["id"] in rule["explains"]:
            return "If both hold, that one is an effect of this one."
        if rule["id"] in other["explains"]:
            return "If both hold, this one is an effect of that one."
        rank = [(rule_files.STATES.index(each["state"]), self.number_of[each["id"]]) for each in (rule, other)]
        first = "this one" if rank[0] < rank[1] else "that one"
        also = "; mend the other one, too" if rule["state"] == other["state"] == "fault" else ""
        return f"If both hold, the verdict is {first}{also}."


def _stage(path: Path, rules: list[Rule]) -> Stage:
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") and line != "---":
            break
        comment.append(line.lstrip("-# "))
    title = re.sub(r"^\d+[-_]", "", path.stem).replace("-", " ").replace("_", " ").capitalize()
    about = _SENTENCE.match(" ".join(comment).strip())
    return Stage(path.stem, title, about[1] if about else "", rules)


def _only(mine: list[Condition], theirs: list[Condition]) -> list[Condition]:
    """Return what is true of one alone, shared signals first, in the rule's order else."""
    texts = {each.text for each in theirs}
    shared = {name for each in theirs for name in each.signals}
    own = [each for each in mine if each.text not in texts]
    return sorted(own, key=lambda each: not shared & set(each.signals))[:_MOST_DIFFERENCES]


def _exclude_each_other(mine: list[Condition], theirs: list[Condition]) -> bool:
    values: dict[str, frozenset[Any]] = dict(each.allowed for each in theirs if each.allowed)
    return any(
        not values[signal] & allowed
        for signal, allowed in (each.allowed for each in mine if each.allowed)
        if signal in values
    )
