# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of one look at the agent after the other, once something was done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_watch, lk
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import Ending, Look, Watch, follow

SETTLE_S = 60.0


def looked(
    status: str = "Running", version: str = "v1", *, crashes: int | None = None, more: tuple[str, ...] = ()
) -> Look:
    """A look at an agent whose version serves in one region, and in one for each status in C(more)."""
    rows = [{"status": each, "version": version, "replicas": 1, "deployed_at": None} for each in (status, *more)]
    return Look(rows, [{"version": version, "current": True, "status": status, "commit": None}], crashes)


def building(status: str) -> Look:
    """A look while version v1 still serves, and v2 has a status."""
    seen = looked()
    return seen._replace(versions=[{"version": "v2", "current": False, "status": status}, *seen.versions])


def is_new(version: str) -> bool:
    return version != "v1"


def watched(*looks: tuple[float, Look], **options: Any) -> Ending | None:
    """Let a watch that began at 0 s take in looks at their seconds; give how it ended, None if it did not."""
    watch = Watch(options.pop("before", looked("Sleeping")), SETTLE_S, 0.0, **options)
    for at, seen in looks:
        ending = watch.take(seen, at)
        if ending:
            return ending
    return None


def state(ending: Ending | None) -> tuple[str, bool] | None:
    return (ending.state, ending.seen) if ending else None


def test_running_is_believed_when_it_is_seen_twice_in_a_row() -> None:
    assert watched((1, looked())) is None
    assert state(watched((1, looked()), (3, looked()))) == ("running", True)
    assert watched((1, looked()), (3, looked("Scheduling")), (5, looked())) is None


def test_every_region_must_run() -> None:
    assert watched((1, looked(more=("Scheduling",))), (3, looked(more=("Scheduling",)))) is None
    assert state(watched((1, looked(more=("Running",))), (3, looked(more=("Running",))))) == ("running", True)


def test_a_status_that_no_document_lists_is_neither_good_nor_bad() -> None:
    assert watched(*((at, looked("Pondering")) for at in range(1, 200))) is None


def test_a_change_that_nothing_shows_ends_as_running_only_after_a_while() -> None:
    same = {"before": looked()}
    assert watched((1, looked()), (3, looked()), **same) is None
    assert state(watched((1, looked()), (3, looked()), (61, looked()), **same)) == ("running", False)
    assert state(watched((1, looked()), (3, looked()), restarted=lambda: True, **same)) == ("running", True)


def test_a_failure_counts_when_it_lasts() -> None:
    crash = looked("CrashLoop", crashes=3)
    assert watched((1, crash), (50, crash)) is None
    ending = watched((1, crash), (62, crash))
    assert state(ending) == ("failed", True)
    assert ending is not None
    assert ending.why == "LiveKit says CrashLoop of version v1, and counts 3 crashes"
    # One look in between at which it runs does not take that back: a program that crashes at its start runs before.
    assert state(watched((1, crash), (20, looked(crashes=3)), (40, crash), (62, crash))) == ("failed", True)


def test_an_agent_that_recovers_from_a_failure_runs() -> None:
    assert state(watched((1, looked("Error")), (20, looked()), (22, looked()))) == ("running", True)


def test_crashes_that_go_on_count_though_the_status_says_running() -> None:
    crashing = [(float(at), looked(crashes=at)) for at in range(1, 80, 2)]
    assert state(watched(*crashing)) == ("failed", True)


def test_sleep_counts_when_it_lasts_and_proves_nothing() -> None:
    asleep = looked("Sleeping")
    assert watched((1, asleep), (50, asleep)) is None
    assert state(watched((1, asleep), (62, asleep), before=looked())) == ("asleep", True)


def test_a_new_version_is_waited_for_in_every_region() -> None:
    new = looked(version="v2")
    mixed = new._replace(rows=[*new.rows, {**new.rows[0], "version": "v1"}])
    assert watched((1, mixed), (3, mixed), wanted=is_new) is None
    assert state(watched((1, mixed), (3, new), (5, new), wanted=is_new)) == ("running", True)


def test_the_version_before_does_not_pass_for_the_new_one() -> None:
    assert watched(*((at, building("Building")) for at in range(1, 50)), wanted=is_new) is None


def test_a_failed_build_is_final_and_another_failure_is_when_it_lasts() -> None:
    ending = watched((1, building("Build Failed")), wanted=is_new)
    assert (state(ending), ending and ending.why) == (("failed", False), "LiveKit says Build Failed of version v2")
    assert watched((1, building("Server Error")), (50, building("Server Error")), wanted=is_new) is None
    assert state(watched((1, building("Server Error")), (62, building("Server Error")), wanted=is_new)) == (
        "failed",
        False,
    )


def test_a_version_that_is_never_listed_was_not_deployed() -> None:
    ending = watched((1, looked()), (59, looked()), (61, looked()), wanted=is_new)
    assert state(ending) == ("failed", False)
    assert ending is not None
    assert ending.why == "LiveKit lists no new version, and v1 serves"


class Clock:
    """A clock that goes on only when one sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(agent_watch, "time", made)
    return made


def looks(monkeypatch: pytest.MonkeyPatch, *answers: Look | lk.LkError) -> None:
    """Let the looks have these answers, the last one for ever."""
    rest = list(answers)

    def look(session: object, deadline: float) -> Look:
        answer = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(answer, lk.LkError):
            raise answer
        return answer

    monkeypatch.setattr(agent_watch, "look", look)


def followed(before: Look, within_s: float = 300.0) -> Ending:
    watch: Callable[..., Watch] = Watch
    session: Any = None
    return follow(session, watch(before, SETTLE_S, 1000.0), 1000.0 + within_s, before)[0]


@pytest.mark.parametrize("reason", ["network", "unavailable", "timeout", "failed"])
def test_a_look_that_fails_for_what_may_pass_is_left_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    looks(monkeypatch, looked(), lk.LkError(reason, "gone"), looked())
    assert followed(looked("Sleeping")).state == "running"
    assert clock.pauses == [2.0, 2.0]


def test_too_many_calls_are_followed_by_a_longer_pause(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, lk.LkError("rate_limited", "too many"), looked())
    assert followed(looked("Sleeping")).state == "running"
    assert clock.pauses == [10.0, 2.0]


def test_a_look_that_will_never_go_well_ends_the_watch(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, lk.LkError("unauthorized", "refused"))
    with pytest.raises(lk.LkError, match="refused"):
        followed(looked("Sleeping"))
    assert clock.pauses == []


def test_at_the_deadline_the_last_look_and_the_last_trouble_are_told(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, looked("Scheduling"), lk.LkError("network", "no route"))
    ending = followed(looked("Sleeping"), within_s=30.0)
    assert (ending.state, ending.why) == (
        "late",
        "LiveKit says Scheduling of version v1; the last look failed: no route",
    )
    assert clock.now <= 1030.0
