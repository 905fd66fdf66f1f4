# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a journal's entries, and which signals follow from them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import logline, service_log
from ansible_collections.voiceops.livekit.plugins.module_utils.journal import Entry
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

NOW = 1770436200.0
TRIED = NOW - 660
SPAN = TRIED - 62, TRIED + 120
REAL, ZERO = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11", "00000000-0000-0000-0000-000000000000"
P2003 = "Invalid `prisma.session.create()`: Foreign key constraint violated (P2003)"
PATH = "/api/internal/sessions"
STACK = "    at async f (.next/server/app/api/internal/sessions/route.js:1:2201) {"
FRAME = service_log.Frame("app", "internal", NOW - 600, NOW, *SPAN, 0.0, synthetic_users=[ZERO])


def entry(at: float, text: str = "POST /api/internal/sessions 500") -> dict[str, Any]:
    understood = service_log.understand(Entry(at, text, 6), FRAME)
    assert understood is not None
    return understood


def test_entries_can_be_summarised_again_with_other_knowledge() -> None:
    entries = [entry(TRIED + 1), entry(TRIED + 300, f"{P2003} {REAL}")]
    first = service_log.summarise(entries, SPAN, [], [])
    assert (first["callbacks"], first["codes"], first["other_codes"]) == (1, ["HTTP_500"], ["P2003"])
    wider = service_log.summarise(entries, (SPAN[0], SPAN[1] + 600), [], [])
    assert wider["codes"] == ["HTTP_500", "P2003"]
    known = [{"since": rfc3339(TRIED), "until": rfc3339(TRIED + 2)}]
    assert service_log.summarise(entries, SPAN, known, [])["callbacks"] == 0
    assert service_log.summarise(entries, (0, NOW), [], [REAL])["self_entries"] == 1


def test_nothing_is_summarised_as_nothing() -> None:
    assert service_log.summarise([], SPAN, [], []) == {
        "callbacks": 0,
        "callback_statuses": [],
        "codes": [],
        "other_codes": [],
        "self_entries": 0,
        "first_error": None,
    }


def test_the_span_includes_its_ends() -> None:
    assert service_log.summarise([entry(SPAN[0]), entry(SPAN[1])], SPAN, [], [])["callbacks"] == 2
    assert service_log.summarise([entry(SPAN[0] - 0.01), entry(SPAN[1] + 0.01)], SPAN, [], [])["callbacks"] == 0


def test_a_synthetic_user_is_found_behind_other_ids() -> None:
    assert entry(TRIED, f"POST /api/internal/sessions 500 request={REAL} user={ZERO}")["self"] is True


@pytest.mark.parametrize(("agent", "tool", "count"), [("curl/8.5.0", "curl", 0), ("node", "", 1)])
def test_a_call_of_a_tool_is_told_and_is_not_the_agents(agent: str, tool: str, count: int) -> None:
    logged = entry(TRIED + 1, f'10.0.0.5 - - [x] "POST /api/internal/sessions HTTP/1.1" 401 41 "-" "{agent}"')
    found = service_log.summarise([logged], SPAN, [], [])
    assert (logged["tool"], logged["self"], found["callbacks"], found["self_entries"]) == (tool, False, count, 0)
    assert (found["codes"], found["other_codes"]) == ((["HTTP_401"], []) if count else ([], ["HTTP_401"]))


def test_an_error_that_a_tool_met_on_another_route_is_an_error_all_the_same() -> None:
    logged = entry(TRIED + 1, '10.0.0.5 - - [x] "GET /health HTTP/1.1" 500 41 "-" "curl/8.5.0"')
    assert service_log.summarise([logged], SPAN, [], [])["codes"] == ["HTTP_500"]


def test_of_many_entries_the_most_telling_are_kept_in_their_order() -> None:
    errors = [entry(TRIED + i / 1000, "Error: x") for i in range(300)]
    outside = [entry(TRIED + 400)]
    kept = service_log.most_telling([*errors, entry(TRIED + 5), *outside], SPAN, 10)
    assert len(kept) == 10
    assert kept[-1]["callback"]
    assert kept[:-1] == errors[:9]


