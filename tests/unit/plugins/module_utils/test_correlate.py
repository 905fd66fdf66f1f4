# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of several hosts on one clock: who heard a call, whose error it is, and what it can say."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.correlate import Run, calls_heard, correlate
from ansible_collections.voiceops.livekit.plugins.module_utils.record import event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

from ...evidence import ASLEEP, ATTEMPT, HEALTHY, NO_AGENT_CAME, NOT_PROBED, PERSON_WAITS, evidence

NOBODY = "00000000-0000-0000-0000-000000000000"
SOMEBODY = "5b0c7a52-77aa-4a52-8c1e-0d6a2f1c9d11"
STARTED_AT = parse_time("2026-02-06T22:55:00Z")
RUN = Run(attempt=ATTEMPT, started_at=STARTED_AT, synthetic_users=(NOBODY,), hosts={"service": "pi-hub"})


on = dataclasses.replace


def at(clock):
    return f"2026-02-06T{clock}.000Z"


def entry(clock, text="POST /api/internal/sessions 500 P2003", **changes):
    return {
        "at": at(clock),
        "text": text,
        "priority": 3,
        "codes": ["P2003"],
        "callback": True,
        "status": 500,
        "user": SOMEBODY,
        "self": False,
        **changes,
    }


def with_entries(*entries, **signals):
    """Evidence whose service logged these entries, by the collector's own estimate of the clock."""
    found = evidence({"service": {"entries_seen": len(entries), **signals}})
    found["service"]["entries"] = list(entries)
    return found


def clock(offset_ms, uncertainty_ms=100):
    return {"pi-hub": {"offset_ms": offset_ms, "uncertainty_ms": uncertainty_ms}}


def service_of(answer):
    return answer["evidence"]["service"]["signals"]


HEARD, SILENT = {"callbacks": 2, "callback_statuses": [201, 500]}, {"callbacks": 0, "callback_statuses": []}
EDGE = {"host": "proto-trainer.ngrok.io", "inspector_covers": True}
COUNTS, COVERS = {"silence_counts": True}, EDGE | {"tunnel_urls": ["https://proto-trainer.ngrok.io"]}
INSPECTED = {"inspector_callbacks": 1, "inspector_statuses": [401]}
INSPECTED_NONE = {"inspector_callbacks": 0, "inspector_statuses": []}


@pytest.mark.parametrize(
    ("journal", "edge", "calls", "statuses"),
    [
        (HEARD, {}, 2, [201, 500]),
        # They did not come through the tunnel, as the agent's do.
        (HEARD, INSPECTED_NONE | COVERS, None, None),
        (HEARD, INSPECTED_NONE | EDGE, 2, [201, 500]),
        (SILENT | COUNTS, {}, 0, []),
        (SILENT, {}, None, None),
        (SILENT, INSPECTED_NONE, None, None),
        (SILENT, INSPECTED_NONE | COVERS, 0, []),
        (SILENT, INSPECTED_NONE | EDGE, None, None),
        (SILENT, INSPECTED_NONE | EDGE | {"tunnel_urls": ["https://other.ngrok.io"]}, None, None),
        (SILENT, INSPECTED_NONE | EDGE | {"tunnel_urls": ["https://my-proto-trainer.ngrok.io"]}, None, None),
        (SILENT, INSPECTED | {"inspector_statuses": [502, 201]}, 1, [201]),
        (SILENT, INSPECTED | {"inspector_statuses": [502]}, 1, None),
        ({}, INSPECTED_NONE | COVERS, 0, []),
        (SILENT | COUNTS, INSPECTED, 1, [401]),
        ({"callbacks": None} | COUNTS, {}, None, None),
        ({"callbacks": 1, "callback_statuses": []}, {}, 1, None),
        ({}, {}, None, None),
    ],
)
def test_a_call_is_heard_by_either_and_silence_counts_of_a_good_witness_only(journal, edge, calls, statuses):
    assert calls_heard(journal, edge) == {"calls": calls, "call_statuses": statuses}


def test_a_worker_of_ones_own_may_call_by_another_way_than_the_tunnel():
    heard = calls_heard(HEARD, INSPECTED_NONE | COVERS, self_hosted=True)
    assert heard == {"calls": 2, "call_statuses": [201, 500]}


def test_nothing_that_was_given_is_changed():
    given = with_entries(entry("22:48:10"))
    before = copy.deepcopy(given)
    correlate(given, on(RUN, clocks=clock(5000)), {"agent_after": evidence()["agent"]})
    assert given == before


