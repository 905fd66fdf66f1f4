# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for which diagnosis, what may be done of it, and what counts as a proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import remediation
from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.remediation import Start
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import load

from ...evidence import ASLEEP, CONTEXT, NO_AGENT_CAME, NOT_PROBED, STAYS_ASLEEP, edge_error, evidence, logged

RULES = load(str(Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"))
HOSTS = {"lk_control": "mac", "voice_service": "pi-hub", "voice_tunnel": "mac"}
DOWN = {
    "service": {"active": False, "active_state": "inactive", "sub_state": "dead", "port_open": False},
    **edge_error("ERR_NGROK_8012", 502),
}
QUOTA = edge_error("ERR_NGROK_727", 403)
OFFLINE = edge_error("ERR_NGROK_3200", 404)
LACKS = {"secrets": {"missing": ["OPENAI_API_KEY"]}, **NO_AGENT_CAME}


def diagnosed(*changes: dict[str, Any]) -> dict[str, Any]:
    records = evidence(*changes)
    return {"incident_id": "now", "evidence": records, **CONTEXT, **classify(records, RULES, CONTEXT)}


DORMANT = diagnosed(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP)
HEALTHY_NOW = diagnosed()


def begin(incident: dict[str, Any] = DORMANT, **start: Any) -> dict[str, Any]:
    return remediation.begin(incident, RULES, Start("run", **{"hosts": HOSTS, "approved": True, **start}))


def after_acts(*remedies: str, incident: dict[str, Any] = DORMANT) -> dict[str, Any]:
    found = begin(incident)
    for remedy in remedies:
        found = remediation.step(found, at="t", what="w", remedy=remedy, outcome="started")
        found = remediation.acted(found, remedy, "done", 1.0, ["line"])
    return found


def ending(found: dict[str, Any], judged: dict[str, Any], *, last: bool = True) -> dict[str, Any]:
    return remediation.verified(found, remediation.proof(found, judged), last=last)


def test_the_smallest_remedy_comes_first() -> None:
    found = begin()
    assert (found["verdict"], found["cause"]) == (None, "cloud_agent_dormant_no_wake")
    assert [(each["remedy"], each["host"]) for each in found["plan"]] == [
        ("redispatch", "localhost"),
        ("restart_agent", "mac"),
        ("redeploy_agent", "mac"),
    ]
    assert (found["before"]["joined"], found["before"]["cause"]) == (False, "confirmed")


def test_a_remedy_of_one_step_gets_its_options_and_its_host() -> None:
    (only,) = begin(diagnosed(DOWN), approved=False)["plan"]
    assert (only["remedy"], only["role"], only["host"]) == ("start_service", "systemd_unit", "pi-hub")
    assert only["options"] == {"systemd_unit_name": "proto-trainer-next", "systemd_unit_state": "started"}
    assert (only["permitted"], only["cuts_sessions"]) == (True, False)


@pytest.mark.parametrize(
    ("incident", "start", "verdict", "told"),
    [
        (HEALTHY_NOW, {}, "not_needed", "finds no fault"),
        (diagnosed(ASLEEP, NOT_PROBED), {}, "needs_human", "a suspected one is never acted on"),
        (diagnosed(QUOTA), {}, "needs_human", "Only a person can repair this: Wait until the quota"),
        (DORMANT, {"hosts": {}}, "blocked", "restart_agent runs on a host of lk_control, and the inventory has none"),
        (DORMANT, {"left_out": {"mac"}}, "blocked", "restart_agent runs on mac, which this run leaves out (--limit)"),
        (DORMANT, {"check_mode": True}, "planned", "nothing was done"),
        (DORMANT, {"approved": False}, "needs_approval", "restart_agent needs approval: -e voiceops_approve=true, or"),
        (DORMANT, {"approved": False, "allowed": ["redeploy_agent"]}, "needs_approval", "restart_agent needs"),
        (
            DORMANT,
            {"based_on": {**diagnosed(DOWN), "incident_id": "old"}},
            "blocked",
            "Incident old found service_down, but a fresh diagnosis finds cloud_agent_dormant_no_wake",
        ),
        (HEALTHY_NOW, {"based_on": {**DORMANT, "incident_id": "old"}}, "not_needed", "finds no fault"),
    ],
    ids=[
        "healthy",
        "suspected",
        "no remedy",
        "no host",
        "left out",
        "check",
        "not approved",
        "partly",
        "another cause",
        "gone",
    ],
)
def test_when_nothing_is_done(incident: dict[str, Any], start: dict[str, Any], verdict: str, told: str) -> None:
    found = begin(incident, **start)
    assert found["verdict"] == verdict
    assert told in " ".join(found["because"])


def test_a_remedy_that_was_allowed_by_name_needs_no_approval() -> None:
    found = begin(approved=False, allowed=["restart_agent"])
    assert found["verdict"] is None
    assert [each["permitted"] for each in found["plan"]] == [True, True, False]


def test_an_earlier_incident_of_the_same_cause_is_gone_on_with() -> None:
    found = begin(based_on={**DORMANT, "incident_id": "old"})
    assert (found["verdict"], found["based_on"]) == (None, "old")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": {"agent_id": "CA_other"}}, "its voiceops_agent_id is CA_other, and now it is CA_lab000000001"),
        ({"evidence": evidence({"client": {"asked_project": "theirs"}})}, "its project is theirs, and now it is ours"),
    ],
)
def test_an_earlier_incident_of_another_agent_is_not_repaired_on_this_one(changes: dict[str, Any], told: str) -> None:
    ours = diagnosed(ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP, {"client": {"asked_project": "ours"}})
    found = begin(ours, based_on={**DORMANT, "incident_id": "old", **changes})
    assert (found["verdict"], found["plan"]) == ("blocked", [])
    assert f"Incident old is of another agent: {told}." in found["because"][0]


