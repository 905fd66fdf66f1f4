# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary as a scheduler runs it: the real playbook against the lab, through a good day and several bad ones."""

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
from unit.exposition import lint, parse, value

from ansible_collections.voiceops.livekit.plugins.module_utils import lock

from .conftest import ROOT, Lab, Play
from .repairing import DORMANT

PERSON = {"identity": "trainee-3", "joined_at": "-3m"}
AGENT = {"identity": "agent-1", "kind": "AGENT", "joined_at": "-3m"}
SERVED = {"name": "session-40", "created_at": "-3m", "participants": [PERSON, AGENT], "dispatches": []}
WAITS = {**SERVED, "participants": [PERSON]}
# What has to pass between two tests of one outage is no matter of these tests.
AT_ONCE = ("-e", "voiceops_canary_retry=0s")


def canary(running: Lab, *arguments: str, **others: Any) -> Play:
    play = running.play("canary.yml", *arguments, ANSIBLE_SHOW_CUSTOM_STATS="1", **others)
    assert "Traceback" not in play.output
    return play


def handed_on(play: Play) -> dict[str, Any]:
    """What AWX would keep as the job's artifacts."""
    found: dict[str, Any] = json.loads(play.output.partition("RUN: ")[2].splitlines()[0])
    return found


def lines(play: Play) -> list[dict[str, Any]]:
    """The history, each line by itself."""
    (path,) = (play.artifacts / "state").glob("*.canary.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told(play: Play) -> str:
    """What the run says of itself, on one line."""
    ending = play.output[play.output.index("\nCANARY ") :].partition("\n\n")[0]
    assert max(map(len, ending.splitlines())) <= 80
    return " ".join(ending.split())


def incidents(play: Play) -> list[str]:
    return sorted(path.parent.name for path in play.artifacts.glob("2*/incident.json"))


def locks(play: Play) -> list[str]:
    return [path.name for path in (play.artifacts / "state").glob("*.lock")]


def test_a_healthy_system_is_tried_once_and_then_looked_at(lab: Callable[[Any], Lab]) -> None:
    running = lab("healthy")

    first = canary(running)
    assert first.returncode == 0, first.output
    assert handed_on(first) == {"voiceops_canary": "healthy", "voiceops_canary_failing": []}
    assert "an agent joined after " in told(first)
    second = canary(running)
    assert second.returncode == 0, second.output
    assert told(second).startswith(
        "CANARY healthy well: client, tunnel, secrets, callback, agent no dispatch was tried:"
    )

    before, after = lines(second)
    assert before["layers"] == dict.fromkeys(
        ["client", "tunnel", "secrets", "callback", "agent", "dispatch"], "healthy"
    )
    assert (before["test"]["outcome"], before["test"]["start"]) == ("joined", "warm")
    assert (after["test"], "dispatch" in after["layers"]) == (None, False)
    (metrics,) = (second.artifacts / "canary").glob("*.prom")
    found = parse(metrics.read_text(encoding="utf-8"))
    assert lint(found) == []
    assert value(found, "voiceops_canary_runs_total", state="healthy") == 2
    assert value(found, "voiceops_canary_probes_total", outcome="joined") == 1
    assert value(found, "voiceops_canary_last_join_duration_seconds") == before["test"]["joined_after_s"]
    assert metrics.stat().st_mode & 0o777 == 0o644
    (page,) = (second.artifacts / "canary").glob("*.html")
    assert "A voice session gets its agent" in page.read_text(encoding="utf-8")
    assert (incidents(second), locks(second)) == ([], [])
    assert "changed=1" not in second.output


def test_it_is_the_same_where_the_controller_lets_hosts_run_ahead(lab: Callable[[Any], Lab]) -> None:
    play = canary(lab("healthy"), ANSIBLE_STRATEGY="free")

    assert told(play).startswith("CANARY healthy well: client, tunnel, secrets, callback, agent")


@pytest.mark.parametrize(
    ("via", "asked"),
    [
        ("auto", "client, tunnel, secrets, callback, agent"),
        ("api", "client, tunnel, secrets, callback, agent"),
        ("lk", "client, tunnel, callback"),
    ],
)
def test_without_a_host_for_lk_the_controller_asks_for_the_agent(
    lab: Callable[[Any], Lab], tmp_path: Path, via: str, asked: str
) -> None:
    running = lab("healthy")
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    known = {**running.facts["variables"], "voiceops_lk": "no-lk-here", "voiceops_agent_via": via}
    path = tmp_path / "lone.yml"
    path.write_text(json.dumps({"all": {"hosts": {"localhost": {**local, **known}}}}), encoding="utf-8")

    play = canary(running, inventory=path)

    assert told(play).startswith(f"CANARY healthy well: {asked}, dispatch an agent joined"), play.output


def test_an_agent_that_does_not_wake_opens_one_incident(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(scenario("dormant", cloud={"agent": DORMANT}))

    first = canary(running, *AT_ONCE)
    assert handed_on(first) == {"voiceops_canary": "fault", "voiceops_canary_failing": ["dispatch"]}
    assert incidents(first) == []
    second = canary(running, *AT_ONCE)
    third = canary(running, *AT_ONCE, "-e", '{"voiceops_fail_on": ["fault"]}')

    assert [play.returncode for play in (first, second, third)] == [0, 0, 2], third.output
    (identity,) = incidents(third)
    assert second.incident["verdict"]["id"] == "cloud_agent_dormant_no_wake", second.output
    assert handed_on(second)["voiceops_incident_id"] == identity
    assert handed_on(second)["voiceops_verdict"] == "cloud_agent_dormant_no_wake"
    # The diagnosis takes the canary's own test; it makes no other.
    assert second.output.count("TASK [voiceops.livekit.dispatch : 7. Dispatch - does an agent join a room now?]") == 1
    assert [line.get("opened", line.get("failures")) for line in lines(third)] == [1, 2, identity, 3]
    (page,) = (third.artifacts / "canary").glob("*.html")
    assert f'href="../{identity}/incident.html"' in page.read_text(encoding="utf-8")
    assert "The canary found fault, and voiceops_fail_on names that." in " ".join(third.output.split())
    assert locks(third) == []


@pytest.mark.parametrize(
    ("room", "outcome", "state"), [(SERVED, "joined", "healthy"), (WAITS, "failed", "fault")], ids=["served", "waiting"]
)
def test_people_in_a_session_are_not_disturbed_and_are_a_test_themselves(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path], room: dict[str, Any], outcome: str, state: str
) -> None:
    play = canary(lab(scenario("session", cloud={"rooms": [room]})))

    assert play.returncode == 0, play.output
    (line,) = lines(play)
    assert (line["sessions"], line["state"]) == (1, state), play.output
    assert (line["test"]["source"], line["test"]["outcome"]) == ("person", outcome)
    assert "Try a dispatch" not in play.output
    # The callback's windows alone are ours.
    assert "dispatch probe" not in (play.artifacts / "probes.json").read_text(encoding="utf-8")


@pytest.fixture
def asleep(tmp_path: Path) -> str:
    """An inventory beside the lab's, whose Mac does not answer."""
    path = tmp_path / "asleep.yml"
    mac = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    path.write_text(json.dumps({"lk_control": {"hosts": {"mac": mac}}}), encoding="utf-8")
    return str(path)


def test_a_host_that_sleeps_leaves_its_layers_unknown_which_is_no_failure(
    lab: Callable[[Any], Lab], asleep: str
) -> None:
    running = lab("healthy")

    plays = [canary(running, "-i", asleep, "-e", "voiceops_agent_via=lk") for _time in range(2)]

    assert [handed_on(play)["voiceops_canary"] for play in plays] == ["inconclusive", "inconclusive"]
    assert "agent: mac could not be reached over ssh: " in told(plays[0])
    assert "secrets: mac could not be reached over ssh: " in told(plays[0])
    assert [line["failures"] for line in lines(plays[1])] == [0, 0]
    assert lines(plays[0])[0]["test"]["start"] is None
    assert incidents(plays[1]) == []


def test_while_the_mac_sleeps_livekit_itself_tells_of_the_agent(lab: Callable[[Any], Lab], asleep: str) -> None:
    play = canary(lab("healthy"), "-i", asleep)

    assert handed_on(play) == {"voiceops_canary": "healthy", "voiceops_canary_failing": []}
    assert "could not be reached" not in told(play)


def test_an_offline_tunnel_opens_an_incident_without_a_second_dispatch_and_no_secret_is_told(
    lab: Callable[[Any], Lab],
) -> None:
    running = lab("tunnel-offline")

    plays = [canary(running, "-vvvv") for _time in range(3)]

    assert [play.output.count("TASK [Try a dispatch]") for play in plays] == [1, 0, 0]
    assert len(incidents(plays[2])) == 1
    assert plays[2].incident["verdict"]["id"] == "tunnel_offline"
    assert handed_on(plays[2]) == {"voiceops_canary": "fault", "voiceops_canary_failing": ["tunnel", "callback"]}
    values = running.facts["variables"]
    kept = [path.read_text(encoding="utf-8") for path in plays[2].artifacts.rglob("*") if path.is_file()]
    assert len(kept) > 5
    for name in ("voiceops_livekit_api_secret", "voiceops_callback_key"):
        assert len(values[name]) > 8
        assert not [text for text in (*kept, *(play.output for play in plays)) if values[name] in text], name


def test_a_cold_start_is_measured_as_one(lab: Callable[[Any], Lab]) -> None:
    play = canary(lab("cold-start-slow"), "-e", "voiceops_canary_keep_warm=true")

    assert handed_on(play)["voiceops_canary"] == "healthy", play.output
    (line,) = lines(play)
    assert line["test"]["start"] == "cold"
    assert line["test"]["joined_after_s"] > 3
    assert line["test"]["agent_minutes"] == 1
    (page,) = (play.artifacts / "canary").glob("*.html")
    assert "The agent is kept warm" in page.read_text(encoding="utf-8")


def test_while_a_repair_is_at_work_no_dispatch_is_tried(lab: Callable[[Any], Lab]) -> None:
    running = lab("healthy")
    agent = f"{running.facts['variables']['voiceops_livekit_url'].partition('//')[2]}/automatic"
    folder = running.scratch / "artifacts" / "state"
    assert lock.take(folder, agent, lock.holder("repair-1", os.getpid(), time.time()), time.time()).ours

    play = canary(running)

    assert play.returncode == 0, play.output
    assert "no dispatch was tried: Run repair-1 of " in told(play)
    assert lines(play)[0]["state"] == "inconclusive"
    assert len(locks(play)) == 1


def test_where_nothing_can_be_kept_no_dispatch_is_tried_and_the_run_says_so(lab: Callable[[Any], Lab]) -> None:
    running = lab("healthy")
    (running.scratch / "file").write_text("", encoding="utf-8")

    play = canary(running, "-e", json.dumps({"voiceops_state_dir": str(running.scratch / "file" / "state")}))

    assert play.returncode == 2, play.output
    assert "voiceops_state_dir: expected a folder that can be written to" in " ".join(play.output.split())
    assert "well: client, tunnel, secrets, callback, agent" in told(play)
    assert "Try a dispatch" not in play.output
    assert handed_on(play)["voiceops_canary"] == "inconclusive"


def test_metrics_and_page_that_cannot_be_written_are_told_and_cost_nothing_else(lab: Callable[[Any], Lab]) -> None:
    running = lab("healthy")
    (running.scratch / "file").write_text("", encoding="utf-8")

    play = canary(running, "-e", json.dumps({"voiceops_canary_metrics_dir": str(running.scratch / "file")}))

    assert play.returncode == 0, play.output
    assert "voiceops_canary_metrics_dir: expected a folder that can be written to" in " ".join(play.output.split())
    assert lines(play)[0]["state"] == "healthy"
    assert list((play.artifacts / "canary").glob("*.html"))


def test_a_damaged_state_and_a_torn_history_do_not_stop_it(lab: Callable[[Any], Lab]) -> None:
    running = lab("healthy")
    first = canary(running)
    (state,) = (first.artifacts / "state").glob("*.canary.json")
    (history,) = (first.artifacts / "state").glob("*.canary.jsonl")
    state.write_text('{"test": ', encoding="utf-8")
    history.write_bytes(history.read_bytes() + b'{"at":"2026-')

    play = canary(running)

    assert play.returncode == 0, play.output
    assert "The canary's state was damaged and is now" in " ".join(play.output.split())
    assert "no dispatch was tried: the next is due at" in told(play)
    assert state.with_suffix(".damaged").read_text(encoding="utf-8") == '{"test": '
    text = history.read_text(encoding="utf-8").splitlines()
    assert [json.loads(text[number])["state"] for number in (0, 2)] == ["healthy", "inconclusive"]
    (page,) = (play.artifacts / "canary").glob("*.html")
    assert "Lines of the history that could not be read: 1." in page.read_text(encoding="utf-8")


def test_check_mode_keeps_nothing_and_tries_nothing(lab: Callable[[Any], Lab]) -> None:
    play = canary(lab("healthy"), "--check")

    assert play.returncode == 0, play.output
    assert "no dispatch was tried: check mode changes nothing" in told(play)
    assert not play.artifacts.exists()


@pytest.mark.parametrize("variable", ["voiceops_canary_interval", "voiceops_canary_retry"])
def test_a_bad_duration_is_named_and_nothing_is_kept(lab: Callable[[Any], Lab], variable: str) -> None:
    play = canary(lab("healthy"), "-e", f"{variable}=soon")

    assert play.returncode == 2, play.output
    assert f"{variable}: expected a duration such as 6h, 10m or 90s, got 'soon'" in " ".join(play.output.split())
    assert not play.artifacts.exists()


def begin(running: Lab, artifacts: Path) -> subprocess.Popen[bytes]:
    """Start a canary, and return once its state says that a probe is about to be made."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", ROOT / "inventory" / "lab"]
    given = json.dumps({"voiceops_artifacts": str(artifacts), "voiceops_dispatch_deadline": 120})
    started = subprocess.Popen(
        [*command, ROOT / "playbooks" / "canary.yml", "-e", given],
        cwd=ROOT,
        env={**os.environ, "VOICEOPS_LAB_DIR": str(running.directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 300
    while not any('"started"' in path.read_text(encoding="utf-8") for path in artifacts.glob("state/*.canary.json")):
        assert time.monotonic() < end, "the probe did not begin"
        assert started.poll() is None, "the run ended before it began"
        time.sleep(0.1)
    return started


def test_two_at_once_and_one_that_is_killed_during_its_probe(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path]
) -> None:
    running = lab(scenario("dormant", cloud={"agent": DORMANT}))
    first = begin(running, running.scratch / "artifacts")
    try:
        second = canary(running)
        assert second.returncode == 0, second.output
        assert handed_on(second) == {"voiceops_canary": "busy", "voiceops_canary_failing": []}
        assert f"(pid {first.pid}, since" in told(second)
        assert not list((second.artifacts / "state").glob("*.jsonl"))
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()

    third = canary(running, *AT_ONCE)
    assert third.returncode == 0, third.output
    assert "The lock was taken over from run" in " ".join(third.output.split())
    assert "Try a dispatch" not in third.output
    assert (lines(third)[0]["test"], locks(third)) == (None, [])
