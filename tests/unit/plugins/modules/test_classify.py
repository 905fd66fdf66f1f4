# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole module, by the JSON that it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.voiceops.livekit.plugins.modules import classify

from ...evidence import (
    ASLEEP,
    ATTEMPT,
    HEALTHY,
    NO_AGENT_CAME,
    NOT_PROBED,
    PERSON_WAITS,
    SETTINGS,
    edge_error,
    evidence,
)

RULES = str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules")


@pytest.fixture
def run(capfd):
    """Run the module and return what it prints."""

    def run(**args):
        with patch_module_args({"attempt": ATTEMPT, "rules_dir": RULES, **args}), pytest.raises(SystemExit):
            classify.main()
        return json.loads(capfd.readouterr().out)

    return run


def test_a_person_who_waits_is_the_test(run):
    result = run(
        evidence=evidence(ASLEEP, PERSON_WAITS, NOT_PROBED),
        attempt={**ATTEMPT, "source": "waiting_session"},
        settings=SETTINGS,
    )
    assert not result.get("failed")
    assert result["changed"] is False
    assert result["verdict"]["id"] == "cloud_agent_dormant_no_wake"
    assert result["verdict"]["remedy"]["command"] == "cd livekit-agent && lk agent deploy"
    assert result["evidence"]["dispatch"]["signals"]["source"] == "waiting_room"
    assert result["probe_would_help"] is False
    assert result["timeline"] == []


def test_the_second_look_at_the_agent_decides_whether_it_woke(run):
    after = evidence()["agent"]
    result = run(evidence={**evidence(ASLEEP, NO_AGENT_CAME), "agent_after": after}, settings=SETTINGS)
    assert result["verdict"]["id"] == "agent_running_not_dispatched"


def test_a_command_shows_the_name_of_a_setting_that_is_empty(run):
    asleep = evidence(ASLEEP, NO_AGENT_CAME, {"dispatch": {"agent_status_after": "Sleeping"}})
    result = run(evidence=asleep, settings={**SETTINGS, "agent_dir": ""})
    assert result["verdict"]["remedy"]["command"] == "cd <agent_dir> && lk agent deploy"


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        (edge_error("ERR_NGROK_3200", 404), "sudo systemctl start 'my ngrok'"),
        (
            {**edge_error("ERR_NGROK_8012", 502), "service": {"crash_looping": True, "active": False}},
            "sudo systemctl reset-failed proto-trainer-next && sudo systemctl start proto-trainer-next",
        ),
    ],
)
def test_what_is_to_be_done_on_this_machine_is_typed_without_ssh(run, changes, command):
    here = {"service_host": "localhost", "tunnel_host": "localhost", "tunnel_unit": "my ngrok"}
    result = run(evidence=evidence(changes), settings={**SETTINGS, **here})
    assert result["verdict"]["remedy"]["command"] == command
    result = run(evidence=evidence(changes), settings=SETTINGS)
    assert result["verdict"]["remedy"]["command"].startswith("ssh -t ")


def test_check_mode_gives_the_same(run):
    args = {"evidence": evidence(), "settings": SETTINGS}
    assert run(**args, _ansible_check_mode=True)["verdict"] == run(**args)["verdict"]


def test_without_any_evidence_it_still_answers(run):
    result = run(evidence={})
    assert result["verdict"]["state"] == "inconclusive"
    assert {cause["state"] for cause in result["causes"]} <= {"open", "suspected"}


def test_rules_of_ones_own_are_judged_too(run, tmp_path):
    (tmp_path / "00-mine.yml").write_text(
        "- {id: old_lk, layer: agent, title: Old lk, when: [agent.lk_version == '2.18.2'], because: It is old.}"
    )
    result = run(evidence=evidence(), extra_rules_dir=str(tmp_path))
    assert result["verdict"]["id"] == "old_lk"
    assert result["verdict"]["because"] == ["It is old."]


def test_broken_rules_fail_and_say_where(run, tmp_path):
    (tmp_path / "mine.yml").write_text("- {id: mine, layer: agent, title: x, when: [agent.statu == 'x'], because: x}")
    result = run(evidence=evidence(), extra_rules_dir=str(tmp_path))
    assert result["failed"]
    assert "mine.yml: mine: when: \"agent.statu == 'x'\": agent has no signal 'statu' (did you mean" in result["msg"]


def test_evidence_of_another_shape_than_ours_is_no_traceback(run):
    broken = evidence()
    broken["dispatch"]["signals"] = {**HEALTHY["dispatch"], "joined_after_s": "soon"}
    result = run(evidence=broken)
    assert result["failed"]
    assert "cloud_cold_start_slow" in result["msg"]
