# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis costs, as ratios within one run: C(python tests/bench/bench.py [--rounds N] [--entries N]).

What is compared runs by turns, so that a busy moment of the machine meets all alike, and the medians are compared. The
seconds are this machine's; the ratios hold elsewhere too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import long_journal
import rivals
from measure import Cost, median, run

from lab import __main__ as lab_command

PROJECT = Path(__file__).resolve().parents[2]
SCENARIO = "incident-2026-02-06"
AT_MOST_EMPTY_PLAYS = 6
AT_LEAST_TIMES_FASTER = 4


def tell(text: str) -> None:
    """Say what is under way, apart from the result."""
    print(f"  {text}", file=sys.stderr, flush=True)


def compare(rounds: int, place: Path) -> dict[str, Cost]:
    """Run the diagnosis of the replayed incident and its rivals by turns; return the median cost of each."""
    lab = lab_command.up(SCENARIO, place / "lab")
    try:
        (place / "empty.yml").write_text("- {hosts: localhost, gather_facts: false}\n", encoding="utf-8")
        # What the lab's inventory script would tell, as a file: its rival's inventory is one, and so is a user's.
        (place / "variables.json").write_text(
            json.dumps({**lab["variables"], "voiceops_lab_ssh": lab["ssh"]}), encoding="utf-8"
        )
        known = ["-i", "inventory/lab/hosts.yml", "-e", f"@{place}/variables.json"]
        diagnose = ["ansible-playbook", *known, "playbooks/diagnose.yml"]
        passive = ["-e", "voiceops_dispatch_probe=never", "-e", f"voiceops_artifacts={place}/artifacts"]
        commands = {
            "an empty play": (["ansible-playbook", str(place / "empty.yml")], place),
            "a bare bash script": (rivals.script(lab, place), place),
            "diagnose, passive": ([*diagnose, *passive], PROJECT),
            "a naive playbook": (rivals.naive_playbook(lab, place), place),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        env = {**inherited, **rivals.environment(lab["variables"]), "VOICEOPS_LAB_DIR": str(place / "lab")}
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for turn in range(rounds):
            for name, (command, cwd) in commands.items():
                # A connection to the Pi that an earlier run left open would flatter this one.
                anew = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(place / f"{turn}-{name.split()[-1]}")}
                costs[name].append(run(command, {**env, **anew}, cwd, place / "log"))
                tell(f"round {turn + 1} of {rounds}: {name}, {costs[name][-1].wall:.2f} s")
    finally:
        lab_command.down(place / "lab")
    return {name: median(measured) for name, measured in costs.items()}


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Lay out rows in columns, the first to the left and the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
    return "\n".join(lines)


def comparison(costs: dict[str, Cost]) -> str:
    """The costs as a table, and the ratios beside their targets."""
    ours = costs["diagnose, passive"]
    rows = [("", "wall s", "CPU s", "largest process MB")]
    rows += [(name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.memory:.0f}") for name, cost in costs.items()]
    of_empty = ours.wall / costs["an empty play"].wall
    of_script = ours.wall / costs["a bare bash script"].wall
    faster = costs["a naive playbook"].wall / ours.wall
    verdict = {True: "met", False: "MISSED"}
    return "\n".join(
        [
            table(rows),
            "",
            f"diagnose takes {of_empty:.1f} times an empty play"
            f"     (target: at most {AT_MOST_EMPTY_PLAYS}; {verdict[of_empty <= AT_MOST_EMPTY_PLAYS]})",
            f"diagnose takes {of_script:.1f} times the bare script",
            f"diagnose is {faster:.1f} times as fast as the naive playbook"
            f"     (target: at least {AT_LEAST_TIMES_FASTER}; {verdict[faster >= AT_LEAST_TIMES_FASTER]})",
            f"the controller's largest process held {ours.memory:.0f} MB at its peak",
        ]
    )


def look_into_journal(entries: int, rounds: int, place: Path) -> str:
    """What looking into a long journal costs the Pi, as a table: a ten-minute window, and all of it."""
    folder = long_journal.written(entries, tell)
    if not folder:
        return "The journal: left out, since systemd-journal-remote and journalctl are needed to write one."
    rows = [("window", "entries read", "layer s", "grep s", "ratio", "layer MB", "grep MB")]
    windows = {"10 minutes": 600.0, "everything": 2 * entries / long_journal.PER_SECOND}
    for name, window_s in windows.items():
        looks = [long_journal.costs(folder, entries, window_s, place) for _round in range(rounds)]
        tell(f"{name}: {looks[-1][0].wall:.2f} s, by grep {looks[-1][1].wall:.2f} s")
        ours, grep = median([look[0] for look in looks]), median([look[1] for look in looks])
        read = statistics.median(look[2] for look in looks)
        figures = (f"{read:,.0f}", f"{ours.wall:.2f}", f"{grep.wall:.2f}", f"{ours.wall / grep.wall:.1f}")
        rows.append((name, *figures, f"{ours.memory:.0f}", f"{grep.memory:.0f}"))
    return f"Looking into a journal of {entries:,} entries on the Pi, against journalctl | grep -c\n\n{table(rows)}"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the long journal (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = compare(options.rounds, Path(folder))
        print(f"Diagnosis of {SCENARIO} in the lab; medians of {options.rounds}\n\n{comparison(costs)}\n")
        print(look_into_journal(options.entries, options.rounds, Path(folder)))


if __name__ == "__main__":
    main()
