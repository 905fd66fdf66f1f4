# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker's lines tell, of those that a real worker was seen to write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_history import Frame, told
from ansible_collections.voiceops.livekit.plugins.module_utils.worker_log import worded, worker_kind

TRIED, RUN = 1_770_417_540.0, 1_770_417_570.0
ATTEMPT = {
    "at": rfc3339(TRIED),
    "source": "waiting_session",
    "since": rfc3339(TRIED - 600),
    "until": rfc3339(RUN),
    "precision_s": 1.0,
}
TRACEBACK = "Traceback (most recent call last):\n  File \"agent.py\", line 14, in entry\nKeyError: 'CALLBACK_URL'"


def line(after_s: float, text: str) -> dict[str, Any]:
    kind = worker_kind(text)
    assert kind is not None
    return {"at": rfc3339(TRIED + after_s), "kind": kind, "text": text}


def signals(*lines: dict[str, Any], up: bool = True) -> dict[str, Any]:
    return told(lines, [], Frame(ATTEMPT, RUN, trusted=True, heard=True, active=True, up=up))


@pytest.mark.parametrize(
    ("lines", "briefly"),
    [
        ([line(-1, "worker is at full capacity"), line(5, "worker is below capacity")], True),
        ([line(-1, "worker is at full capacity"), line(20, "worker is below capacity")], False),
        # Thirty seconds later it still is.
        ([line(-1, "worker is at full capacity")], False),
    ],
    ids=["6 s", "21 s", "goes on"],
)
def test_a_worker_is_full_for_a_moment_or_for_longer(lines: list[dict[str, Any]], briefly: bool) -> None:
    found = signals(line(-99, "registered worker"), *lines)
    assert (found["worker_full_at_attempt"], found["worker_briefly_full"]) == (True, briefly)


def test_a_worker_that_is_full_since_a_moment_ago_may_stay_so() -> None:
    lines = (line(-99, "registered worker"), line(-1, "worker is at full capacity"))
    soon = {**ATTEMPT, "until": rfc3339(TRIED + 5)}
    found = told(lines, [], Frame(soon, TRIED + 5, trusted=True, heard=True, active=True, up=True))
    assert (found["worker_full_at_attempt"], found["worker_briefly_full"]) == (True, None)


@pytest.mark.parametrize(("up", "state"), [(False, "stopped"), (True, None)])
def test_a_worker_that_never_ran_before_was_not_there_if_systemd_says_so(up: bool, state: str | None) -> None:
    found = signals(line(4, "starting worker"), line(8, "registered worker"), up=up)
    assert found["worker_state_at_attempt"] == state
    assert found["worker_registered_after"] == rfc3339(TRIED + 8)


def test_of_a_crash_the_exception_is_told_not_only_where_its_traceback_begins() -> None:
    said = "unhandled exception while running the job task"
    text = json.dumps({"message": f"{said}\n{TRACEBACK}", "level": "ERROR", "exc_info": TRACEBACK})
    assert worker_kind(text) == "crashed"
    assert worded(text) == f"{said}: KeyError: 'CALLBACK_URL'"
