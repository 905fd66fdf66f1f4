# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge all scenarios of a folder, print what was taken for what: C(python -m bank [PATH])."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bank.cases import BankError, Case, find, rules
from lab.scenario import SCENARIOS, ScenarioError

KINDS = ("fault", "healthy", "inconclusive")


def confusion(answers: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """The table's lines: each expected verdict, how many scenarios have it, and what the wrong ones were taken for."""
    expected = Counter(case.expected["verdict"] for case, _answer in answers)
    taken = Counter((case.expected["verdict"], answer["verdict"]["id"]) for case, answer in answers)
    width = max(map(len, expected))
    lines = [f"{'expected':{width}}  all  right  taken for"]
    for verdict, count in sorted(expected.items()):
        others = [f"{got} ({number})" for (wanted, got), number in taken.items() if wanted == verdict != got]
        lines.append(f"{verdict:{width}}  {count:3}  {taken[verdict, verdict]:5}  {', '.join(others)}".rstrip())
    return lines


def by_state(answers: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """The table of the verdicts' states, expected by found."""
    counts = Counter((case.expected["state"], answer["verdict"]["state"]) for case, answer in answers)
    lines = ["expected \\ found  " + "  ".join(f"{kind:>12}" for kind in KINDS)]
    lines += [f"{wanted:16}  " + "  ".join(f"{counts[wanted, got]:12}" for got in KINDS) for wanted in KINDS]
    return lines


def main(path: str = str(SCENARIOS)) -> int:
    """Print the tables; return 0 if all are right, 1 if not, and 2 if the bank cannot be used."""
    try:
        known = rules()
        answers = [(case, case.judged(known)) for case in find(Path(path))]
    except (BankError, ScenarioError) as exc:
        print(exc, file=sys.stderr)
        return 2
    print(*confusion(answers), "", *by_state(answers), "", sep="\n")
    wrong = [(case, text) for case, answer in answers for text in case.differences(answer)]
    for case, text in wrong:
        print(f"{case.name}: {text}")
    right = len(answers) - len({case.name for case, _text in wrong})
    confirmed = sum(case.wrongly_confirmed(answer) for case, answer in answers)
    print(f"{len(answers)} scenarios, {right} right, {confirmed} wrongly confirmed")
    return 0 if right == len(answers) and confirmed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
