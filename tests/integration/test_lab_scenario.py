# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: reading, checking, completing; and the journal that follows from one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.journal import entries
from lab.scenario import SCENARIOS, ScenarioError, ago, load, path_of

NOW = 1_770_417_000.0
ROOT = Path(__file__).resolve().parents[2]
LEAST = "name: some\ntitle: Some\nexpected: {verdict: healthy, state: healthy}\n"


def scenario(folder: Path, more: str = "") -> dict:
    path = folder / "some.yml"
    path.write_text(LEAST + more, encoding="utf-8")
    return load(path, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-9m", -540), ("-17m30s", -1050), ("-1d", -86400), ("-1d2h3m4.5s", -93784.5), (0, 0), ("-0s", 0)],
)
def test_a_relative_time_is_read(text, seconds):
    assert ago(text) == seconds


@pytest.mark.parametrize("text", ["9m", "-", "-9", "-9x", "-5m1h", "", "now", 1, -5, True, None])
def test_what_is_no_relative_time_is_refused(text):
    with pytest.raises(ValueError, match="expected 0 or a time ago such as -9m"):
        ago(text)


def test_a_scenario_that_names_nothing_is_a_healthy_system(tmp_path):
    filled = scenario(tmp_path)

    assert filled["cloud"]["agent"]["deployments"][0]["status"] == "Running"
    assert filled["cloud"]["agent"]["secrets"][2]["name"] == "OPENAI_API_KEY"
    assert filled["cloud"]["agent"]["secrets"][2]["updated_at"] == NOW - 3 * 86400
    assert (filled["edge"]["state"], filled["edge"]["inspector"]) == ("online", None)
    assert (filled["api"]["state"], filled["pi"]["state"]) == ("up", "up")
    assert filled["pi"]["unit"]["started_at"] == NOW - 2 * 86400
    assert filled["attempt"] == {"given": False, "at": NOW}
    listed = {name: [] for name in ("ruled_out", "confirmed", "suspected", "open")}
    assert filled["expected"] == {"verdict": "healthy", "state": "healthy", **listed, "effects": {}}


def test_defaults_fill_what_lists_and_objects_leave_out(tmp_path):
    filled = scenario(
        tmp_path,
        "cloud: {agent: null, rooms: [{name: r, created_at: -9m, participants: [{identity: p, joined_at: -8m}]}],"
        " faults: {ListAgents: {status: 503}}}\n"
        "edge: {inspector: {requests: [{at: -5m}]}}\n",
    )

    room = filled["cloud"]["rooms"][0]
    assert filled["cloud"]["agent"] is None
    assert (room["created_at"], room["dispatches"]) == (NOW - 540, [])
    assert room["participants"][0]["tracks"] == [{"type": "AUDIO", "source": "MICROPHONE", "muted": False}]
    fault = {"status": 503, "code": "internal", "msg": "internal error", "hangs": False, "after": 0, "times": None}
    assert filled["cloud"]["faults"]["ListAgents"] == fault
    assert filled["edge"]["inspector"]["requests"][0]["at"] == NOW - 300


def test_two_loads_share_nothing(tmp_path):
    scenario(tmp_path)["cloud"]["agent"]["secrets"].clear()

    assert scenario(tmp_path)["cloud"]["agent"]["secrets"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("edge: {state: gone}\n", "some.yml: edge.state: 'gone' is not one of"),
        ("attempt: {at: 9m}\n", "some.yml: attempt.at: expected 0 or a time ago such as -9m, -17m30s or -1d, got '9m'"),
        ("pi: {unit: {started_at: -1}}\n", "some.yml: pi.unit.started_at: expected 0 or a time ago"),
        ("cloud: {rooms: [{name: r}]}\n", "some.yml: cloud.rooms[0]: 'created_at' is a required property"),
        ("pie: {}\n", "some.yml: the whole file: Additional properties are not allowed ('pie' was unexpected)"),
        ("variables: {other: 1}\n", "some.yml: variables: 'other' does not match"),
        ("title: [\n", "some.yml: "),
    ],
)
def test_an_error_names_the_file_and_the_place(tmp_path, more, message):
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, more)

    assert message in str(caught.value)


def test_every_error_is_told_at_once(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, "edge: {state: gone}\napi: {state: gone}\n")

    assert len(str(caught.value).splitlines()) == 2


def test_the_name_must_be_the_files(tmp_path):
    path = tmp_path / "other.yml"
    path.write_text(LEAST, encoding="utf-8")

    with pytest.raises(ScenarioError, match="name: expected the file's name 'other', got 'some'"):
        load(path, NOW)


def test_an_unknown_scenario_names_those_there_are():
    with pytest.raises(ScenarioError, match=r"no scenario 'nope'; there are: .*incident-2026-02-06"):
        path_of("nope")


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_sets_only_variables_of_the_roles(path):
    specs = [yaml.safe_load(spec.read_text(encoding="utf-8")) for spec in ROOT.glob("roles/*/meta/argument_specs.yml")]
    known = {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}

    assert load(path, NOW)["variables"].keys() <= known


def test_list_shows_every_scenario_with_its_verdict():
    done = subprocess.run(
        [sys.executable, "-m", "lab", "list"], cwd=ROOT / "tests", capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(list(SCENARIOS.glob("*.yml")))
    assert "cloud_agent_dormant_no_wake" in done.stdout


def test_the_journal_is_in_order_on_the_pis_clock_and_lacks_what_is_older_than_its_beginning(tmp_path):
    filled = scenario(
        tmp_path,
        "attempt: {given: true, at: -5m}\n"
        "pi:\n"
        "  clock_offset: 90\n"
        "  unit: {started_at: -17m}\n"
        "  journal:\n"
        "    begins_at: -1h\n"
        "    suppressed: 12\n"
        "    entries: [{at: -1m, message: late, priority: 3}, {at: -30m, message: early}, {at: -2h, message: lost}]\n"
        "    repeat: [{from: -40m, to: -39m, every: 30, message: tick}]\n",
    )

    found = [(int(entry["__REALTIME_TIMESTAMP"]) / 1e6 - NOW - 90, entry["MESSAGE"]) for entry in entries(filled)]

    assert found == [
        (-3600, "Journal started"),
        (-2400, "tick"),
        (-2370, "tick"),
        (-2340, "tick"),
        (-1800, "early"),
        (-1020, "Started proto-trainer-next.service - Proto Trainer."),
        (-300, "Suppressed 12 messages from proto-trainer-next.service"),
        (-60, "late"),
    ]
