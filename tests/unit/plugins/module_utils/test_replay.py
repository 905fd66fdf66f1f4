# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved incident is judged again as it was, or as other rules have it, and the differences of two are told."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.replay import difference, judged_again
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import load

from ...evidence import ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, edge_error, saved

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
TUNNEL_QUOTA = saved(RULES, edge_error("ERR_NGROK_727", 403))
DORMANT = saved(RULES, ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP)
NOTHING: dict[str, Any] = {
    "verdict": {},
    "causes": [],
    "conflicts": {},
    "layers": {},
    "settings": {},
    "clocks": {},
}


def suppressed(until: str) -> Any:
    reason = "The new plan begins in March."
    return RULES._replace(suppressions=[{"rule": "tunnel_quota", "until": until, "reason": reason}])


def cause(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = (each for each in found["causes"] if each["id"] == name)
    return one


@pytest.mark.parametrize("record", [TUNNEL_QUOTA, DORMANT], ids=lambda record: record["verdict"]["id"])
def test_the_same_rules_change_nothing(record: dict[str, Any]) -> None:
    assert difference(record, judged_again(record, RULES)) == NOTHING


def test_an_older_record_without_the_newer_keys_differs_in_nothing() -> None:
    old = copy.deepcopy(TUNNEL_QUOTA)
    del old["conflicts"]
    for key in ("certainty", "also", "advice"):
        del old["verdict"][key]
    assert difference(old, judged_again(old, RULES)) == NOTHING


def test_a_remedy_of_an_older_record_is_compared_by_what_it_tells() -> None:
    old = copy.deepcopy(DORMANT)
    del old["verdict"]["remedy"]["unattended"]
    assert difference(old, DORMANT) == difference(DORMANT, old) == NOTHING
    old["verdict"]["remedy"]["automatic"] = False
    assert list(difference(old, DORMANT)["verdict"]) == ["remedy"]


@pytest.mark.parametrize("layer", LAYERS)
def test_signals_that_a_record_lacks_are_unknown(layer: str) -> None:
    lacking, unknown = copy.deepcopy(DORMANT), copy.deepcopy(DORMANT)
    lacking["evidence"][layer]["signals"] = {}
    unknown["evidence"][layer]["signals"] = dict.fromkeys(DORMANT["evidence"][layer]["signals"])
    found = [judged_again(each, RULES) for each in (lacking, unknown)]
    assert found[0]["causes"] == found[1]["causes"]
    assert found[0]["causes"] != DORMANT["causes"]


def test_a_record_without_settings_names_in_commands_what_it_lacks() -> None:
    assert DORMANT["verdict"]["remedy"]["command"].startswith("cd livekit-agent &&")
    old = {name: value for name, value in DORMANT.items() if name != "settings"}
    assert judged_again(old, RULES)["verdict"]["remedy"]["command"].startswith("cd <agent_dir> &&")


def test_a_suppression_counts_on_its_last_day_by_the_date_of_the_incident() -> None:
    now = judged_again(TUNNEL_QUOTA, suppressed("2026-02-06"))
    assert now["verdict"]["id"] != "tunnel_quota"
    assert now["suppressed"][0].endswith("The new plan begins in March.")
    found = difference(TUNNEL_QUOTA, now)
    assert found["verdict"]["id"] == {"before": "tunnel_quota", "after": now["verdict"]["id"]}


def test_a_suppression_that_ended_before_the_incident_is_told_and_changes_nothing() -> None:
    now = judged_again(TUNNEL_QUOTA, suppressed("2026-02-05"))
    assert difference(TUNNEL_QUOTA, now) == NOTHING
    assert "ended on 2026-02-05" in now["suppressed"][0]


def test_a_cause_whose_state_changed_tells_why_on_both_sides() -> None:
    changed = copy.deepcopy(TUNNEL_QUOTA)
    changed["evidence"]["tunnel"]["signals"].update(error_code=None)
    one = cause(difference(TUNNEL_QUOTA, judged_again(changed, RULES)), "tunnel_quota")
    assert (one["before"], one["after"]) == ("confirmed", "open")
    assert one["title"] == "The tunnel's quota is used up"
    assert "ERR_NGROK_727" in one["why"]["before"]
    assert one["why"]["after"].startswith("To know tunnel.error_code")


def test_a_new_rule_and_one_that_is_gone_are_causes_without_a_state_on_a_side() -> None:
    mine = {**RULES.rules[0], "id": "mine", "title": "Mine", "when": ["tunnel.status == 403"], "unless": []}
    without = [rule for rule in RULES.rules if rule["id"] != "user_missing_in_db"]
    now = judged_again(TUNNEL_QUOTA, RULES._replace(rules=[mine, *without]))
    found = difference(TUNNEL_QUOTA, now)
    assert [(each["id"], each["before"], each["after"]) for each in found["causes"]] == [
        ("mine", None, "confirmed"),
        ("user_missing_in_db", "ruled_out", None),
    ]
    assert cause(found, "mine")["why"]["before"] is None
    assert cause(found, "user_missing_in_db")["why"]["after"] is None


def test_what_a_rule_says_is_masked_as_in_a_record() -> None:
    loud = {**RULES.rules[0], "id": "loud", "when": ["tunnel.status == 403"], "unless": []}
    loud["because"] = ["It was started with INTERNAL_SERVICE_KEY=hunter2-hunter2 today."]
    now = judged_again(TUNNEL_QUOTA, RULES._replace(rules=[loud, *RULES.rules]))
    assert now["verdict"]["because"] == ["It was started with INTERNAL_SERVICE_KEY=[redacted] today."]


def test_layers_settings_clocks_and_conflicts_of_two_incidents_are_compared() -> None:
    other = copy.deepcopy(TUNNEL_QUOTA)
    other["evidence"]["tunnel"]["state"] = "faulty"
    other["evidence"]["tunnel"]["signals"]["status"] = 404
    other["evidence"]["agent"]["signals"]["status"] = None
    del other["evidence"]["client"]["signals"]["room"]  # unknown in both
    other["settings"]["service_unit"] = "api"
    other["clocks"]["pi-hub"] = {"offset_ms": 420000, "uncertainty_ms": 200}
    other["conflicts"] = ["They disagree."]
    assert difference(TUNNEL_QUOTA, other) == {
        **NOTHING,
        "layers": {
            "tunnel": {
                "state": {"before": "healthy", "after": "faulty"},
                "signals": {"status": {"before": 403, "after": 404}},
            },
            "agent": {
                "state": {"before": "healthy", "after": "healthy"},
                "signals": {"status": {"before": "Running", "after": None}},
            },
        },
        "settings": {"service_unit": {"before": "proto-trainer-next", "after": "api"}},
        "clocks": {"pi-hub": {"before": None, "after": {"offset_ms": 420000, "uncertainty_ms": 200}}},
        "conflicts": {"before": [], "after": ["They disagree."]},
    }
