# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repair as people run it: the real playbook against the lab, through what may go wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.scenario import SCENARIOS

from .conftest import ROOT, Lab
from .repairing import APPROVED, ASLEEP, DORMANT, DOWN, STOPPED, acts, ledger, remediation, repair, state, told


def unit(lab: Lab) -> dict[str, Any]:
    found = json.loads((lab.directory / "pi" / "units.json").read_text(encoding="utf-8"))
    (only,) = found.values()
    return dict(only)


def test_a_healthy_system_is_left_alone(lab: Callable[[Any], Lab]) -> None:
    play = repair(lab("healthy"), *APPROVED)

    assert play.returncode == 0, play.output
    assert (remediation(play)["verdict"], remediation(play)["steps"]) == ("not_needed", [])
    assert "changed=0" in play.output
    assert "changed=1" not in play.output
    assert "✔ not_needed: nothing is wrong" in told(play)
    assert state(play) == []


def test_a_service_that_is_down_is_started_and_proven_and_a_second_run_changes_nothing(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    calling = {"cloud": {"agent": {"calls_back": True}}, "edge": {"inspector": {}}}
    # A call of an earlier session, which says nothing of the repair.
    earlier = {"entries": [{"at": "-4m", "message": "POST /api/internal/sessions 201 in 87ms"}]}
    stopped = {**DOWN, "pi": {**DOWN["pi"], "journal": earlier}}
    running = lab(scenario("down", **stopped, **calling))

    # By this strategy of the controller's, hosts would not wait for each other.
    play = repair(running, "-e", '{"voiceops_fail_on": ["fault"]}', ANSIBLE_STRATEGY="free")

    assert play.returncode == 0, play.output
    found = remediation(play)
    assert found["verdict"] == "repaired", play.output
    assert acts(play) == [("start_service", "done")]
    assert (found["before"]["cause"], found["after"]["cause"]) == ("confirmed", "ruled_out")
    assert (found["after"]["joined"], found["after"]["level"]) == (True, "audible")
    assert found["after"]["callbacks"] == {"journal": 1, "inspector": 1}
    assert "the agent's calls meanwhile: 1 in the journal, 1 in the inspector" in told(play)
    assert unit(running)["ActiveState"] == "active"
    assert [entry["outcome"] for entry in ledger(play)] == ["helped"]
    assert not [name for name in state(play) if name.endswith(".lock")]
    for report in ("incident.md", "incident.html"):
        text = (play.artifacts / "latest" / report).read_text(encoding="utf-8")
        assert "start_service" in text
        assert "repaired" in text

    # Of the attempt itself it is true for ever that the service was down.
    again = repair(running, "-e", "voiceops_attempt_at=now")
    assert again.returncode == 0, again.output
    assert (remediation(again)["verdict"], remediation(again)["steps"]) == ("not_needed", []), again.output
    assert "changed=1" not in again.output


def test_check_mode_tells_the_plan_and_changes_nothing(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(scenario("down", **DOWN))

    play = repair(running, "--check")

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "planned"
    ssh = running.facts["ssh"]
    command = f"ssh -t ssh://{ssh['user']}@127.0.0.1:{ssh['port']} sudo systemctl start proto-trainer-next"
    assert f"start_service on pi-hub: {command}" in told(play)
    assert unit(running)["ActiveState"] == "inactive"
    assert state(play) == []


def test_without_approval_the_plan_is_told_and_nothing_is_done(lab: Callable[[Any], Lab]) -> None:
    play = repair(lab("incident-2026-02-06"), "-e", '{"voiceops_fail_on": ["fault"]}')

    assert play.returncode == 2, play.output
    found = remediation(play)
    assert (found["verdict"], found["steps"], found["after"]) == ("needs_approval", [], None)
    assert [each["remedy"] for each in found["plan"]] == ["redispatch", "restart_agent", "redeploy_agent"]
    assert "restart_agent needs approval" in told(play)
    assert f"voiceops_incident_id={play.incident['incident_id']}" in told(play)
    assert "The repair ended as needs_approval, and voiceops_fail_on names the state that is left: fault." in (
        " ".join(play.output.split())
    )
    assert state(play) == []


def test_a_person_who_waits_gets_the_agent_by_asking_again(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    missing = yaml.safe_load((SCENARIOS / "dispatch-missing.yml").read_text(encoding="utf-8"))
    missing["cloud"]["agent"]["calls_back"] = True
    play = repair(lab(scenario("missing", cloud=missing["cloud"], edge={"inspector": {}})))

    assert play.returncode == 0, play.output
    assert acts(play) == [("redispatch", "done")]
    assert remediation(play)["verdict"] == "repaired", play.output
    # One call for the person's session, and one for the probe after it.
    assert remediation(play)["after"]["callbacks"] == {"journal": 2, "inspector": 2}


def test_an_agent_that_wakes_at_the_second_probe_is_not_repaired(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    later = [{"at_room": 2, "restarts": True}]
    running = lab(scenario("wakes", attempt=ASLEEP["attempt"], cloud={"agent": DORMANT, "then": later}))

    play = repair(running, *APPROVED)

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "not_needed", play.output
    assert remediation(play)["cause"] == "cloud_agent_dormant_no_wake"
    assert acts(play) == [("redispatch", "unchanged")]
    assert "It can be woken now" in told(play)
    assert ledger(play) == []


def test_a_person_who_is_served_by_then_is_not_cut_off(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    pair = [{"identity": "trainee-8", "joined_at": 0}, {"identity": "agent-1", "kind": "AGENT", "joined_at": 0}]
    later = [{"at_room": 2, "rooms": [{"name": "session-42", "created_at": 0, "participants": pair}]}]
    running = lab(scenario("joins", attempt=ASLEEP["attempt"], cloud={"agent": DORMANT, "then": later}))

    play = repair(running, *APPROVED)

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "blocked", play.output
    assert "1 session with people in would be cut off by restart_agent." in told(play)
    assert [remedy for remedy, _outcome in acts(play)] == ["redispatch"]


def test_a_verification_that_flaps_is_no_proof(lab: Callable[[Any], Lab], scenario: Callable[..., Path]) -> None:
    slow = {"wake_delay": 5.2, "deployments": [{"status": "Sleeping", "replicas": 0}]}
    gone = {"CreateRoom": {"status": 503, "code": "unavailable", "msg": "no response from servers"}}
    running = lab(scenario("flaps", **DOWN, cloud={"agent": slow, "then": [{"at_room": 2, "faults": gone}]}))

    play = repair(running)

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "needs_human", play.output
    assert "An agent joined once, and not again" in told(play)
    assert [entry["outcome"] for entry in ledger(play)] == ["failed"]


def test_a_remedy_that_is_refused_is_told_with_what_to_do(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(scenario("refused", **{**DOWN, "pi": {"unit": STOPPED, "sudo": "password"}}))

    play = repair(running)

    assert play.returncode == 0, play.output
    assert (remediation(play)["verdict"], acts(play)) == ("blocked", [("start_service", "refused")])
    # What was refused was no repair, so that it does not count as one.
    assert ledger(play) == []
    assert "a password is required. What to do: allow brad to run 'systemctl start proto-trainer-next'" in told(play)
    assert not [name for name in state(play) if name.endswith(".lock")]


def begin(lab: Lab, play_dir: Path) -> subprocess.Popen[bytes]:
    """Start a repair, and return once its record says that it is about to act."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", ROOT / "inventory" / "lab"]
    # Its lock is held for as long as the unit's start hangs.
    given = json.dumps({"voiceops_artifacts": str(play_dir), "systemd_unit_deadline": 280})
    started = subprocess.Popen(
        [*command, ROOT / "playbooks" / "remediate.yml", "-e", given],
        cwd=ROOT,
        env={**os.environ, "VOICEOPS_LAB_DIR": str(lab.directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 300
    record = play_dir / "latest" / "incident.json"
    while not record.exists() or '"outcome": "started"' not in record.read_text(encoding="utf-8"):
        assert time.monotonic() < end, "the repair did not begin"
        assert started.poll() is None, "the repair ended before it began"
        time.sleep(0.1)
    return started


def test_two_at_once_and_one_that_is_killed(lab: Callable[[Any], Lab], scenario: Callable[..., Path]) -> None:
    running = lab(scenario("hangs", **{**DOWN, "pi": {"unit": {**STOPPED, "starts": "hangs"}}}))
    first = begin(running, running.scratch / "artifacts")
    try:
        second = repair(running)
        assert remediation(second)["verdict"] == "blocked", second.output
        assert f"(pid {first.pid}, since" in told(second)
        assert "is at work on this agent" in told(second)
        assert remediation(second)["steps"] == []
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()

    records = sorted((running.scratch / "artifacts").glob("*-service-down-*/incident.json"))
    left, blocked = (json.loads(path.read_text(encoding="utf-8"))["remediation"] for path in records)
    assert blocked == remediation(second)
    assert (left["verdict"], [step["outcome"] for step in left["steps"]]) == (None, ["started"])

    third = repair(running)
    assert remediation(third)["verdict"] == "blocked", third.output
    assert "The lock was taken over from run" in remediation(third)["steps"][0]["what"]
    assert "600 s must pass before the next" in told(third)

    units = running.directory / "pi" / "units.json"
    units.with_suffix(".new").write_text(units.read_text(encoding="utf-8").replace('"hangs"', "true"), encoding="utf-8")
    units.with_suffix(".new").replace(units)  # in one step, since the lab's API looks at it all the time
    fourth = repair(running, "-e", "voiceops_repair_cooldown=0s")
    assert remediation(fourth)["verdict"] == "repaired", fourth.output
    assert [entry["outcome"] for entry in ledger(fourth)] == ["started", "helped"]


@pytest.mark.parametrize(
    ("outcomes", "verdict", "sentence"),
    [
        (["failed", "failed"], "needs_human", "2 repairs in a row did not help"),
        (["helped", "helped"], "blocked", "2 repairs were made within an hour, and 2 are allowed"),
    ],
)
def test_what_was_done_before_limits_what_is_done(
    lab: Callable[[Any], Lab],
    scenario: Callable[..., Path],
    outcomes: list[str],
    verdict: str,
    sentence: str,
) -> None:
    running = lab(scenario("again", **DOWN))
    first = repair(running, "-e", '{"voiceops_repair_per_hour": 0}')
    assert remediation(first)["verdict"] == "blocked", first.output
    (path,) = (first.artifacts / "state").glob("*.ledger.json")
    entry = {"at": time.time() + 86400, "run": "r", "cause": "c", "remedy": "restart_worker", "harmless": False}
    path.write_text(json.dumps([{**entry, "outcome": outcome} for outcome in outcomes]), encoding="utf-8")

    play = repair(running)

    assert remediation(play)["verdict"] == verdict, play.output
    assert sentence in told(play)
    assert unit(running)["ActiveState"] == "inactive"


def test_where_nothing_can_be_kept_nothing_is_done(lab: Callable[[Any], Lab], scenario: Callable[..., Path]) -> None:
    running = lab(scenario("down", **DOWN))
    (running.scratch / "file").write_text("", encoding="utf-8")

    play = repair(running, "-e", json.dumps({"voiceops_state_dir": str(running.scratch / "file" / "state")}))

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "blocked"
    assert "voiceops_state_dir: expected a folder that can be written to" in told(play)
    assert unit(running)["ActiveState"] == "inactive"


def test_an_earlier_incident_is_checked_again_before_it_is_repaired(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(scenario("down", **DOWN))
    diagnosed = running.play("diagnose.yml").incident

    for name in ("no-such-incident", "../x"):
        play = repair(running, "-e", f"voiceops_incident_id={name}")
        assert play.returncode == 2, play.output
        assert f"an incident in {play.artifacts}, got '{name}'" in " ".join(play.output.split())
    identity = diagnosed["incident_id"]
    late = repair(running, "-e", f"voiceops_incident_id={identity}", "-e", "voiceops_repair_max_age=0s")
    assert late.returncode == 2, late.output
    assert "expected an incident of the last 0s" in " ".join(late.output.split())
    # The newest incident is meant as it was when the run began, not the run's own diagnosis.
    newest = repair(running, "--check", "-e", "voiceops_incident_id=latest")
    own = newest.incident["incident_id"]
    assert remediation(newest)["based_on"] not in (None, own), newest.output

    play = repair(running, "-e", f"voiceops_incident_id={identity}")
    assert (remediation(play)["verdict"], remediation(play)["based_on"]) == ("repaired", identity), play.output
    assert play.incident["attempt"]["at"] == diagnosed["attempt"]["at"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"voiceops_allow": ["pray"]}, "voiceops_allow: expected ids of remedies (redeploy_agent, "),
        ({"voiceops_repair_cooldown": "soon"}, "voiceops_repair_cooldown: expected a duration such as 10m"),
    ],
)
def test_bad_input_is_named_and_nothing_is_done(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path], variables: dict[str, Any], sentence: str
) -> None:
    running = lab(scenario("down", **DOWN))

    play = repair(running, "-e", json.dumps(variables))

    assert play.returncode == 2, play.output
    assert sentence in " ".join(play.output.split())
    assert unit(running)["ActiveState"] == "inactive"


@pytest.mark.parametrize(
    ("cloud", "line", "states"),
    [
        ({}, "VERIFIED: accepted 0.1 s, joined ", {"fault": 0, "inconclusive": 0}),
        ({"agent": DORMANT}, "NOT VERIFIED: no agent joined within 6 s", {"fault": 2, "inconclusive": 0}),
        (
            {"credentials": "refused"},
            "NOT KNOWN: HTTP 401; check voiceops_livekit",
            {"fault": 0, "inconclusive": 2},
        ),
    ],
    ids=["true", "false", "unknown"],
)
def test_a_verification_ends_in_one_line(
    lab: Callable[[Any], Lab],
    scenario: Callable[..., Path],
    cloud: dict[str, Any],
    line: str,
    states: dict[str, int],
) -> None:
    running = lab(scenario("verified", cloud=cloud))

    play = running.play("verify.yml")
    assert play.returncode == 0, play.output
    (shown,) = [each for each in play.output.splitlines() if "VERIFIED: " in each or "NOT KNOWN: " in each]
    assert shown.startswith(line)
    assert len(shown) <= 80

    for name, code in states.items():
        assert running.play("verify.yml", "-e", json.dumps({"voiceops_fail_on": [name]})).returncode == code


def test_a_verification_knows_who_is_no_person_and_which_room_is_meant(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    rooms = [
        {
            "name": f"session-{minutes}",
            "created_at": f"-{minutes}m",
            "participants": [{"identity": f"trainee-{minutes}", "joined_at": f"-{minutes}m"}],
        }
        for minutes in (3, 4)
    ]
    running = lab(scenario("rooms", cloud={"rooms": rooms}))

    meant = running.play("verify.yml", "-e", "voiceops_room=session-3")
    assert "the person in session-3" in meant.output, meant.output
    synthetic = running.play("verify.yml", "-e", json.dumps({"voiceops_synthetic_users": ["trainee-3", "trainee-4"]}))
    assert "\nVERIFIED: " in synthetic.output, synthetic.output