def test_an_ending_is_not_changed_any_more() -> None:
    found = remediation.close(begin(HEALTHY_NOW), "broken", "later")
    assert (found["verdict"], "later" in found["because"]) == ("not_needed", False)


@pytest.mark.parametrize(
    ("remedy", "served", "told"),
    [
        ("redispatch", 3, ""),
        ("restart_agent", 0, ""),
        ("restart_agent", 1, "1 session with people in would be cut off by restart_agent."),
        ("restart_agent", 2, "2 sessions with people in would be cut off by restart_agent."),
        ("restart_agent", None, "is not known (LiveKit answered 429), and they might be cut off."),
    ],
)
def test_nobody_who_is_served_is_cut_off(remedy: str, served: int | None, told: str) -> None:
    each = next(each for each in begin()["plan"] if each["remedy"] == remedy)
    client = {"signals": {"served_by_agent": served}, "limits": ["LiveKit answered 429."]}
    said = remediation.live_sessions(each, client)
    assert said.endswith(told)
    assert bool(said) == bool(told)


def test_without_a_fresh_look_nobody_may_be_cut_off() -> None:
    assert "LiveKit was not asked" in remediation.live_sessions(begin()["plan"][1], None)


def test_an_act_is_noted_before_it_is_done_and_its_end_after_it() -> None:
    found = remediation.step(begin(), at="t", what="w", remedy="restart_agent", outcome="started")
    (started,) = found["steps"]
    assert (started["outcome"], started["took_s"]) == ("started", None)
    (done,) = remediation.acted(found, "restart_agent", "done", 1.5, ["x"])["steps"]
    assert (done["outcome"], done["took_s"], done["output"]) == ("done", 1.5, ["x"])


def test_a_repair_is_one_if_the_cause_is_gone_and_an_agent_joins() -> None:
    found = ending(after_acts("restart_agent"), HEALTHY_NOW, last=False)
    assert (found["verdict"], found["because"][-1]) == ("repaired", "What helped: restart_agent.")
    assert (found["before"]["joined"], found["after"]["joined"]) == (False, True)
    assert (found["before"]["cause"], found["after"]["cause"]) == ("confirmed", "ruled_out")


