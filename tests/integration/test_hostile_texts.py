# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a program, a log, a token or a person writes: no parser raises, and each gives what it says it gives."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    agent_log,
    agent_status,
    client_access,
    journal,
    lk,
    lk_output,
    logline,
    redact,
    service_host,
    service_log,
    systemd,
    timeline,
    worker_log,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import worker

holds = settings(max_examples=200, deadline=None, database=None, derandomize=True)

# What the texts are made of that parsers look for, and what breaks them.
PIECES = [
    "2026-02-06T22:39:00.123456789Z",
    "2026-13-45T99:99:99+99:99",
    "@1795616021.5",
    "22:39",
    "1h30m",
    "9999999999999999999",
    "-1",
    "٣٣٣",
    "1e999",
    "NaN",
    "null",
    "true",
    "[",
    "]",
    "{",
    "}",
    '"',
    "\\",
    "\\u0000",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "\n",
    "\r\n",
    "│",
    "┌",
    "└",
    "|",
    "+---+",
    "STATUS",
    "Status",
    "Version",
    "Running",
    "Sleeping",
    "lk version 2.18.2",
    "[agent]",
    "id = ",
    "subdomain = ",
    "https://",
    "wss://[::1",
    "proto.livekit.cloud",
    "?access_token=",
    "Bearer eyJhbGciOi.",
    "..",
    "e30",
    "=",
    "==",
    '{"__REALTIME_TIMESTAMP":"',
    '","PRIORITY":"3","MESSAGE":"',
    '"}',
    "[83, 84, 999, -1]",
    '{"level":50,"time":',
    '"msg":"',
    '"err":{"stack":"',
    "registered worker",
    "starting worker",
    "received job request",
    "failed to connect to livekit, retrying in 0s",
    "jobType",
    "JT_ROOM",
    "agentName: ",
    "worker_id=",
    "not dispatching agent job since no worker is available",
    "Traceback (most recent call last):",
    "KeyError: 'OPENAI_API_KEY'",
    "status 500",
    "HTTP/1.1 401",
    "POST /api/internal/sessions 500",
    "P2003",
    "userId=",
    "5b0c7a52-77aa-4a52-8c1e-0d6a2f1c9d11",
    "{ path=/usr/bin/npm ; argv[]=npm start -p 3003 ; }",
    "{ path=/usr/bin/npm ; argv[]=npm start -p '3003 ; }",
    "-p",
    "--port=",
    "3003",
    "65536",
    "'",
    "exp",
    "nbf",
    "video",
]
TEXTS = st.one_of(
    st.sampled_from(PIECES), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12).map("".join)
)
FIELDS = [
    "__REALTIME_TIMESTAMP",
    "PRIORITY",
    "MESSAGE",
    "nbf",
    "iat",
    "exp",
    "sub",
    "video",
    "room",
    "canPublish",
    "roomConfig",
    "agents",
    "agentName",
    "agentId",
    "agentDeployments",
    "deployment",
    "status",
    "replicas",
    "events",
    "type",
    "count",
    "timestamp",
    "versions",
    "createdAt",
    "attributes",
    "draining",
    "lastScrapedAt",
    "region",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXTS,
    st.just("1795616021000000"),
    st.just("2026-02-06T22:39:00Z"),
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda each: st.one_of(st.lists(each, max_size=4), st.dictionaries(st.sampled_from(FIELDS), each, max_size=6)),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), DOCUMENTS, max_size=8)

SOMEBODY = "5b0c7a52-77aa-4a52-8c1e-0d6a2f1c9d11"
FRAME = service_log.Frame("unit", "internal", 0.0, 2e9, 1.7e9, 1.8e9, 0.0, synthetic_users=(SOMEBODY,))
OPTIONAL_TEXT, OPTIONAL_TIME = (str, type(None)), (float, type(None))


def of_a_journal(text):
    """The service's and the worker's reading of a line of journalctl."""
    entry = journal.parse_entry(text.encode("utf-8", "surrogatepass"))
    return None if entry is None else {**(service_log.understand(entry, FRAME) or {}), **(of_a_worker(entry) or {})}


def of_a_worker(entry):
    return worker.understand(entry, worker_log.worker_kind, 0.0, [])


