# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break every condition of every rule, and see whether a scenario notices: C(python -m bank.mutants [PATH]).

Each condition, and each operand of C(and) and C(or) in it, is dropped once and negated once. A mutant survives if all
scenarios that were right before are right with it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleSet
from bank.cases import Case, find, rules
from lab.scenario import SCENARIOS

Rule = dict[str, Any]
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[()\[\]{},]|\b(?:and|or)\b|[\s\S]""")


class Mutant(NamedTuple):
    """A rule with one thing changed, which C(what) tells."""

    rule: Rule
    what: str


def operands(source: str) -> Iterator[tuple[int, int, str]]:
    """The operands of each C(and) and C(or) in an expression: begin, end, and the word that joins it to another one."""
    groups: list[list[Any]] = [[0]]
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token in ("and", "or"):
            groups[-1] += [(match.start(), match.end(), token)]
        elif token in "([{":
            groups.append([match.end()])
        elif token in ")]}," and token:
            yield from _split(groups.pop() if token != "," else groups[-1], match.start())
            if token == ",":
                groups[-1] = [match.end()]
    yield from _split(groups[0], len(source))


def _split(group: list[Any], end: int) -> Iterator[tuple[int, int, str]]:
    begin, joints = group[0], group[1:]
    for number, (joint_begin, joint_end, word) in enumerate(joints):
        yield begin, joint_begin, word
        begin = joint_end
        if number == len(joints) - 1:
            yield begin, end, word


def mutants(rule: Rule) -> Iterator[Mutant]:
    """All mutants of a rule."""
    for key in ("when", "unless"):
        for number, source in enumerate(rule[key]):
            changed = [("dropped", "true" if key == "when" else "false"), ("negated", f"not ({source})")]
            for begin, end, word in operands(source):
                part = source[begin:end].strip()
                neutral = "true" if word == "and" else "false"
                for what, text in ((f"without {part!r}", neutral), (f"with not {part!r}", f"(not ({part}))")):
                    changed.append((what, f"{source[:begin]} {text} {source[end:]}"))
            for what, text in changed:
                conditions = [*rule[key][:number], text, *rule[key][number + 1 :]]
                yield Mutant({**rule, key: conditions}, f"{rule['id']}: {key}: {source!r} {what}")


def survivors(cases: list[Case], known: RuleSet) -> Iterator[tuple[str, bool]]:
    """Tell each mutant, and whether no scenario notices it."""
    right = [(case, answer) for case in cases for answer in [case.judged(known)] if not case.differences(answer)]
    for position, rule in enumerate(known.rules):
        before = [_state(case, known, rule) for case, _answer in right]
        for mutant in mutants(rule):
            changed = known._replace(rules=[*known.rules[:position], mutant.rule, *known.rules[position + 1 :]])
            noticed = any(
                case.differences(case.judged(changed))
                for (case, _answer), state in zip(right, before, strict=True)
                if _state(case, known, mutant.rule) != state
            )
            yield mutant.what, not noticed


def _state(case: Case, known: RuleSet, rule: Rule) -> str:
    """What one rule by itself says of a case, which is all that its mutant can change at first."""
    state: str = case.judged(known._replace(rules=[{**rule, "look_alikes": []}]))["causes"][0]["state"]
    return state


def main(path: str = str(SCENARIOS)) -> int:
    """Print the survivors and their number; return 0 if there are none."""
    told = list(survivors(find(Path(path)), rules()))
    alive = [what for what, survived in told if survived]
    print(*alive, f"{len(told)} mutants, {len(alive)} survived", sep="\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
