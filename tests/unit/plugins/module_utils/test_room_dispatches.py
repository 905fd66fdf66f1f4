# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when a room asks for our agent, and which of its jobs are of the present visit."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.room_dispatches import SIGNALS, shifted, told

NOW, JOINED = 10_000.0, 9_640.0
VISIT_BEFORE = -4200.0


def job(at: float, status: str = "JS_RUNNING") -> dict[str, Any]:
    return {"identity": "agent-1", "status": status, "started_at": NOW + at if at else 0.0}


def dispatch(at: float, *jobs: dict[str, Any], name: str = "voice") -> dict[str, Any]:
    return {"agent_name": name, "deployment": "", "created_at": NOW + at, "jobs": list(jobs)}


def look(*dispatches: dict[str, Any], waiting_since: float | None = JOINED) -> dict[str, Any]:
    found = told(list(dispatches), "voice", waiting_since, NOW)
    assert found.keys() == SIGNALS.keys()
    return found


@pytest.mark.parametrize(
    ("dispatches", "asked"),
    [
        ([], None),
        ([dispatch(-8)], -8),
        ([dispatch(-360), dispatch(-8)], -360),
        ([dispatch(-360, name=""), dispatch(-20)], -20),
        ([dispatch(-360, name="")], -360),
        ([dispatch(-360), dispatch(-8, name="another")], -360),
        ([dispatch(-360, job(-5))], -5),
        ([dispatch(-360, job(-350)), dispatch(-8)], -350),
        ([dispatch(-360, job(0))], -360),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-8, job(-6))], -6),
    ],
)
def test_since_when_the_room_asks_for_our_agent(dispatches: list[dict[str, Any]], asked: float | None) -> None:
    assert look(*dispatches)["asked_at"] == (asked and NOW + asked)


@pytest.mark.parametrize(
    ("dispatches", "jobs", "before"),
    [
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE))], 1, True),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(VISIT_BEFORE)], 1, True),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-360, name="")], 1, True),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-120)], 0, False),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-5)], None, False),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-120, job(-119))], 1, False),
        ([dispatch(VISIT_BEFORE, job(0)), dispatch(-120)], 1, None),
    ],
)
def test_jobs_of_an_earlier_visit_do_not_count_once_the_agent_is_asked_for_again(
    dispatches: list[dict[str, Any]], jobs: int | None, before: bool | None
) -> None:
    found = look(*dispatches)
    assert (found["jobs"], found["jobs_before_person"]) == (jobs, before)


@pytest.mark.parametrize(
    ("dispatches", "ended"),
    [
        ([dispatch(-300)], None),
        ([dispatch(-300, job(-300))], False),
        ([dispatch(-300, job(-300, "JS_FAILED"), job(-290, "JS_SUCCESS"))], True),
        ([dispatch(-300, job(-300, "JS_FAILED"), job(-290, "JS_PENDING"))], False),
        ([dispatch(VISIT_BEFORE, job(VISIT_BEFORE, "JS_SUCCESS")), dispatch(-300, job(-300))], False),
    ],
)
def test_whether_the_jobs_that_count_have_ended(dispatches: list[dict[str, Any]], ended: bool | None) -> None:
    assert look(*dispatches)["jobs_ended"] is ended


def test_of_who_does_not_wait_all_jobs_count() -> None:
    found = look(dispatch(VISIT_BEFORE, job(VISIT_BEFORE)), dispatch(-300, job(-300)), waiting_since=None)
    assert (found["jobs"], found["jobs_before_person"]) == (2, None)


def test_times_are_moved_where_there_are_any() -> None:
    moved = shifted([dispatch(0, job(-5), job(0))], 60.0)
    assert (moved[0]["created_at"], [each["started_at"] for each in moved[0]["jobs"]]) == (NOW + 60, [NOW + 55, 0.0])