def test_an_agent_that_joins_before_anything_was_changed_needed_no_repair() -> None:
    found = ending(begin(), HEALTHY_NOW, last=False)
    assert found["verdict"] == "not_needed"
    assert "It can be woken now" in found["because"][-1]


def test_a_cold_first_start_is_a_repair_too() -> None:
    slow = diagnosed(ASLEEP, {"dispatch": {"joined_after_s": 19.0, "retry_joined_after_s": 1.0}})
    assert slow["verdict"]["id"] == "cloud_cold_start_slow"
    assert ending(after_acts("restart_agent"), slow)["verdict"] == "repaired"


@pytest.mark.parametrize(
    "changes",
    [{"source": "waiting_room", "left_again": True}, {"joined_after_s": 19.0}],
    ids=["left a person", "no second time"],
)
def test_an_agent_that_comes_once_and_not_again_is_no_proof(changes: dict[str, Any]) -> None:
    found = ending(after_acts("restart_agent"), HEALTHY_NOW | {"evidence": evidence({"dispatch": changes})})
    assert found["verdict"] == "needs_human"
    assert "An agent joined once, and not again" in found["because"][0]


def test_an_agent_that_leaves_a_probes_room_as_it_is_asked_to_is_a_proof() -> None:
    found = ending(
        after_acts("restart_agent"), HEALTHY_NOW | {"evidence": evidence({"dispatch": {"left_again": True}})}
    )
    assert found["verdict"] == "repaired"


def test_the_next_remedy_is_tried_only_if_the_cause_still_holds() -> None:
    assert ending(after_acts("restart_agent"), DORMANT, last=False)["verdict"] is None


def test_an_agent_that_runs_and_takes_no_job_is_still_the_agents_fault() -> None:
    runs = diagnosed(NO_AGENT_CAME, {"dispatch": {"agent_status_after": "Running"}})
    assert runs["verdict"]["id"] == "agent_running_not_dispatched"
    found = ending(after_acts("restart_agent"), runs, last=False)
    assert (found["verdict"], found["after"]["cause"]) == (None, "ruled_out")


@pytest.mark.parametrize(
    ("acts", "verdict"),
    [
        ((), "not_repaired"),
        (("redispatch",), "not_repaired"),
        (("redispatch", "restart_agent"), "not_repaired"),
        (("restart_agent", "redeploy_agent"), "needs_human"),
    ],
)
def test_when_the_remedies_are_used_up(acts: tuple[str, ...], verdict: str) -> None:
    found = ending(after_acts(*acts), DORMANT)
    assert found["verdict"] == verdict
    assert "Tried in vain: " in found["because"][-1]


def test_another_cause_that_the_repaired_one_hid_is_told() -> None:
    found = ending(after_acts("restart_agent"), diagnosed(DOWN))
    assert found["verdict"] == "not_repaired"
    assert "Another one shows now: The service is not running (service_down)." in found["because"][-1]
    assert remediation.proof(found, diagnosed(DOWN)).helped is True


def test_another_cause_is_no_proof_while_it_is_not_known_whether_the_repaired_one_is_gone() -> None:
    """Where the service cannot be asked, nothing says that it was started; that the tunnel is offline is no proof."""
    records = evidence(OFFLINE, without=("service",))
    now = {"incident_id": "now", "evidence": records, **CONTEXT, **classify(records, RULES, CONTEXT)}
    found = after_acts("start_service", incident=diagnosed(DOWN))
    seen = remediation.proof(found, now)
    assert (seen.helped, seen.after["cause"]) == (None, "open")
    assert "The tunnel is offline (tunnel_offline)" in seen.because
    assert remediation.verified(found, seen, last=True)["verdict"] == "needs_human"


def test_what_is_not_proven_is_no_repair_and_ends_it() -> None:
    found = ending(after_acts("restart_agent"), diagnosed(NOT_PROBED), last=False)
    assert found["verdict"] == "needs_human"
    assert "not proven" in found["because"][0]


