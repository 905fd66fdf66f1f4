# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an error is that a service prints over several lines, of which only one names the user."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.service_log import by_tools, joined, mark, summarise

ZERO = "00000000-0000-0000-0000-000000000000"
REAL = "5b0c7a52-77aa-4a52-8c1e-0d6a2f1c9d11"


def entry(second: float, text: str, *, user: str | None = None, codes: tuple[str, ...] = ()) -> dict[str, Any]:
    at = f"2026-02-06T22:39:{second:06.3f}Z"
    callback = "internal" in text
    return {"at": at, "text": text, "priority": 3, "codes": list(codes), "callback": callback, "status": None} | {
        "user": user,
        "self": False,
    }


def error(user: str, second: float = 10.0) -> list[dict[str, Any]]:
    return [
        entry(second, f"session creation failed for user {user}", user=user),
        entry(second + 0.001, "{ code: 'P2003' }", codes=("P2003",)),
        entry(second + 0.04, "POST /api/internal/sessions 500 in 41ms", codes=("HTTP_500",)),
    ]


def test_all_lines_of_a_synthetic_users_error_are_ours():
    assert [item["self"] for item in mark(error(ZERO), [], [ZERO])] == [True, True, True]


def test_a_real_users_error_stays_theirs():
    assert [item["self"] for item in mark(error(REAL), [], [ZERO])] == [False, False, False]


@pytest.mark.parametrize(("apart", "codes"), [(0.2, ["P2003", "HTTP_500"]), (5.0, ["P2003", "HTTP_500"])])
def test_an_error_that_may_be_a_real_users_is_never_taken_for_ours(apart, codes):
    entries = sorted([*error(ZERO), *error(REAL, 10.0 + apart)], key=lambda item: item["at"])
    assert summarise(entries, (0.0, 4e9), [], [ZERO])["codes"] == codes


def test_a_call_that_went_well_in_the_same_moment_is_not_ours():
    served = entry(10.2, "POST /api/internal/sessions 201 in 87ms")
    assert summarise([*error(ZERO), served], (0.0, 4e9), [], [ZERO])["callbacks"] == 1


def call(request: str) -> dict[str, Any]:
    return {**entry(10.0, f"{request}: POST /api/internal/sessions"), "begins": request}


def end(request: str, status: int) -> dict[str, Any]:
    return {"at": "2026-02-06T22:39:10.002Z", "status": status, "ends": request}


def test_a_call_has_the_status_of_the_line_that_ends_the_same_request():
    refused, served = joined([call("req-1"), call("req-2"), end("req-2", 201), end("req-1", 401), end("req-3", 500)])
    assert (refused["status"], refused["codes"]) == (401, ["HTTP_401"])
    assert (served["status"], served["codes"]) == (201, [])
    assert not {"begins", "ends"} & {*refused, *served}


def test_after_a_restart_counts_begin_again_and_an_end_is_that_of_the_newest_call():
    lost, served = joined([call("req-1"), call("req-1"), end("req-1", 201), end("req-1", 401)])
    assert (lost["status"], served["status"]) == (None, 201)


def probe(second: float, status: int) -> dict[str, Any]:
    at = f"2026-02-06T22:39:{second:06.3f}Z"
    return {"since": at, "until": at, "what": "POST", "status": status}


def test_the_agents_call_beside_our_probes_is_told_from_them_by_its_success():
    lines = [(10.0, 401), (10.1, 400), (10.6, 201)]
    calls = [{**entry(at, f"POST /api/internal/sessions {status} in 9ms"), "status": status} for at, status in lines]
    found = summarise(calls, (0.0, 4e9), [probe(10.0, 401), probe(10.1, 400)], [ZERO])
    assert (found["callbacks"], found["callback_statuses"], found["self_entries"]) == (1, [201], 2)


CURL = {"at": "2026-02-06T22:39:10.500Z", "tool": "curl/8.7.1", "status": 500}


def answered(second: float, status: int) -> dict[str, Any]:
    return {**entry(second, f"POST /api/internal/sessions {status} in 41ms"), "status": status, "user": None}


@pytest.mark.parametrize(
    ("entries", "tools"),
    [
        ([*error(REAL)[:2], answered(10.1, 500)], 3),
        ([answered(10.1, 500), entry(20.0, "P2003", codes=("P2003",))], 1),
        ([answered(10.1, 201)], 0),
        # One of the two is curl's; to whom the error belongs is not told.
        ([*error(REAL)[:2], answered(10.1, 500), answered(10.9, 201)], 1),
        ([*error(REAL)[:2], answered(10.1, 500), answered(10.9, 500)], 1),
        ([answered(13.0, 500)], 0),
    ],
)
def test_what_the_inspector_saw_a_tool_do_is_the_tools_in_the_journal_too(entries, tools):
    marked = by_tools({"entries": entries}, [CURL])["entries"]
    assert sum(item.get("tool") == "curl/8.7.1" for item in marked) == tools
    assert not any("tool" in item for item in entries)
