# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario, end to end: the lab, the real playbook, and the verdict that the scenario names."""

from __future__ import annotations

import pytest
import yaml

from lab.scenario import SCENARIOS

FILES = sorted(SCENARIOS.glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_verdict_is_the_one_expected(path, lab):
    expected = yaml.safe_load(path.read_text(encoding="utf-8"))["expected"]

    play = lab(path).play()

    assert play.returncode == 0, play.output
    incident = play.incident
    states = {cause["id"]: cause["state"] for cause in incident["causes"]}
    remedy = incident["verdict"]["remedy"]
    found = {
        "verdict": incident["verdict"]["id"],
        "state": incident["verdict"]["state"],
        "remedy": remedy and remedy["id"],
        **{
            state: [cause for cause in expected[state] if states.get(cause) == state]
            for state in STATES
            if state in expected
        },
    }
    if "remedy" not in expected:
        del found["remedy"]
    assert found == expected, play.output


STATES = ("confirmed", "suspected", "ruled_out")


def test_there_are_scenarios():
    assert len(FILES) > 30
