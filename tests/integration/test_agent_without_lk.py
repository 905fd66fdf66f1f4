# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent asked about, and restarted, from the controller alone: by choice, and while lk's host does not answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bank.cases import find
from bank.world import World

from lab.scenario import SCENARIOS

from .conftest import Lab
from .repairing import APPROVED, ASLEEP, DORMANT, acts, remediation, repair

# Only what an old lk does not tell (of deployments' names one before 2.18) makes these what they are expected to be.
OF_AN_OLD_LK = {
    "deployments-that-an-old-lk-mixes",
    "forgotten-dispatch-old-lk",
    "forgotten-dispatch-old-lk-running",
    "named-agent-old-lk-running",
    "named-agent-old-lk-sleeping",
}
QUICK = {"voiceops_agent_settle": 1, "voiceops_dispatch_deadline": 3, "voiceops_dispatch_cold_start": 2.9}
BY_API = ("-e", "voiceops_agent_via=api")
BY_LK = ("-e", "voiceops_agent_via=lk")
# What tells of the way alone, and is not to be the same.
OF_THE_WAY = ("via", "lk_version")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def about_the_agent() -> list[str]:
    """The lab's scenarios that say something of the agent, or of how LiveKit tells of it."""
    found = []
    for path in sorted(SCENARIOS.glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if (
            isinstance(content, dict)
            and {"agent", "faults", "credentials", "clock_offset"} & content.get("cloud", {}).keys()
        ):
            found.append(path.stem)
    return found


def signals(answer: dict[str, Any], layer: str) -> Any:
    """A layer's signals without the way, and with all times alike, since these are counted from now."""
    kept = {key: value for key, value in answer["evidence"][layer]["signals"].items() if key not in OF_THE_WAY}
    return json.loads(_MOMENT.sub("some time", json.dumps(kept)))


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {cause["id"]: cause["state"] for cause in answer["causes"]}


@pytest.mark.parametrize("name", about_the_agent())
def test_both_ways_give_the_same_evidence_and_the_same_verdict(name: str) -> None:
    path = SCENARIOS / f"{name}.yml"

    with World(path, lk_version="2.18.2", variables={"voiceops_agent_via": "lk"}) as world:
        by_lk = world.judged()
    with World(path, variables={"voiceops_agent_via": "api", "voiceops_lk": "no-lk-here"}) as world:
        straight = world.judged()

    assert straight["evidence"]["agent"]["signals"]["via"] in ("api", None)
    for layer in ("secrets", "agent"):
        assert signals(straight, layer) == signals(by_lk, layer)
        assert straight["evidence"][layer]["state"] == by_lk["evidence"][layer]["state"]
    assert states(straight) == states(by_lk)
    case, *_variants = find(path)
    if name not in OF_AN_OLD_LK:
        assert case.differences(straight) == []


def test_enough_scenarios_were_judged_both_ways() -> None:
    assert len(about_the_agent()) >= 60
    assert set(about_the_agent()) >= OF_AN_OLD_LK


@pytest.fixture
def mac_asleep(tmp_path: Path) -> tuple[str, str]:
    """Arguments by which lk's host is one that nobody can connect to."""
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    path = tmp_path / "asleep.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"mac": away}}}), encoding="utf-8")
    return "-i", str(path)


@pytest.fixture
def mac_hangs(tmp_path: Path) -> tuple[str, str]:
    """Arguments by which lk's host is one to which ssh neither gets through nor gives up."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexec cat\n", encoding="utf-8")
    ssh.chmod(0o755)
    hangs = {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    hosts = {"mac": hangs, "localhost": {"voiceops_deadline": 5}}
    path = tmp_path / "hangs.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    return "-i", str(path)


def hidden(running: Lab) -> list[str]:
    variables = running.facts["variables"]
    return [variables[f"voiceops_{name}"] for name in ("livekit_api_key", "livekit_api_secret")] + ["eyJ"]


@pytest.mark.parametrize("name", ["incident-2026-02-06", "agent-missing-secret", "agent-crash-loop", "healthy"])
def test_while_lks_host_is_asleep_the_verdict_is_right_all_the_same(
    lab: Callable[[Any], Lab], mac_asleep: tuple[str, str], name: str
) -> None:
    running = lab(name)

    play = running.play("diagnose.yml", *mac_asleep, "-vvv")

    assert play.returncode == 0, play.output
    case, *_variants = find(SCENARIOS / f"{name}.yml")
    assert case.differences(play.incident) == [], play.output
    for layer in ("secrets", "agent"):
        record = play.incident["evidence"][layer]
        assert record["signals"]["via"] == "api"
        assert any(limit.startswith("lk did not tell: mac could not be reached over ssh") for limit in record["limits"])
    assert [text for text in hidden(running) if text in play.output or text in json.dumps(play.incident)] == []


@pytest.mark.parametrize(
    ("host", "way", "sentence"),
    [
        ("mac_asleep", BY_LK, '"mac could not be reached over ssh: '),
        ("mac_hangs", BY_LK, '"mac did not answer in time: '),
        ("mac_hangs", (), '"lk did not tell: mac did not answer in time: '),
    ],
    ids=["asleep", "hangs", "hangs, and the API tells"],
)
def test_a_proof_ends_though_lks_host_tells_nothing_of_the_agent_after_it(
    lab: Callable[[Any], Lab], request: pytest.FixtureRequest, host: str, way: tuple[str, ...], sentence: str
) -> None:
    play = lab("incident-2026-02-06").play("verify.yml", *request.getfixturevalue(host), *way, "-v")

    assert play.returncode == 0, play.output
    assert "NOT VERIFIED: " in play.output
    assert sentence in play.output


def test_by_lk_alone_nothing_is_known_of_the_agent_while_its_host_is_asleep(
    lab: Callable[[Any], Lab], mac_asleep: tuple[str, str]
) -> None:
    play = lab("incident-2026-02-06").play("diagnose.yml", *mac_asleep, *BY_LK)

    assert play.returncode == 0, play.output
    assert play.incident["verdict"]["id"] != "cloud_agent_dormant_no_wake"
    assert play.incident["evidence"]["agent"]["state"] == "unknown"
    assert play.incident["evidence"]["agent"]["summary"].startswith("mac could not be reached over ssh")


def test_by_the_api_alone_lks_host_is_not_even_tried(lab: Callable[[Any], Lab], mac_asleep: tuple[str, str]) -> None:
    play = lab("incident-2026-02-06").play("diagnose.yml", *mac_asleep, *BY_API)

    assert play.returncode == 0, play.output
    assert play.incident["verdict"]["id"] == "cloud_agent_dormant_no_wake"
    limits = [limit for layer in ("secrets", "agent") for limit in play.incident["evidence"][layer]["limits"]]
    assert [limit for limit in limits if "mac" in limit] == []


@pytest.mark.parametrize(
    ("via", "answer", "summary"),
    [
        ("auto", "api", "missing: OPENAI_API_KEY"),
        ("api", "api", "missing: OPENAI_API_KEY"),
        ("lk", None, "not asked: the inventory has no host in the group lk_control"),
    ],
)
def test_without_such_a_host_in_the_inventory_the_controller_asks(
    lab: Callable[[Any], Lab], tmp_path: Path, via: str, answer: str | None, summary: str
) -> None:
    running = lab("agent-missing-secret")
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    known = {**running.facts["variables"], "voiceops_lk": "no-lk-here", "voiceops_agent_via": via}
    path = tmp_path / "lone.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {**local, **known}}}}), encoding="utf-8")

    play = running.play("diagnose.yml", inventory=path)

    assert play.returncode == 0, play.output
    record = play.incident["evidence"]["secrets"]
    assert (record["signals"].get("via"), record["summary"]) == (answer, summary)


@pytest.mark.parametrize("how", ["asleep", "by choice"])
@pytest.mark.parametrize(
    ("role", "agent", "version"),
    [
        ("restart_agent", DORMANT, "20260204101112"),
        (
            "rollback_agent",
            {
                "deployments": [{"status": "CrashLoop", "version": "bad"}],
                "versions": [
                    {"version": "good", "current": False, "created_at": "-3d", "deployed_at": "-3d"},
                    {"version": "bad", "current": True, "created_at": "-1d", "deployed_at": "-1d"},
                ],
            },
            "good",
        ),
    ],
)
def test_the_agent_is_changed_without_lk(
    lab: Callable[[Any], Lab],
    scenario: Callable[..., Path],
    play_role: Callable[..., Any],
    mac_asleep: tuple[str, str],
    how: str,
    role: str,
    agent: dict[str, Any],
    version: str,
) -> None:
    running = lab(scenario("changes", cloud={"agent": agent}, variables=QUICK))
    chosen = {} if how == "asleep" else {"voiceops_agent_via": "api", "voiceops_lk": "no-lk-here"}

    play, result = play_role(running, role, "mac", "-vvv", *mac_asleep, **chosen)

    assert play.returncode == 0, play.output
    assert (result["changed"], result["observed"], result["after"]["version"]) == (True, "running", version)
    assert any("LiveKit's agent API: " in step["what"] for step in result["steps"])
    assert any("could not be reached" in limit for limit in result["limits"]) is (how == "asleep")
    assert [text for text in hidden(running) if text in play.output or text in json.dumps(result)] == []


@pytest.mark.parametrize(
    ("role", "variables", "sentence"),
    [
        ("redeploy_agent", {"voiceops_agent_via": "api"}, "expected auto or lk, got api, and only lk can deploy"),
        ("redeploy_agent", {}, "mac, which has lk, could not be reached"),
        ("restart_agent", {"voiceops_agent_via": "lk"}, "mac, which has lk, could not be reached"),
        (
            "update_secrets",
            {"voiceops_agent_via": "api", "voiceops_secret_values": {"A": "value-of-a"}},
            "expected auto or lk, got api, and only lk can set secrets here",
        ),
    ],
)
def test_what_only_lk_can_do_says_so(
    lab: Callable[[Any], Lab],
    scenario: Callable[..., Path],
    play_role: Callable[..., Any],
    mac_asleep: tuple[str, str],
    role: str,
    variables: dict[str, Any],
    sentence: str,
) -> None:
    running = lab(scenario("refused", cloud={"agent": DORMANT}, variables=QUICK))

    play, result = play_role(running, role, "mac", *mac_asleep, **variables)

    assert (play.returncode, result) == (2, None), play.output
    assert sentence in " ".join(play.output.split())


def test_a_sleeping_agent_is_repaired_while_lks_host_sleeps_too(
    lab: Callable[[Any], Lab], scenario: Callable[..., Path], mac_asleep: tuple[str, str]
) -> None:
    agent = {**DORMANT, "restart_helps": True}
    running = lab(scenario("asleep", attempt=ASLEEP["attempt"], cloud={"agent": agent}, variables=QUICK))

    play = repair(running, *APPROVED, *mac_asleep)

    assert play.returncode == 0, play.output
    assert remediation(play)["verdict"] == "repaired", play.output
    assert ("restart_agent", "done") in acts(play)
