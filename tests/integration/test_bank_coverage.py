# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bank must hold: every red herring that is known of, and every layer missing in every way."""

from __future__ import annotations

from pathlib import Path

import bank
import pytest
import yaml
from bank.cases import is_effect, rules
from bank.saved import WAYS

from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS

HERRINGS = yaml.safe_load(Path(bank.__file__).with_name("red-herrings.yml").read_text(encoding="utf-8"))
# The parts of failure-modes.md that tell of some.
PARTS = {"0.1", "A.0", "A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "B.4"}


@pytest.fixture(scope="module")
def answers(cases):
    known = rules()
    return {case.name: case.judged(known) for case in cases}


@pytest.mark.parametrize("herring", HERRINGS, ids=lambda each: each["herring"])
def test_a_red_herring_is_not_taken_for_a_cause(answers, herring):
    assert herring["scenarios"]
    for name in herring["scenarios"]:
        causes = answers[name]["causes"]
        state = next(each["state"] for each in causes if each["id"] == herring["taken_for"])
        if herring.get("told_as") == "effect":
            assert is_effect(causes, herring["taken_for"]), name
        else:
            assert state != "confirmed", name


def test_every_part_that_tells_of_red_herrings_has_some_and_each_is_told_once():
    assert {each["part"] for each in HERRINGS} == PARTS
    assert len({each["herring"] for each in HERRINGS}) == len(HERRINGS)


def test_every_layer_is_missing_in_every_way_from_several_systems(cases):
    names = {case.name for case in cases}
    systems = (
        "incident",
        "healthy",
        "tunnel-offline",
        "user-missing-in-db",
        "crash-loop",
        "worker-healthy",
        "worker-stopped",
    )
    wanted = {
        f"09-missing-layers/{system}-{layer}-{word}" for system in systems for layer in LAYERS for word in WAYS.values()
    }
    assert wanted <= names


def test_several_faults_at_once_are_expected_by_name_and_number(cases):
    several = [case for case in cases if len(case.expected.get("also", [])) > 0]
    assert len(several) >= 20
    assert [case.name for case in cases if case.name.startswith("10-two-faults/") and "also" not in case.expected] == []
