# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios chosen for the ways they differ in, end to end: the lab's processes and the real playbook."""

from __future__ import annotations

import pytest
from bank.cases import find, rules
from bank.world import World

from ansible_collections.voiceops.livekit.plugins.module_utils.replay import difference, judged_again
from lab.scenario import SCENARIOS

CHOSEN = (
    "agent-crash-loop",
    "agent-missing-secret",
    "agent-name-mismatch",
    "asleep-and-healthy",
    "callback-auth-mismatch",
    "client-not-connected",
    "cold-start-slow",
    "db-down",
    "disk-full",
    "dispatch-missing",
    "healthy",
    "hostile-log-lines",
    "incident-2026-02-06",
    "journal-suppressed",
    "journal-unreadable",
    "livekit-refuses-key",
    "no-lk",
    "pi-clock-drift",
    "pi-hangs",
    "pi-unreachable",
    "pi-without-systemd",
    "service-crash-loop",
    "service-hung",
    "silence-heard-by-inspector",
    "still-waiting",
    "tunnel-oauth",
    "tunnel-offline",
    "two-faults",
    "user-missing-in-db",
)


def states(answer):
    return {cause["id"]: cause["state"] for cause in answer["causes"]}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_verdict_is_the_one_expected(name, lab):
    path = SCENARIOS / f"{name}.yml"

    play = lab(path).play()

    assert play.returncode == 0, play.output
    case, *_variants = find(path)
    assert case.differences(play.incident) == [], play.output
    with World(path) as world:
        assert states(play.incident) == states(world.judged()), "the bank imitates the play badly"
    found = difference(play.incident, judged_again(play.incident, rules()))
    assert {part: pairs for part, pairs in found.items() if pairs} == {}, "the record lacks what it was judged by"


def test_enough_were_chosen():
    assert len(CHOSEN) >= 25


def test_what_is_to_be_done_on_the_controller_is_typed_without_ssh(lab):
    incident = lab("tunnel-offline").play().incident

    assert incident["verdict"]["remedy"]["command"] == "sudo systemctl start ngrok"
    assert incident["settings"]["tunnel_host"] == "localhost"
    assert incident["settings"]["service_host"].startswith("ssh://")