def test_the_inspector_joins_the_tunnel():
    found = record(
        "tunnel",
        "healthy",
        "ngrok's inspector lists 0 calls",
        signals={"inspector_readable": True, **COVERS, **INSPECTED_NONE, "host_reachable": True},
        events=[event(at("22:20:00"), "through the tunnel: POST: 201")],
        limits=["a limit"],
    )
    given = evidence({"service": {"silence_counts": None}})
    answer = correlate(given, RUN, {"inspector": found})
    tunnel = answer["evidence"]["tunnel"]
    assert tunnel["signals"]["inspector_callbacks"] == 0
    assert tunnel["signals"]["status"] == 405
    assert "a limit" in tunnel["limits"]
    assert service_of(answer)["calls"] == 0
    assert [item["what"] for item in answer["timeline"]] == ["through the tunnel: POST: 201"]


def test_the_inspector_of_a_host_that_is_unreachable_does_not_make_the_tunnel_so():
    away = unknown("tunnel", "mac could not be reached", signals={"host_reachable": False})
    tunnel = correlate(evidence(), RUN, {"inspector": away})["evidence"]["tunnel"]
    assert tunnel["signals"]["reachable"] is True
    assert "host_reachable" not in tunnel["signals"]
    assert "mac could not be reached" in tunnel["limits"]


@pytest.mark.parametrize(
    ("secret", "began", "older"),
    [
        ("2026-02-06T10:00:00Z", at("20:00:00"), True),
        ("2026-02-06T19:59:30Z", at("20:00:00"), None),
        ("2026-02-06T21:00:00Z", at("20:00:00"), None),
        (None, at("20:00:00"), None),
        ("2026-02-06T10:00:00Z", None, None),
    ],
)
def test_only_an_old_secret_says_something(secret, began, older):
    """A deploy renews the times of all secrets, so that a new time is no sign of a new value."""
    given = evidence({"tunnel": {"tunnel_started_at": began}, "secrets": {"updated_at": {"NEXT_APP_URL": secret}}})
    assert correlate(given, RUN)["evidence"]["tunnel"]["signals"]["url_secret_older"] is older


@pytest.mark.parametrize(
    ("reachable", "said", "answers"),
    [
        (True, "", True),
        (False, "ssh: connect to host mac.local port 22: Operation timed out", False),
        (False, "ssh: connect to host mac port 22: No route to host", False),
        (False, "ssh: connect to host mac port 22: Host is down", False),
        (False, "ssh: connect to host mac port 22: Connection refused", True),
        (False, "pi@mac: Permission denied (publickey).", True),
        (False, "Host key verification failed.", True),
        (False, "ssh: Could not resolve hostname mac.local: nodename nor servname provided", None),
        (None, "mac did not answer in time: timed out", None),
    ],
)
def test_a_host_that_turns_us_away_is_awake(reachable, said, answers):
    signals = {} if reachable is None else {"host_reachable": reachable}
    found = unknown("tunnel", f"mac could not be reached over ssh: {said}", signals=signals)
    for given in (evidence(), {}):
        tunnel = correlate(given, RUN, {"inspector": found})["evidence"]["tunnel"]
        assert tunnel["signals"]["tunnel_host_reachable"] is answers


def test_a_probe_gets_the_agents_status_after_it():
    after = evidence()["agent"]
    answer = correlate(evidence(ASLEEP, NO_AGENT_CAME), RUN, {"agent_after": after})
    assert answer["evidence"]["dispatch"]["signals"]["agent_status_after"] == "Running"


def test_a_room_in_which_a_person_waits_is_the_test_where_no_probe_ran():
    signals = correlate(evidence(ASLEEP, PERSON_WAITS, NOT_PROBED), RUN)["evidence"]["dispatch"]["signals"]
    assert signals["source"] == "waiting_room"
    assert (signals["requested"], signals["accepted"], signals["joined"]) == (True, False, False)
    assert signals["agent_status_after"] == "Sleeping"


def test_a_wait_that_is_too_short_proves_nothing():
    signals = correlate(
        evidence(ASLEEP, PERSON_WAITS, {"client": {"waiting_seconds": 80.0}}, without=("dispatch",)), RUN
    )["evidence"]["dispatch"]["signals"]
    assert signals["joined"] is None


def test_a_probe_that_ran_is_not_replaced_by_a_room():
    signals = correlate(evidence(PERSON_WAITS), RUN)["evidence"]["dispatch"]["signals"]
    assert (signals["source"], signals["joined"]) == ("probe", True)


def test_why_no_probe_ran_is_kept_where_nobody_waits():
    given = evidence(NOT_PROBED)
    given["dispatch"]["limits"] = ["voiceops_dispatch_probe is never"]
    assert correlate(given, RUN)["evidence"]["dispatch"]["limits"] == ["voiceops_dispatch_probe is never"]