def of_a_token(claims):
    """What is told by a token whose claims are these."""
    middle = base64.urlsafe_b64encode(claims.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return client_access.told_by_token(f"e30.{middle}.c2ln", None, 1.8e9, 0)


PARSERS = {
    "codes in a line": (logline.codes, list),
    "status in a line": (logline.status, (int, type(None))),
    "user in a line": (logline.user, OPTIONAL_TEXT),
    "caller in a line": (logline.user_agent, str),
    "tool or not": (logline.tool, str),
    "error or not": (lambda text: logline.is_error(text, 3), bool),
    "request in a line": (logline.request_of, tuple),
    "stack frame or not": (logline.is_stack_frame, bool),
    "disk full or not": (logline.is_disk_full, bool),
    "lk's version": (lk_output.parse_version, (tuple, type(None))),
    "lk's table": (lk_output.parse_table, (list, type(None))),
    "lk's JSON": (lk_output.parse_json, (dict, type(None))),
    "lk's time": (lk_output.moment, OPTIONAL_TEXT),
    "livekit.toml": (lk_output.parse_toml, dict),
    "subdomain of a URL": (lk_output.subdomain, OPTIONAL_TEXT),
    "an agent's log": (lambda text: agent_log.read_log(agent_log.agent_lines(text), (0.0, 2e9)), dict),
    "an agent's status": (agent_status.condition_of, OPTIONAL_TEXT),
    "a worker's line": (worker_log.worker_kind, OPTIONAL_TEXT),
    "a server's line": (worker_log.server_kind, OPTIONAL_TEXT),
    "a field of a line": (lambda text: worker_log.field(text, "jobType", "room"), OPTIONAL_TEXT),
    "a host of a line": (worker_log.host_of, OPTIONAL_TEXT),
    "a line in words": (worker_log.worded, str),
    "a journal's line": (of_a_journal, (dict, type(None))),
    "a token's claims": (of_a_token, dict),
    "a token": (client_access.claims_of, (dict, type(None))),
    "a URL's project": (client_access.project_of, OPTIONAL_TEXT),
    "a port in a command": (service_host.port_of_command, (int, type(None))),
    "systemd's time": (lambda text: systemd.moment({"x": text}, "x"), OPTIONAL_TIME),
    "a time": (timeline.parse_time, OPTIONAL_TIME),
    "a duration": (timeline.parse_duration, OPTIONAL_TIME),
    "an attempt": (lambda text: timeline.resolve_attempt(text, text, text, 1.8e9), tuple),
    "a text to mask": (lambda text: redact.redact(text, [text[:9]]), str),
    "a text to clean": (redact.clean, str),
}


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_takes_any_text(parser):
    parse, kinds = PARSERS[parser]

    @holds
    @given(TEXTS)
    def check(text):
        assert isinstance(parse(text), kinds)

    check()


@holds
@given(OBJECTS, st.one_of(st.integers(), st.sampled_from(["1795616021000000", "9" * 20, "-1", ""])))
def test_a_journals_line_may_hold_any_fields(fields, at):
    found = of_a_journal(
        json.dumps({"MESSAGE": "POST /api/internal/sessions 500", **fields, "__REALTIME_TIMESTAMP": at})
    )

    assert found is None or isinstance(found, dict)


@holds
@given(OBJECTS)
def test_a_token_may_hold_any_claims(claims):
    assert isinstance(of_a_token(json.dumps(claims)), dict)


@holds
@given(OBJECTS, st.lists(OBJECTS, max_size=3))
def test_lk_may_answer_any_json(document, agents):
    answer = lk.Answer({"agents": agents, **document}, [], None, None)

    assert isinstance(agent_status.deployments_of(answer, None), (list, type(None)))
    assert isinstance(agent_status.versions_of(answer), list)
    assert isinstance(agent_status.events_of(answer, None), (list, type(None)))


def test_these_texts_break_a_parser_that_is_careless():
    @holds
    @given(TEXTS)
    def check(text):
        assert int(text) if text.isdigit() else True
        assert isinstance(json.loads(text) if text.startswith("{") else {}, dict)

    with pytest.raises((ValueError, AssertionError, ExceptionGroup)):
        check()