@pytest.mark.parametrize(
    ("text", "callback"),
    [
        ("POST /api/internal/sessions 201 in 87ms", True),
        ("POST /voice/api/internal/sessions 201 in 87ms", True),
        ("POST /internal/sessions 201 in 87ms", True),
        ("[internal/sessions] session made", True),
        ("internal session made", False),
        ("Loaded 14 prompts from /opt/app/internal/prompts", False),
        ("GET /api/internal/sessions 405 in 2ms", False),
        ("POST /api/internal/health 500 in 2ms", False),
        ("    at POST (/srv/app/api/internal/sessions/route.js:1:23) P2003", None),
        ("    at POST (/srv/app/api/leaderboard/route.js:1:23) P2003", False),
        ("    at node:internal/process/task_queues:95:5", False),
    ],
)
def test_a_callback_is_a_post_to_the_callbacks_path(text: str, callback: bool | None) -> None:
    frame = FRAME._replace(path=PATH)
    understood = service_log.understand(Entry(TRIED, text, 3), frame)
    assert understood is not None or callback is False
    assert (understood or {"callback": False})["callback"] is callback


def test_a_pattern_of_words_that_are_not_in_the_path_stands_by_itself() -> None:
    frame = FRAME._replace(path=PATH, pattern="session created")
    understood = service_log.understand(Entry(TRIED, "session created for a trainee", 6), frame)
    assert understood is not None
    assert understood["callback"] is True


@pytest.mark.parametrize(
    ("lines", "callbacks"),
    [
        ([STACK], None),
        ([STACK, "POST /api/internal/sessions 500 in 31ms"], 1),
        ([f"no user {ZERO}", STACK], 0),
        ([f"no user {REAL}", STACK], None),
        (["    at f (/srv/app/api/leaderboard/route.js:1:9)"], 0),
    ],
)
def test_what_fails_in_the_callbacks_route_may_be_a_call_that_left_no_line(
    lines: list[str], callbacks: int | None
) -> None:
    frame = FRAME._replace(path=PATH)
    read = (service_log.understand(Entry(TRIED, text, 6), frame) for text in lines)
    assert service_log.summarise([item for item in read if item], SPAN, [], [ZERO])["callbacks"] == callbacks


@pytest.mark.parametrize("mark", ["x-probe-id=", '"X-Probe-Id": "', "x_probe_id="])
def test_a_call_with_the_header_of_our_probes_is_ours_and_names_no_user(mark: str) -> None:
    ours = entry(TRIED, f"POST /api/internal/sessions 401 in 2ms {mark}{REAL}")
    assert (ours["self"], ours["user"]) == (True, None)


def test_only_a_callback_may_not_be_refused() -> None:
    assert service_log.understand(Entry(NOW, "GET /favicon.ico 404 in 1ms", 6), FRAME) is None
    assert entry(NOW, "POST /api/internal/sessions 404 in 1ms")["codes"] == ["HTTP_404"]


def test_the_filter_for_journalctl_lets_through_whatever_is_found_later() -> None:
    for text in (
        "P2003", "EIO", "E2BIG", "ERR_X_Y", "SQLITE_BUSY", "Can't reach database server", "no space left on device",
        "database is locked", "attempt to write a readonly database", "GET /x 502", "TypeError: x", "Unhandled y",
        "Out of memory: Killed", "oom-kill", "Under-voltage detected!", "Failed to start", "panic: z", "FATAL: q",
        "Main process exited, code=exited, status=1/FAILURE", "Scheduled restart job, restart counter is at 3",
        "Authentication failed against database server",
    ):  # fmt: skip
        assert service_log.understand(Entry(NOW, text, 6), FRAME) is not None, text
        assert re.search(logline.PREFILTER, text), text