@pytest.mark.parametrize(
    ("told", "by_inventory", "asked", "name"),
    [
        (None, "voice", None, "voice"),
        ("", "voice", None, ""),
        (None, "", ["voice"], ""),
        (None, None, None, None),
        (None, None, [""], None),
    ],
)
def test_the_inventorys_name_stands_in_where_lk_tells_none(told, by_inventory, asked, name):
    given = evidence({"agent": {"name": told}, "client": {"dispatch_names": asked}})
    run = on(RUN, agent_name=by_inventory)
    assert correlate(given, run)["evidence"]["agent"]["signals"]["name"] == name


@pytest.mark.parametrize(
    ("layer", "signal", "unheard"),
    [
        ("service", "first_error", {"silence_counts": None}),
        ("tunnel", "error_code", {"status": None}),
        ("tunnel", "redirect_host", {"status": None}),
        ("tunnel", "failure", {"status": None}),
        ("callback", "error_code", {"answered_by_app": None}),
    ],
)
def test_none_means_none_only_where_the_layer_was_heard_out(layer, signal, unheard):
    absent = dict.fromkeys({"first_error", "error_code", "redirect_host", "failure"} & HEALTHY[layer].keys())
    heard, silent = (correlate(evidence({layer: {**absent, **more}}), RUN)["evidence"] for more in ({}, unheard))
    assert heard[layer]["signals"][signal] == ""
    assert silent[layer]["signals"][signal] is None


def test_what_a_layer_found_is_not_overwritten():
    found = {"tunnel": {"status": 404, "error_code": "ERR_NGROK_3200"}}
    assert correlate(evidence(found), RUN)["evidence"]["tunnel"]["signals"]["error_code"] == "ERR_NGROK_3200"


@pytest.mark.parametrize(
    ("host", "livekit", "edge", "error", "uncertainty"),
    [
        ((420_000, 30), None, None, 420_000, 30),
        ((420_000, 30), 0, None, 420_000, 1030),
        # The controller is seven minutes behind, and the Pi is right.
        ((420_000, 30), 420_500, 419_500, 0, 1530),
        # The two contradict each other.
        ((0, 30), 0, 600_000, -300_000, 301_030),
        ((None, None), 0, 0, None, None),
    ],
)
def test_a_hosts_clock_is_judged_by_livekits_and_the_edges(host, livekit, edge, error, uncertainty):
    changes = {
        "client": {"server_clock_offset_ms": livekit},
        "tunnel": {"edge_clock_offset_ms": edge, "error_code": "ERR_NGROK_3200"},
        "service": {"local_time_offset_ms": host[0], "local_time_uncertainty_ms": host[1]},
    }

    answer = correlate(evidence(changes), RUN)

    signals = service_of(answer)
    assert (signals["clock_error_ms"], signals["clock_error_uncertainty_ms"]) == (error, uncertainty)


def test_a_hosts_clock_is_not_judged_by_the_date_that_its_own_api_sends():
    changes = {
        "client": {"server_clock_offset_ms": 0},
        "tunnel": {"edge_clock_offset_ms": 420_000, "error_code": None, "redirect_host": None},
        "service": {"local_time_offset_ms": 420_000, "local_time_uncertainty_ms": 30},
    }

    answer = correlate(evidence(changes), RUN)

    signals = service_of(answer)
    assert (signals["clock_error_ms"], signals["clock_error_uncertainty_ms"]) == (420_000, 1030)
    assert answer["clocks"]["api"] == {"offset_ms": 420_000, "uncertainty_ms": 1000}


def test_the_clocks_of_livekit_and_the_edge_stand_beside_the_hosts():
    changes = {"client": {"server_clock_offset_ms": -300}, "tunnel": {"edge_clock_offset_ms": None}}

    answer = correlate(evidence(changes), on(RUN, clocks=clock(12)))

    assert answer["clocks"] == {**clock(12), "livekit": {"offset_ms": -300, "uncertainty_ms": 1000}}


def test_entries_that_are_only_a_part_are_not_counted_again():
    given = with_entries(entry("22:48:00"), entries_seen=900, callbacks=37)
    assert service_of(correlate(given, on(RUN, clocks=clock(0))))["callbacks"] == 37


def test_a_count_that_is_unknown_stays_unknown():
    given = with_entries(callbacks=None)
    assert service_of(correlate(given, on(RUN, clocks=clock(0))))["callbacks"] is None


