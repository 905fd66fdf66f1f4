# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repair costs beyond a diagnosis and LiveKit's own time: C(python tests/bench/repair.py [--rounds N]).

Each round replays the incident in a new lab, diagnoses it, and repairs it. LiveKit's own time in the repair are the
second dispatch test, which nobody answers, the pause between two looks at the agent that was restarted, the silence
after which the log of an agent that runs counts as read (LiveKit never ends it), and the start of the agent in the
dispatch test that passes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import rivals
from bench import PROJECT, SCENARIO, tell
from measure import Cost, median, run

from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import POLL_S
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.agent import QUIET_S
from lab import __main__ as lab_command

AT_MOST_S = 5.0


def overhead(place: Path) -> Cost:
    """Diagnose and repair in a new lab; return what the repair costs more, without LiveKit's own time."""
    place.mkdir()
    lab = lab_command.up(SCENARIO, place / "lab")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    env = {**inherited, **rivals.environment(lab["variables"]), "VOICEOPS_LAB_DIR": str(place / "lab")}
    costs = []
    try:
        for playbook in ("diagnose", "remediate"):
            given = ["-e", f"voiceops_artifacts={place}/artifacts", "-e", "voiceops_approve=true"]
            # A connection to the Pi that the other one left open would flatter this one.
            anew = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(place / f"{playbook}-ssh")}
            command = ["ansible-playbook", "-i", "inventory/lab", f"playbooks/{playbook}.yml", *given]
            costs.append(run(command, {**env, **anew}, PROJECT, place / "log"))
    finally:
        lab_command.down(place / "lab")
    record = json.loads((place / "artifacts" / "latest" / "incident.json").read_text(encoding="utf-8"))
    ended = record["remediation"]
    if ended["verdict"] != "repaired":
        raise RuntimeError(f"the repair ended as {ended['verdict']}: {' '.join(ended['because'])}")
    unanswered = float(lab["variables"]["voiceops_dispatch_deadline"])
    livekits = unanswered + POLL_S + QUIET_S + ended["after"]["audible_after_s"]
    diagnosis, repair = costs
    return Cost(repair.wall - diagnosis.wall - livekits, repair.cpu - diagnosis.cpu, repair.memory)


def main() -> None:
    """Measure, and print the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often it is repaired (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = []
        for turn in range(options.rounds):
            costs.append(overhead(Path(folder) / str(turn)))
            tell(f"round {turn + 1} of {options.rounds}: {costs[-1].wall:.2f} s")
    middle = median(costs)
    print(
        f"A repair of {SCENARIO} takes {middle.wall:.1f} s (CPU {middle.cpu:.1f} s) beyond the diagnosis and LiveKit's "
        f"own time, median of {len(costs)}     (target: at most {AT_MOST_S:g}; "
        f"{'met' if middle.wall <= AT_MOST_S else 'MISSED'})"
    )


if __name__ == "__main__":
    main()
