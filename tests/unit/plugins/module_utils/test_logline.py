# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line of a log says."""

from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import logline

USER = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("PrismaClientKnownRequestError: P2003 Foreign key", ["P2003"]),
        ("code: 'P1001', P1001 again, then P2024", ["P1001", "P2024"]),
        ("Can't reach database server at `db:5432`", ["P1001"]),
        ("connect ECONNREFUSED 127.0.0.1:3003", ["ECONNREFUSED"]),
        ("connect ECONNREFUSED 127.0.0.1:5432", ["ECONNREFUSED", "P1001"]),
        ("connect ECONNREFUSED ::1:54321", ["ECONNREFUSED"]),
        ("Foreign key constraint failed on the field: `Session_userId_fkey (index)`", ["P2003"]),
        ('violates foreign key constraint "sessions_scenario_id_fkey"', ["P2003_ROW"]),
        ("SqliteError: FOREIGN KEY constraint failed", ["P2003"]),
        ("UNIQUE constraint failed: sessions.room", ["P2002"]),
        ('error: column "persona" of relation "sessions" does not exist', ["P2022"]),
        ('error: relation "sessions" does not exist', ["P2021"]),
        ("the requested room does not exist", []),
        ('password authentication failed for user "proto"', ["P1000"]),
        ("sorry, too many clients already", ["P2037"]),
        ("getaddrinfo ENOTFOUND host,internal_service_key=x", ["ENOTFOUND"]),
        ("ENOSPC: no space left on device, write", ["ENOSPC"]),
        ("OSError: [Errno 28] No space left on device", ["ENOSPC"]),
        ("TypeError [ERR_INVALID_URL]: Invalid URL", ["ERR_INVALID_URL"]),
        ("SqliteError: database is locked SQLITE_BUSY", ["SQLITE_BUSY"]),
        ('SqliteError { extended_code: 13, message: Some("database or disk is full") }', ["SQLITE_FULL"]),
        ('Prisma Client could not locate the Query Engine for runtime "linux-arm64"', ["PRISMA_ENGINE"]),
        ("Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'", []),
        ("inotify_add_watch: No space left on device", []),
        ("EVERYTHING is EXCELLENT, P9 P20033 XP2003", []),
        ("", []),
    ],
)
def test_codes(text: str, codes: list[str]) -> None:
    assert logline.codes(text) == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Foreign key constraint violated on the constraint: `Session_scenarioId_fkey`", ["P2003_ROW"]),
        ("Foreign key constraint failed on the field: `UserSession_scenarioId_fkey (index)` (P2003)", ["P2003_ROW"]),
        ("Foreign key constraint failed on the field: `scenario_id` (P2003)", ["P2003_ROW"]),
        ("{ code: 'P2003', meta: { modelName: 'Session', constraint: 'Session_scenarioId_fkey' } }", ["P2003_ROW"]),
        ("{ code: 'P2003', meta: { field_name: 'Session_scenarioId_fkey (index)' } }", ["P2003_ROW"]),
        ("Foreign key constraint failed on the field: `Session_userId_fkey (index)` (P2003)", ["P2003"]),
        ("Foreign key constraint failed on the field: `user_id_fkey` (P2003)", ["P2003"]),
        ("Foreign key constraint failed on the field: `foreign key` (P2003)", ["P2003"]),
        ("{ code: 'P2003', meta: { constraint: 'fk_rails_1f6f0c4b11' } }", ["P2003"]),
        ("Unique constraint failed on the constraint: `Session_roomId_key` (P2002)", ["P2002"]),
    ],
)
def test_a_foreign_key_to_something_else_than_a_user_has_a_code_of_its_own(text: str, codes: list[str]) -> None:
    assert logline.codes(text) == codes


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("[9d3e7b10-2c44-4f0e-8a51-77aa0c9d1f25] POST /api/internal/sessions 500 in 55ms", None),
        ("[9d3e7b10-2c44-4f0e-8a51-77aa0c9d1f25] user 7D3F1C52-0D8E-4C53-9A55-2F1F6F0C4B11", USER),
        (f"requestId=9D3E7B10-2C44-4F0E-8A51-77AA0C9D1F25 session of {USER}", USER),
        (f"session of {USER} requestId=9d3e7b10-2c44-4f0e-8a51-77aa0c9d1f25", USER),
        (f"reqId=a1 session of {USER}", USER),
        ("reqId=a1 no session", None),
    ],
)
def test_the_id_of_a_request_is_no_user(text: str, user: str | None) -> None:
    assert logline.user(text) == user


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("POST /api/internal/sessions 201 in 87ms", 201),
        ('127.0.0.1 - - [06/Feb/2026] "POST /api/internal/sessions HTTP/1.1" 500 1234 "-" "node"', 500),
        ("POST /api/internal/sessions -> 401", 401),
        ("POST /api/internal/sessions → 403", 403),
        ('{"method":"POST","url":"/api/internal/sessions","statusCode":422}', 422),
        ("internal call done status=204", 204),
        ('[GIN] 2026/02/06 - 23:39:10 | 401 |  1.2ms |  10.0.0.5 | POST     "/api/internal/sessions"', 401),
        ("Completed 403 Forbidden in 2ms (ActiveRecord: 0.0ms)", 403),
        ("[2f1f6f0c-4b11-4a52-8c1e-0d6a2f1c9d11] Completed 500 Internal Server Error in 12ms", 500),
        ("Sent 422 in 9ms", 422),
        ('"POST http://pi:3003/api/internal/sessions HTTP/1.1" from 10.0.0.5:4242 - 401 12B in 1.2ms', 401),
        ("level=info method=POST path=/api/internal/sessions code=403 dur=200ms", 403),
        (
            "Request finished HTTP/1.1 POST http://pi:3003/api/internal/sessions application/json 45 - 401 0 - 3.2ms",
            401,
        ),
        ("260206/223910.123, [response] http://pi:3003: post /api/internal/sessions {} 500 (3ms)", 500),
        ("npm exited with code=143", None),
        ("a job | 401 | of a table", None),
        ("not Completed 401 of 500 items", None),
        ("POST /api/internal/sessions took 200.5 ms", None),
        ("POST /api/internal/sessions/401 took long", None),
        ("POST /api/internal/sessions - 500 ms", None),
        ("GET /api/rooms/500 200 in 3ms", 200),
        ("POST /api/internal/sessions", None),
        ("listening on 300", None),
        ("POST " + "a" * 5000, None),
    ],
)
def test_statuses(text: str, status: int | None) -> None:
    assert logline.status(text) == status