def test_the_time_line_is_in_order_and_says_what_is_ours():
    given = evidence()
    given["client"]["events"] = [event(at("22:48:00"), "a person joined")]
    given["service"]["events"] = [
        event(at("22:48:01"), "logged: POST 500 P2003"),
        event(at("22:39:00"), f"logged: POST 500 userId={NOBODY}"),
        event(at("22:30:00"), "logged: POST 201"),
    ]
    given["callback"]["events"] = [event(at("22:55:01"), "our POST: 400", ours=True)]
    probes = [{"since": at("22:47:59"), "until": at("22:48:02"), "what": "the test curl"}]
    timeline = correlate(given, on(RUN, probes=probes))["timeline"]
    assert [(item["at"], item["layer"], item["host"], item["self"]) for item in timeline] == [
        (at("22:30:00"), "service", "pi-hub", False),
        (at("22:39:00"), "service", "pi-hub", True),
        (at("22:48:00"), "client", "", False),
        (at("22:48:01"), "service", "pi-hub", True),
        (at("22:55:01"), "callback", "", True),
    ]


def test_windows_that_the_records_bring_are_ours_too():
    given = evidence()
    given["tunnel"]["events"] = [event(at("22:50:00"), "through the tunnel: POST: 400")]
    given["callback"]["probes"] = [{"since": at("22:49:59"), "until": at("22:50:01"), "what": "POST"}]
    assert correlate(given, RUN)["timeline"][0]["self"] is True


@pytest.mark.parametrize(("status", "ours"), [(201, False), (400, True)])
def test_the_time_line_shows_the_agents_call_beside_our_refused_probe_as_the_agents(status, ours):
    given = evidence()
    given["tunnel"]["events"] = [event(at("22:50:00"), f"through the tunnel: POST /api/internal/sessions: {status}")]
    given["callback"]["probes"] = [{"since": at("22:50:00"), "until": at("22:50:01"), "what": "POST", "status": 400}]
    assert correlate(given, RUN)["timeline"][0]["self"] is ours


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (
            entry("22:48:10", user=NOBODY, self=True),
            f"P2003 at 22:48:10 UTC, 9 minutes after the attempt, is of the synthetic user {NOBODY}: "
            "it says nothing of the attempt.",
        ),
        (
            entry("22:48:10", self=True),
            "P2003 at 22:48:10 UTC, 9 minutes after the attempt, is of a synthetic user: "
            "it says nothing of the attempt.",
        ),
        (
            entry("22:35:00"),
            "P2003 at 22:35:00 UTC, 4 minutes before the attempt, is outside of the attempt's span: "
            "it says nothing of the attempt.",
        ),
        (
            entry("22:39:10", tool="curl", self=True),
            "P2003 at 22:39:10 UTC, 10 s after the attempt, is of curl, which is no agent: "
            "it says nothing of the attempt.",
        ),
        (
            entry("22:39:10", user=NOBODY, self=True),
            f"P2003 at 22:39:10 UTC, 10 s after the attempt, is of the synthetic user {NOBODY}: "
            "it says nothing of the attempt.",
        ),
    ],
)
def test_a_red_herring_is_named(item, told):
    assert correlate(with_entries(item), RUN)["red_herrings"] == [told]


@pytest.mark.parametrize(("clock_time", "told"), [("22:39:10", True), ("22:48:10", False)])
def test_that_a_tool_called_in_the_span_is_told_and_its_call_does_not_count(clock_time, told):
    given = with_entries(entry(clock_time, tool="curl"), callbacks=1)
    service = correlate(given, RUN)["evidence"]["service"]
    assert service["signals"]["callbacks"] == 0
    assert any("The calls of curl" in limit for limit in service["limits"]) is told


def test_the_users_own_error_is_none():
    assert correlate(with_entries(entry("22:39:10")), RUN)["red_herrings"] == []


def test_the_same_herring_is_told_once():
    answer = correlate(with_entries(*(entry(f"22:48:{second}") for second in (10, 20, 30))), RUN)
    assert len(answer["red_herrings"]) == 1
    assert "(and 2 times more)" in answer["red_herrings"][0]


def test_the_text_of_a_sleeping_agents_log_and_our_fake_users_error_are_herrings():
    herrings = correlate(evidence(ASLEEP, {"callback": {"prisma_code": "P2003"}}), RUN)["red_herrings"]
    assert "shut down due to inactivity" in herrings[0]
    assert "fake user" in herrings[1]


def test_no_evidence_at_all_is_no_error():
    assert correlate({}, RUN) == {"evidence": {}, "clocks": {}, "timeline": [], "red_herrings": []}


def test_records_of_layers_that_could_not_be_asked_pass_through():
    given = {layer: unknown(layer, "no answer") for layer in evidence()}
    answer = correlate(given, on(RUN, clocks=clock(0)), {"inspector": unknown("tunnel", "no answer")})
    assert service_of(answer)["calls"] is None
    assert answer["red_herrings"] == []