def test_an_agent_that_joins_is_no_proof_while_it_is_not_known_whether_the_cause_is_gone() -> None:
    records = evidence(without=("service",))
    unknown = {"incident_id": "now", "evidence": records, **CONTEXT, **classify(records, RULES, CONTEXT)}
    found = ending(after_acts("start_service", incident=diagnosed(DOWN)), unknown)
    assert (found["verdict"], found["after"]["joined"]) == ("needs_human", True)
    assert "whether the cause is gone is not known" in found["because"][0]


@pytest.mark.parametrize(
    ("changes", "cause", "only_if_missing"),
    [
        (LACKS, "agent_missing_secret", "true"),
        (logged(statuses=(401,)), "callback_auth_mismatch", "false"),
    ],
)
def test_a_secret_that_is_there_is_overwritten_only_where_none_is_missing(
    changes: dict[str, Any], cause: str, only_if_missing: str
) -> None:
    found = begin(diagnosed(changes))
    assert (found["cause"], found["verdict"]) == (cause, None)
    assert found["plan"][0]["options"]["update_secrets_only_if_missing"] == only_if_missing


MOVED = {"tunnel": {"tunnel_urls": ["https://other.ngrok.io", "https://third.ngrok.io"], "tunnel_ports": [None, None]}}


@pytest.mark.parametrize(
    ("changes", "addresses"),
    [
        ((OFFLINE, MOVED), "https://other.ngrok.io,https://third.ngrok.io"),
        ((LACKS, MOVED), "https://other.ngrok.io,https://third.ngrok.io,https://proto-trainer.ngrok.io"),
        ((LACKS, {"tunnel": {"tunnel_urls": []}}), ""),
        ((LACKS,), "unknown"),
    ],
)
def test_the_agents_address_is_set_to_one_that_leads_somewhere(changes: Any, addresses: str) -> None:
    """What is no address, such as C(unknown), restricts nothing."""
    assert begin(diagnosed(*changes))["plan"][0]["options"]["update_secrets_addresses"] == addresses


def test_an_address_that_the_vault_may_have_an_older_one_of_waits_for_approval() -> None:
    for older, cause in ((True, "next_app_url_stale"), (None, "tunnel_domain_changed")):
        older_secret = {"tunnel": {"url_secret_older": older}}
        found = begin(diagnosed(OFFLINE, MOVED, older_secret), approved=False)
        assert (found["cause"], found["verdict"]) == (cause, "needs_approval")


def test_a_key_that_differs_is_not_overwritten_unasked_since_the_other_side_may_have_the_wrong_one() -> None:
    found = begin(diagnosed(logged(statuses=(401,))), approved=False)
    assert (found["cause"], found["verdict"]) == ("callback_auth_mismatch", "needs_approval")


def test_a_cause_whose_rule_asks_for_approval_gets_it_whatever_its_remedy_says() -> None:
    overwritten = {"secrets": {"missing": ["OPENAI_API_KEY"], "changed_together": True, "changed_after_deploy": True}}
    incident = diagnosed(overwritten, NO_AGENT_CAME)
    assert incident["verdict"]["id"] == "agent_secrets_overwritten"
    found = begin(incident, approved=False)
    assert (found["verdict"], found["plan"][-1]["permitted"]) == ("needs_approval", False)
    assert begin(incident, approved=False, allowed=["update_secret"])["verdict"] is None


def test_the_database_is_started_by_the_unit_that_the_inventory_names() -> None:
    records = evidence(logged("P1001"))
    context = {**CONTEXT, "settings": {**CONTEXT["settings"], "database_unit": "postgresql@15-main"}}
    (only,) = begin({"incident_id": "now", "evidence": records, **context, **classify(records, RULES, context)})["plan"]
    assert only["options"] == {"systemd_unit_name": "postgresql@15-main", "systemd_unit_state": "started"}
    assert only["command"] == "ssh -t pi-hub sudo systemctl restart postgresql@15-main"


def test_no_remedy_sets_a_variable_of_the_operators() -> None:
    options = [name for remedy in RULES.remedies.values() for name in remedy["options"]]
    assert "update_secrets_only_if_missing" in options
    assert [name for name in options if name.startswith("voiceops_")] == []
