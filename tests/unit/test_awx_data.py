# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles/awx/vars/main.yml sets up holds together, as far as that can be told without AWX."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ansible_collections.voiceops.livekit.plugins.filter.survey import survey

PROJECT = Path(__file__).resolve().parents[2]
LOADER = DataLoader()
OBJECTS = [
    next(iter(item.items())) for item in LOADER.load_from_file(str(PROJECT / "roles/awx/vars/main.yml"))["awx_objects"]
]
DEFAULTS = LOADER.load_from_file(str(PROJECT / "roles/awx/defaults/main.yml"))
TEMPLATES = {options["name"]: options for kind, options in OBJECTS if kind == "job_template"}
SURVEYED = [options for options in TEMPLATES.values() if "survey" in options]
MESSAGES = next(options["messages"] for kind, options in OBJECTS if kind == "notification_template")
JOB = {"id": 42, "name": "voiceops diagnose", "artifacts": {}}
FOUND = {"voiceops_verdict": 'a "dormant" agent', "voiceops_action": "redeploy_agent", "voiceops_incident_id": "an-id"}
PAGE = "https://awx.example.org/#/jobs/42"


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [options for one, options in OBJECTS if one == kind]


def documented(role: str) -> dict[str, Any]:
    path = PROJECT / "roles" / role / "meta/argument_specs.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return found


def rendered(body: str, artifacts: dict[str, str]) -> str:
    """What AWX 24.6 makes of a message: sandboxed, and strict, as when it accepts a notification template."""
    text = (
        ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
        .from_string(body)
        .render(job={**JOB, "artifacts": artifacts}, url=PAGE, workflow_url=PAGE)
    )
    told: str = json.loads(text)["text"]
    return told


@pytest.mark.parametrize("template", SURVEYED, ids=lambda template: template["name"])
def test_every_question_is_about_a_variable_that_the_roles_document(template: dict[str, Any]) -> None:
    options = {name: option for role in template["survey"]["roles"] for name, option in documented(role).items()}
    questions = survey(options, template["survey"]["questions"])["spec"]
    assert [question["variable"] for question in questions] == list(template["survey"]["questions"])
    # What must be answered would have to stand in every schedule and node, too.
    assert not any(question["required"] for question in questions)


@pytest.mark.parametrize("template", SURVEYED, ids=lambda template: template["name"])
def test_the_roles_of_a_survey_are_those_of_the_playbook(template: dict[str, Any]) -> None:
    def roles(playbook: Path) -> set[str]:
        plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
        taken = {
            role
            for play in plays
            if "ansible.builtin.import_playbook" in play
            for role in roles(playbook.parent / play["ansible.builtin.import_playbook"])
        }
        steps = [task for play in plays for task in play.get("tasks", [])]
        return taken | {step["ansible.builtin.import_role"]["name"].removeprefix("voiceops.livekit.") for step in steps}

    # The diagnosis takes the report in by itself.
    assert set(template["survey"]["roles"]) <= roles(PROJECT / template["playbook"]) | {"report"}


def test_no_template_runs_twice_at_a_time() -> None:
    every = [*of_kind("job_template"), *of_kind("workflow_job_template")]
    assert len(every) > 1
    assert all(template["allow_simultaneous"] is False for template in every)


def test_what_a_node_or_a_schedule_runs_and_leads_to_is_there_before_it() -> None:
    there: set[str] = set()
    nodes: set[str] = set()
    for _kind, options in OBJECTS:
        assert options.get("unified_job_template", "") in {"", *there}
        for edge in ("success_nodes", "failure_nodes", "always_nodes"):
            assert set(options.get(edge, [])) <= nodes
        there.add(options.get("name", ""))
        nodes.add(options.get("identifier", ""))


def test_an_approval_runs_out_before_the_incident_is_too_old_to_be_repaired() -> None:
    minutes = documented("remediation")["voiceops_repair_max_age"]["default"]
    assert DEFAULTS["awx_approval_timeout"] < int(minutes.removesuffix("m")) * 60


def test_rules_have_an_interval_and_a_time_zone_that_exists() -> None:
    for schedule in of_kind("schedule"):
        start, _space, rule = schedule["rrule"].replace("{{ awx_time_zone }}", DEFAULTS["awx_time_zone"]).partition(" ")
        zone, _colon, moment = start.removeprefix("DTSTART;TZID=").partition(":")
        assert datetime.datetime.strptime(moment, "%Y%m%dT%H%M%S").replace(tzinfo=ZoneInfo(zone))
        assert rule.startswith("RRULE:FREQ=")
        assert "INTERVAL=" in rule


def test_secrets_stand_in_credentials_and_nowhere_else() -> None:
    for kind, options in OBJECTS:
        if kind == "credential_type":
            secret = {field["id"] for field in options["inputs"]["fields"] if field.get("secret")}
            assert secret == {field["id"] for field in options["inputs"]["fields"]} - {"url"}
        elif kind == "credential":
            # Else a second run would write them again, and always be changed.
            assert options["update_secrets"] is False
            assert all("ansible.builtin.env" in value for value in options["inputs"].values())
        else:
            assert "secret" not in json.dumps(options.get("extra_data", {}))


@pytest.mark.parametrize("event", ["started", "success", "error"])
@pytest.mark.parametrize("artifacts", [{}, FOUND], ids=["nothing found", "something found"])
def test_what_is_told_of_a_job_is_json_whatever_was_found(event: str, artifacts: dict[str, str]) -> None:
    told = rendered(MESSAGES[event]["body"], artifacts)
    assert told.startswith("voiceops diagnose #42")
    assert PAGE in told
    if event != "started":
        assert artifacts.get("voiceops_verdict", "verdict none") in told


@pytest.mark.parametrize("event", ["running", "approved", "timed_out", "denied"])
def test_what_is_told_of_an_approval_is_json(event: str) -> None:
    assert PAGE in rendered(MESSAGES["workflow_approval"][event]["body"], {})
