# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences in the terminal: at most 80 columns, what turned first, and why."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.replay import difference, judged_again
from ansible_collections.voiceops.livekit.plugins.module_utils.report_difference import terminal
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import width
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import load

from ...evidence import ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, edge_error, saved

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
DORMANT = saved(RULES, ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, suffix="aaaa")
QUOTA = saved(RULES, edge_error("ERR_NGROK_727", 403), suffix="bbbb")
# The same incident without its dispatch, judged again: what is not known is no longer decided.
NO_DISPATCH = copy.deepcopy(DORMANT)
NO_DISPATCH["evidence"]["dispatch"]["signals"] = {}
NO_DISPATCH = judged_again(NO_DISPATCH, RULES)


def told(before: dict[str, Any], after: dict[str, Any], **how: Any) -> str:
    sides = ("was", "now") if before["incident_id"] == after["incident_id"] else ("first", "other")
    return terminal(before, after, difference(before, after), sides, **how)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(("before", "after"), [(DORMANT, QUOTA), (QUOTA, DORMANT), (DORMANT, NO_DISPATCH)])
def test_it_fits_80_columns(before: dict[str, Any], after: dict[str, Any], unicode: bool) -> None:
    hostile = copy.deepcopy(after)
    hostile["evidence"]["agent"]["signals"]["name"] = "\x1b]0;title\x07漢字" * 500
    hostile["settings"]["service_unit"] = "x" * 500
    text = told(before, hostile, unicode=unicode)
    assert [line for line in text.splitlines() if width(line) > 80] == []
    assert "\x1b" not in text
    assert unicode or text.isascii()


def test_colours_take_no_columns() -> None:
    coloured = told(DORMANT, QUOTA, colour=True)
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == told(DORMANT, QUOTA)


def test_where_nothing_differs_it_says_so_once() -> None:
    lines = told(DORMANT, judged_again(DORMANT, RULES)).splitlines()
    assert lines[0] == f" Incident {DORMANT['incident_id']}"
    assert " WAS         ✘ The agent sleeps and a new session does not wake it" in lines
    assert " NOW         ✘ The agent sleeps and a new session does not wake it" in lines
    assert lines[-2:] == [
        " SAME        The verdict, its reasons, and the state of every cause are the",
        "             same.",
    ]


def test_a_replay_tells_both_verdicts_the_remedy_what_it_needs_and_each_cause_with_its_reasons() -> None:
    text = " ".join(told(DORMANT, NO_DISPATCH).split())
    assert "WAS ✘ The agent sleeps and a new session does not wake it fault: cloud_agent_dormant_no_wake" in text
    assert "NOW ? Not decided" in text
    assert "REMEDY · was: redeploy_agent (unattended: guard): cd livekit-agent && lk agent deploy · now: none" in text
    assert "NEEDS · was: none · now: To know" in text
    assert "The agent sleeps and a new session does not wake it: confirmed → suspected · was: LiveKit Cloud" in text


def test_a_replay_tells_rules_that_are_new_or_gone() -> None:
    mine = {**RULES.rules[0], "id": "mine", "title": "Mine", "when": ["tunnel.status == 403"], "unless": []}
    quiet = {**mine, "id": "quiet", "when": ["tunnel.status == 1"]}
    core = [{**rule, "look_alikes": [], "explains": []} for rule in RULES.rules if rule["id"] != "user_missing_in_db"]
    text = " ".join(told(QUOTA, judged_again(QUOTA, RULES._replace(rules=[mine, quiet, *core]))).split())
    assert "Mine: no such rule → confirmed now:" in text
    assert "no such rule → ruled out: quiet" in text
    assert "ruled out → no such rule: user_missing_in_db" in text


def test_a_comparison_names_both_incidents_and_their_layers_signals_settings_clocks_and_conflicts() -> None:
    other = copy.deepcopy(QUOTA)
    other["settings"]["service_unit"] = "api"
    other["clocks"]["pi-hub"] = {"offset_ms": -420000, "uncertainty_ms": 200}
    other["conflicts"] = ["They disagree."]
    text = " ".join(told(DORMANT, other).split())
    assert text.startswith(f"FIRST {DORMANT['incident_id']} Attempt at 22:39 UTC; looked at 22:29 to 22:49 ✘ The agent")
    assert f"OTHER {QUOTA['incident_id']}" in text
    assert "tunnel healthy · reachable: true → false · status: 405 → 403" in text
    assert "CLOCKS pi-hub: not measured → -420000 ms, give or take 200 ms" in text
    assert "SETTINGS service_unit: proto-trainer-next → api" in text
    assert "CONFLICTS other: They disagree." in text


def test_a_comparison_tells_why_only_of_what_is_confirmed_on_a_side() -> None:
    text = " ".join(told(DORMANT, QUOTA).split())
    assert "The tunnel's quota is used up: ruled out → confirmed · first:" in text
    open_ones = [
        each
        for each in difference(DORMANT, QUOTA)["causes"]
        if {each["before"], each["after"]} == {"open", "ruled_out"}
    ]
    assert open_ones
    assert [each["id"] for each in open_ones if each["title"] in text] == []
    assert [each["id"] for each in open_ones if each["id"] not in text] == []


def test_of_many_signals_the_first_are_told_times_last_and_the_others_counted() -> None:
    other = copy.deepcopy(DORMANT)
    service = other["evidence"]["service"]["signals"]
    service.update(started_at="2026-02-06T20:00:00.000Z", callbacks=7)
    text = " ".join(told(DORMANT, other).split())
    assert re.search(r"service healthy · callbacks: 0 → 7 · started_at: .* → 2026-02-06 20:00:00 UTC$", text)
    service.update({f"new_{number}": number for number in range(20)})
    text = " ".join(told(DORMANT, other).split())
    assert "new_10: unknown → 10 · 10 more; voiceops_difference_file names a file for all" in text
    assert "new_11:" not in text


def test_notes_and_the_file_come_last() -> None:
    lines = told(DORMANT, QUOTA, notes=["Suppressed."], where="/tmp/x.json").splitlines()
    assert lines[-2:] == [" NOTE        Suppressed.", " FILE        /tmp/x.json"]
