# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks replay and compare on saved incidents: offline, by the same rules and others, and with bad input."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bank.cases import find, rules
from bank.world import RULES

from ansible_collections.voiceops.livekit.plugins.module_utils.incident import write
from lab.scenario import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600
# Loaded by every Python of a run: whoever wants a connection is noted, and gets none.
NO_NETWORK = """
import os, socket
def refuse(*args, **kwargs):
    with open(os.environ["ASKED_THE_NETWORK"], "a") as file:
        print(args[1:], file=file)
    raise OSError("this run has no network")
socket.socket.connect = refuse
"""
TUNNEL_OF_404 = """
- id: my_tunnel
  layer: tunnel
  title: My own cause
  because: "The tunnel answered {{ tunnel.status }}."
  when: [tunnel.status == 404]
"""
SUPPRESSED = "[{rule: tunnel_offline, until: 2099-01-01, reason: The tunnel's host moves.}]"


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    """Incidents that the bank knows, by their scenario's name."""
    known = rules()
    names = ("tunnel-offline", "incident-2026-02-06")
    return {name: find(SCENARIOS / f"{name}.yml")[0].saved(known) for name in names}


class Project:
    """A folder of incidents and rules, and the playbooks run on it as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.artifacts = folder, folder / "my incidents"
        (folder / "site").mkdir()
        (folder / "site/sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")

    def save(self, record: dict[str, Any]) -> str:
        write(record, str(self.artifacts), {})
        return str(record["incident_id"])

    def rules(self, **files: str) -> str:
        (self.folder / "rules").mkdir()
        for name, text in files.items():
            (self.folder / "rules" / f"{name}.yml").write_text(text, encoding="utf-8")
        return str(self.folder / "rules")

    def play(self, playbook: str, **variables: Any) -> tuple[int, str]:
        """The exit code, and what was printed. Without hosts, network or programs to be found."""
        given = {"voiceops_artifacts": str(self.artifacts), "voiceops_difference_file": str(self.file), **variables}
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "/dev/null", ROOT / "playbooks" / playbook]
        done = subprocess.run(
            [*command, "-e", json.dumps(given)],
            cwd=self.folder,
            env={
                "HOME": str(self.folder),
                "LANG": os.environ.get("LANG", "C.UTF-8"),
                "PATH": "/nowhere",
                "PYTHONPATH": str(self.folder / "site"),
                "ASKED_THE_NETWORK": str(self.folder / "asked"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert not (self.folder / "asked").exists(), (self.folder / "asked").read_text(encoding="utf-8")
        return done.returncode, done.stdout

    @property
    def file(self) -> Path:
        return self.folder / "difference.json"

    def found(self) -> dict[str, Any]:
        """What the run wrote to the file that it was asked for."""
        found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def stats(output: str) -> dict[str, Any]:
    """What was handed to AWX."""
    handed: dict[str, Any] = json.loads(re.findall(r"^\s*RUN: (.*)$", output, re.MULTILINE)[0])
    return handed


def test_the_same_rules_say_the_same_without_hosts_network_or_programs(project, records):
    name = project.save(records["incident-2026-02-06"])

    code, output = project.play("replay.yml")

    assert code == 0, output
    assert f"Incident {name}" in output
    assert "SAME        The verdict" in output
    handed = stats(output)["voiceops_replay"]
    assert handed["changed"] is False
    assert handed["before"] == handed["after"]
    assert handed["after"]["verdict"] == records["incident-2026-02-06"]["verdict"]


def test_nothing_is_written_unless_that_was_asked_for(project, records):
    project.save(records["tunnel-offline"])
    there = {*project.artifacts.rglob("*")}

    code, output = project.play("replay.yml", voiceops_difference_file="")

    assert code == 0, output
    assert not project.file.exists()
    assert {*project.artifacts.rglob("*")} == there


def test_rules_of_ones_own_and_a_suppression_show_what_would_be_different(project, records):
    name = project.save(records["tunnel-offline"])
    project.save(records["incident-2026-02-06"])

    code, output = project.play(
        "replay.yml",
        voiceops_incident=name,
        voiceops_rules=project.rules(mine=TUNNEL_OF_404, suppressions=SUPPRESSED),
    )

    assert code == 0, output
    assert [line for line in output.splitlines() if line.startswith((" WAS ", " NOW "))] == [
        " WAS         ✘ The tunnel is offline",
        " NOW         ✘ My own cause",
    ]
    told = " ".join(output.split())
    assert "My own cause: no such rule → confirmed now: The tunnel answered 404." in told
    assert "NOTE Confirmed, but suppressed until 2099-01-01: The tunnel is offline. The tunnel's host moves." in told
    found = project.found()
    assert found["differs"] is True
    assert found["difference"]["verdict"]["id"] == {"before": "tunnel_offline", "after": "my_tunnel"}
    assert found["difference"]["verdict"]["remedy"]["after"] is None
    handed = stats(output)["voiceops_replay"]
    assert (handed["changed"], handed["after"]) == (True, found["after"])


def test_other_core_rules_take_the_place_of_the_collections(project, records):
    project.save(records["tunnel-offline"])
    core = project.folder / "core"
    shutil.copytree(RULES, core)
    path = core / "05-callback.yml"
    text = path.read_text(encoding="utf-8")
    assert "tunnel.error_code == 'ERR_NGROK_3200'" in text
    path.write_text(text.replace("'ERR_NGROK_3200'", "'ERR_NGROK_9999'"), encoding="utf-8")

    code, output = project.play("replay.yml", voiceops_core_rules=str(core))

    assert code == 0, output
    causes = {each["id"]: each for each in project.found()["difference"]["causes"]}
    assert (causes["tunnel_offline"]["before"], causes["tunnel_offline"]["after"]) == ("confirmed", "ruled_out")
    assert causes["tunnel_offline"]["why"]["after"].startswith("ngrok does not say that the tunnel is offline.")


def test_an_older_record_without_signals_is_judged_and_not_refused(project, records):
    old = copy.deepcopy(records["tunnel-offline"])
    old["evidence"]["tunnel"]["signals"] = {"reachable": False}
    for key in ("conflicts", "settings"):
        del old[key]
    project.save(old)

    code, output = project.play("replay.yml")

    assert code == 0, output
    after = project.found()["after"]
    assert {each["id"]: each["state"] for each in after["causes"]}["tunnel_offline"] in ("open", "suspected")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            "- {id: x, layer: agent, title: t, because: b, when: [agent.statsu == 1]}",
            "mine.yml: x: when: 'agent.statsu == 1': agent has no signal 'statsu' (did you mean 'status'?)",
        ),
        (
            "- {id: x, layer: agent, title: t, because: b, when: ['1 +']}",
            "mine.yml: x: when: '1 +': '1 +' is no Jinja2",
        ),
        ("- {id: x, layer: agent, title: t, because: b, when: [agent.status > 1]}", "mine.yml: x: 'agent.status > 1'"),
        ("{", "mine.yml: expected YAML"),
    ],
    ids=["unknown signal", "syntax", "types", "no YAML"],
)
def test_a_broken_rule_is_refused_with_its_file_its_id_and_the_error(project, records, rule, sentence):
    project.save(records["tunnel-offline"])

    code, output = project.play("replay.yml", voiceops_rules=project.rules(mine=rule))

    assert code == 2, output
    assert "The rules cannot be used:" in output
    assert sentence in " ".join(output.split())
    assert not project.file.exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"voiceops_incident": "no-such"}, "or latest; there is no 'no-such'. The newest in {artifacts}: {newest}."),
        ({"voiceops_incident": "broken.json"}, "voiceops_incident: expected JSON in broken.json"),
        ({"voiceops_rules": "/nowhere"}, "voiceops_rules: expected a folder with rules (*.yml), got /nowhere"),
        (
            {"voiceops_core_rules": "/nowhere"},
            "voiceops_core_rules: expected a folder with rules (*.yml), got /nowhere",
        ),
        ({"voiceops_core_rules": "site"}, "voiceops_core_rules: expected a folder with rules (*.yml), "),
        ({"voiceops_difference_file": "/nowhere/x"}, "voiceops_difference_file: expected a file that can be written"),
    ],
    ids=["no incident", "no JSON", "no folder", "no core folder", "no core rules", "no place to write to"],
)
def test_bad_input_is_refused_with_the_variables_name(project, records, variables, sentence):
    name = project.save(records["tunnel-offline"])
    (project.folder / "broken.json").write_text('{"schema": ', encoding="utf-8")

    code, output = project.play("replay.yml", **variables)

    assert code == 2, output
    told = sentence.format(artifacts=project.artifacts, newest=name)
    assert told in " ".join(output.split())
    fatal = next(line for line in output.splitlines() if line.startswith("fatal:"))
    assert fatal.count(told.split(":")[0]) == 1


def test_an_other_incident_left_empty_in_yaml_is_told_by_its_name(project, records):
    project.save(records["tunnel-offline"])

    code, output = project.play("compare.yml", voiceops_incident_other=None)

    assert code == 2, output
    assert "voiceops_incident_other: expected an incident's id" in output


def test_two_incidents_side_by_side(project, records):
    first, other = project.save(records["tunnel-offline"]), project.save(records["incident-2026-02-06"])

    code, output = project.play("compare.yml", voiceops_incident=first, voiceops_incident_other="latest")

    assert code == 0, output
    lines = output.splitlines()
    assert f" FIRST       {first}" in lines
    assert f" OTHER       {other}" in lines
    assert " tunnel      faulty → healthy" in lines
    assert "             · status: 404 → 405" in lines
    found = project.found()
    assert found["difference"]["verdict"]["id"] == {"before": "tunnel_offline", "after": "cloud_agent_dormant_no_wake"}
    assert found["difference"]["layers"]["agent"]["signals"]["status"] == {"before": "Running", "after": "Sleeping"}
    handed = stats(output)["voiceops_comparison"]
    assert (handed["changed"], handed["before"]["incident_id"], handed["after"]["incident_id"]) == (True, first, other)


def test_a_comparison_needs_two_incidents_that_there_are(project, records):
    project.save(records["tunnel-offline"])

    code, output = project.play("compare.yml")
    assert (code, "voiceops_incident_other" in output) == (2, True), output

    code, output = project.play("compare.yml", voiceops_incident_other="gone")
    assert (code, "voiceops_incident_other: expected an incident's id" in output) == (2, True), output
