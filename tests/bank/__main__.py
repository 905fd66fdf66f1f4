# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the scenarios of a folder or file, and compare with what they expect: C(python -m bank [PATH])."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import load

from bank import saved

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "roles/classify/files/rules"
STATES = ("confirmed", "suspected", "ruled_out", "open")


def differences(answer: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Say in what an answer differs from what a scenario expects."""
    verdict = answer["verdict"]
    remedy = verdict["remedy"] and verdict["remedy"]["id"]
    states = {cause["id"]: cause["state"] for cause in answer["causes"]}
    found = {"verdict": verdict["id"], "state": verdict["state"], "remedy": remedy}
    wrong = [f"{key}: expected {expected[key]}, got {found[key]}" for key in found if key in expected and expected[key] != found[key]]
    for state in STATES:
        wrong += [f"{cause}: expected {state}, got {states.get(cause)}" for cause in expected.get(state, []) if states.get(cause) != state]
    return wrong


def main(path: str = str(ROOT / "tests/scenarios/evidence")) -> int:
    rules = load(str(RULES))
    files = sorted(Path(path).glob("*.yml")) if Path(path).is_dir() else [Path(path)]
    total = right = 0
    for file in files:
        for scenario in yaml.safe_load(file.read_text(encoding="utf-8")):
            answer = classify(saved.evidence(scenario), rules, saved.context(scenario))
            wrong = differences(answer, scenario["expected"])
            total += 1
            right += not wrong
            for text in wrong:
                print(f"{file.name}: {scenario['name']}: {text}")
    print(f"{total} scenarios, {right} right")
    return 0 if right == total else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
