# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remedies' roles alone, each in a playbook of its own against the lab, and what they say when they may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

UNIT = "proto-trainer-next"
STOPPED = {"active": "inactive", "sub": "dead", "started_at": None}


def units(lab: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lab.directory / "pi" / "units.json").read_text(encoding="utf-8"))
    return found[f"{UNIT}.service"]


def test_a_stopped_unit_is_started_once_and_then_left_alone(lab, scenario, play_role):
    running = lab(scenario("stopped", pi={"unit": STOPPED}, api={"state": "down"}))

    play, predicted = play_role(running, "systemd_unit", "pi-hub", "--check", systemd_unit_name=UNIT)
    assert play.returncode == 0, play.output
    assert predicted["changed"] is True
    assert predicted["summary"] == f"Would start {UNIT}: sudo -n systemctl start {UNIT}."
    assert units(running)["ActiveState"] == "inactive"

    play, result = play_role(running, "systemd_unit", "pi-hub", systemd_unit_name=UNIT)
    assert play.returncode == 0, play.output
    assert result["changed"] is True
    assert (result["before"]["active_state"], result["after"]["active_state"]) == ("inactive", "active")
    assert [step["what"] for step in result["steps"]] == [f"sudo -n systemctl start {UNIT}"]
    assert units(running)["ActiveState"] == "active"

    play, again = play_role(running, "systemd_unit", "pi-hub", systemd_unit_name=UNIT)
    assert play.returncode == 0, play.output
    assert (again["changed"], again["summary"]) == (False, f"{UNIT} is up already (running).")


def test_a_failed_unit_is_reset_and_started(lab, scenario, play_role):
    failed = {"active": "failed", "sub": "failed", "result": "start-limit-hit", "restarts": 5}
    running = lab(scenario("failed", pi={"unit": failed}))

    play, result = play_role(running, "systemd_unit", "pi-hub", systemd_unit_name=UNIT, systemd_unit_state="reset")

    assert play.returncode == 0, play.output
    assert [step["what"].split()[3] for step in result["steps"]] == ["reset-failed", "start"]
    assert (result["before"]["result"], result["after"]["active_state"]) == ("start-limit-hit", "active")


@pytest.mark.parametrize(
    ("pi", "name", "sentence"),
    [
        ({"sudo": "password"}, UNIT, "a password is required. What to do: allow brad to run 'systemctl"),
        ({"sudo": None}, UNIT, "polkit wants a person to log in"),
        ({}, "no-such-unit", "no-such-unit: systemd knows no such unit: check its name"),
        ({"unit": {**STOPPED, "starts": False}}, UNIT, f"{UNIT} failed again at once (exit-code)"),
        ({"state": "no_systemd"}, UNIT, "is this a host with systemd?"),
        ({}, "--bad name", "name: expected the name of a systemd unit"),
    ],
    ids=["sudo wants a password", "polkit", "no such unit", "it dies at once", "no systemd", "bad input"],
)
def test_a_refusal_is_named_with_what_to_do(lab, scenario, play_role, pi, name, sentence):
    running = lab(scenario("refused", pi={"unit": STOPPED, **pi}))

    play, _nothing = play_role(running, "systemd_unit", "pi-hub", systemd_unit_name=name)

    assert play.returncode == 2, play.output
    assert sentence in " ".join(play.output.split()), play.output


def waiting(**room: Any) -> dict[str, Any]:
    person = {"identity": "trainee-7", "joined_at": "-2m"}
    return {"cloud": {"rooms": [{"name": "session-41", "created_at": "-2m", "participants": [person], **room}]}}


def test_the_agent_is_asked_for_where_a_person_waits_and_only_once(lab, scenario, play_role):
    parts = waiting()
    screen = {"identity": "screen", "joined_at": "-3d"}
    parts["cloud"]["rooms"].append({"name": "lobby", "created_at": "-3d", "participants": [screen]})
    running = lab(scenario("waits", **parts))

    play, predicted = play_role(running, "redispatch", "localhost", "--check")
    assert play.returncode == 0, play.output
    assert predicted["summary"] == "Would ask for the agent in session-41, where a person waits."

    play, result = play_role(running, "redispatch", "localhost")
    assert play.returncode == 0, play.output
    assert (result["changed"], result["room"]) == (True, "session-41")
    assert (result["before"], result["after"]) == ({"agent_in_room": False}, {"agent_in_room": True})
    signals = result["record"]["signals"]
    assert (signals["source"], signals["level"]) == ("waiting_room", "audible")
    assert signals["accepted_after_s"] <= signals["joined_after_s"] <= signals["audible_after_s"]

    play, again = play_role(running, "redispatch", "localhost")
    assert play.returncode == 0, play.output
    assert (again["changed"], again["record"]) == (False, None)


def test_an_agent_on_its_way_is_not_asked_for_again(lab, scenario, play_role):
    running = lab(scenario("on-its-way", **waiting(dispatches=[{"created_at": "-1m", "jobs": [{}]}])))

    play, result = play_role(running, "redispatch", "localhost")

    assert play.returncode == 0, play.output
    assert (result["changed"], result["room"]) == (False, "session-41")
    assert "the agent is on its way" in result["summary"]


@pytest.mark.parametrize("status", ["FAILED", "SUCCESS"])
def test_an_agent_whose_job_has_ended_is_not_on_its_way(lab, scenario, play_role, status):
    running = lab(scenario("ended", **waiting(dispatches=[{"created_at": "-1m", "jobs": [{"status": status}]}])))

    play, result = play_role(running, "redispatch", "localhost")

    assert play.returncode == 0, play.output
    assert (result["changed"], result["after"]) == (True, {"agent_in_room": True})


def test_an_agent_that_does_not_come_is_told_and_the_dispatch_withdrawn(lab, scenario, play_role):
    asleep = {"wakes": False, "deployments": [{"status": "Sleeping", "replicas": 0}]}
    parts = waiting()
    parts["cloud"]["agent"] = asleep
    running = lab(scenario("asleep", **parts))

    play, result = play_role(running, "redispatch", "localhost")
    assert play.returncode == 0, play.output
    assert (result["changed"], result["after"]) == (True, {"agent_in_room": False})
    assert result["record"]["signals"]["accepted"] is False

    play = running.play("diagnose.yml")
    assert play.incident["evidence"]["client"]["signals"]["dispatches"] == 0


def test_nobody_waits(lab, play_role):
    play, result = play_role(lab("healthy"), "redispatch", "localhost")

    assert play.returncode == 0, play.output
    assert (result["changed"], result["summary"]) == (
        False,
        "Nobody waits alone, so there is nobody to ask an agent for.",
    )