@pytest.mark.parametrize(
    ("text", "request_named"),
    [
        ("POST /api/internal/sessions/ 201 in 87ms", ("POST", "/api/internal/sessions")),
        ('127.0.0.1 - - "GET /api/internal/sessions?user=1 HTTP/1.1" 405', ("GET", "/api/internal/sessions")),
        ("POST https://example.com/api/internal/sessions 201", ("POST", "/api/internal/sessions")),
        ("GET / 200", ("GET", "/")),
        ("the internal sessions are kept", ("", "")),
        ("wrote /api/internal/sessions/route.js", ("", "")),
    ],
)
def test_the_request_that_a_line_names(text: str, request_named: tuple[str, str]) -> None:
    assert logline.request_of(text) == request_named


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ('10.0.0.5 - - [06/Feb/2026:23:39:10 +0100] "POST /a HTTP/1.1" 401 41 "-" "curl/8.5.0"', "curl/8.5.0"),
        ('10.0.0.5 - - [06/Feb/2026:23:39:10 +0100] "POST /a HTTP/1.1" 401 - "http://x/" "node" "10.0.0.9"', "node"),
        ('{"req":{"method":"POST","headers":{"host":"pi","user-agent":"HTTPie/3.2.4"}},"status":400}', "HTTPie/3.2.4"),
        ('{"request":{"method":"POST","headers":{"User-Agent":["Wget/1.21"]}},"status":401}', "Wget/1.21"),
        ('POST /a 401 in 7ms, said "curl" "curl/8"', ""),
    ],
)
def test_the_program_that_called(text: str, agent: str) -> None:
    assert logline.user_agent(text) == agent


@pytest.mark.parametrize(
    ("agent", "tool"),
    [
        ("curl/8.5.0", "curl"),
        ("PostmanRuntime/7.43.0", "PostmanRuntime"),
        ("HTTPie/3.2.4", "HTTPie"),
        ("Uptime-Kuma/1.23.16", "Uptime-Kuma"),
        ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "UptimeRobot"),
        ("Better Stack Better Uptime Bot Mozilla/5.0", "Better Uptime"),
        ("Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)", "CensysInspect"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0.0.0 Safari/537.36", "a browser"),
        *(
            (library, "")
            for library in (
                "node", "undici", "axios/1.7.9", "python-requests/2.32.3", "python-httpx/0.28.1", "okhttp/4.12.0",
                "Python/3.12 aiohttp/3.11.11", "Go-http-client/1.1", "my-curl-agent/1.0", "PycURL/7.45", "",
            )
        ),
    ],
)  # fmt: skip
def test_a_tool_is_told_from_what_may_be_an_agent(agent: str, tool: str) -> None:
    assert logline.tool(agent) == tool


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("    at POST (/srv/app/.next/server/app/api/internal/sessions/route.js:1:2345)", True),
        ("    at async /srv/app/api/internal/sessions/route.js:1:2345", True),
        ("POST /api/internal/sessions 500 at /srv/app", False),
        ("at last the internal session began", False),
    ],
)
def test_a_frame_of_a_stack_is_told_from_a_line_of_its_own(text: str, frame: bool) -> None:
    assert logline.is_stack_frame(text) is frame


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        ('{"level":30,"reqId":"req-1","res":{"statusCode":401},"msg":"request completed"}', "req-1"),
        ("request_id=7f3a POST /api/internal/sessions", "7f3a"),
        ('[2f1f6f0c-4b11-4a52-8c1e-0d6a2f1c9d11] Started POST "/a"', "2f1f6f0c-4b11-4a52-8c1e-0d6a2f1c9d11"),
        ("[12:00:00] POST /api/internal/sessions 201", None),
        ("required=3", None),
    ],
)
def test_the_id_by_which_lines_of_one_request_are_joined(text: str, request_id: str | None) -> None:
    assert logline.request_id(text) == request_id


def test_a_full_disk_is_not_a_lack_of_watches() -> None:
    assert logline.is_disk_full("ENOSPC: no space left on device, write")
    assert logline.is_disk_full('SqliteError { extended_code: 13, message: Some("database or disk is full") }')
    assert not logline.is_disk_full("ENOSPC: System limit for number of file watchers reached")
