# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done limits what may be done: the cool-down, the budget, the stop rule, and clocks that were set back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import ledger
from ansible_collections.voiceops.livekit.plugins.module_utils.ledger import Limits

NOW = 1770418152.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WIDE = Limits(cooldown_s=0, per_hour=100, per_day=100)
RESTART = MappingProxyType({"id": "restart_agent", "harmless": False})
DEPLOY = MappingProxyType({"id": "redeploy_agent", "harmless": False})
ASK = MappingProxyType({"id": "redispatch", "harmless": True})
FILE = Path("ledger")


def did(
    ago: float, remedy: Mapping[str, Any] = RESTART, outcome: str = "helped", run: str = "earlier"
) -> dict[str, Any]:
    return {
        "at": NOW - ago,
        "run": run,
        "cause": "c",
        "remedy": remedy["id"],
        "harmless": remedy["harmless"],
        "outcome": outcome,
    }


def verdict(
    entries: list[dict[str, Any]], remedy: Mapping[str, Any] = DEPLOY, limits: Limits = WIDE, run: str = "now"
) -> str | None:
    found = ledger.refusal(entries, remedy, run, NOW, limits, FILE)
    return found.verdict if found else None


def test_it_is_kept_in_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    assert ledger.read(tmp_path, "a") == []
    entry = {"run": "r", "cause": "c", "remedy": "restart_agent", "harmless": False}
    ledger.write(tmp_path, "a", ledger.started([], entry, NOW), NOW)
    assert ledger.read(tmp_path, "a") == [{**entry, "at": NOW, "outcome": "started"}]
    assert ledger.path_of(tmp_path, "a").stat().st_mode & 0o777 == 0o600
    ledger.write(tmp_path, "a", ledger.ended(ledger.read(tmp_path, "a"), "r", "restart_agent", "helped"), NOW)
    assert [item["outcome"] for item in ledger.read(tmp_path, "a")] == ["helped"]


def test_entries_older_than_thirty_days_are_dropped(tmp_path: Path) -> None:
    ledger.write(tmp_path, "a", [did(31 * DAY), did(29 * DAY)], NOW)
    assert [NOW - item["at"] for item in ledger.read(tmp_path, "a")] == [29 * DAY]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"at": "x"}]', '[{"at": 1}]', "\xff"])
def test_a_damaged_file_is_no_empty_one(tmp_path: Path, text: str) -> None:
    ledger.path_of(tmp_path, "a").write_bytes(text.encode("latin-1"))
    with pytest.raises(ledger.LedgerError, match=r"a\.ledger\.json: expected a list of what was done"):
        ledger.read(tmp_path, "a")


def test_the_end_of_an_act_is_noted_for_its_run_and_remedy_alone() -> None:
    entries = [did(9, run="x", outcome="started"), did(8, DEPLOY, "started", "x"), did(7, outcome="started", run="y")]
    assert [item["outcome"] for item in ledger.ended(entries, "x", "restart_agent", "failed")] == [
        "failed",
        "started",
        "started",
    ]


def test_nothing_done_so_far_forbids_nothing() -> None:
    assert verdict([]) is None


@pytest.mark.parametrize(("ago", "expected"), [(599.0, "blocked"), (601.0, None)])
def test_the_cool_down_lies_between_runs(ago: float, expected: str | None) -> None:
    limits = WIDE._replace(cooldown_s=600)
    assert verdict([did(ago)], limits=limits) == expected
    assert verdict([did(ago)], limits=limits, run="earlier") is None


@pytest.mark.parametrize(("ago", "expected"), [(59 * MINUTE, "blocked"), (61 * MINUTE, None)])
def test_the_budget_of_an_hour(ago: float, expected: str | None) -> None:
    entries = [did(ago, {"id": "a", "harmless": False}), did(ago, {"id": "b", "harmless": False})]
    assert verdict(entries, limits=WIDE._replace(per_hour=2)) == expected
    assert verdict(entries, limits=WIDE._replace(per_hour=3)) is None


@pytest.mark.parametrize(("ago", "expected"), [(23 * HOUR, "blocked"), (25 * HOUR, None)])
def test_the_budget_of_a_day(ago: float, expected: str | None) -> None:
    entries = [did(ago, {"id": name, "harmless": False}) for name in "abcd"]
    assert verdict(entries, limits=WIDE._replace(per_day=4)) == expected
    assert verdict(entries, limits=WIDE._replace(per_day=5)) is None


@pytest.mark.parametrize("outcome", ["helped", "failed", "started"])
def test_never_the_same_remedy_a_third_time_a_day(outcome: str) -> None:
    twice = [did(HOUR, outcome="helped"), did(2 * HOUR, outcome=outcome)]
    assert verdict(twice, RESTART) == "skip"
    assert verdict(twice[:1], RESTART) is None
    assert verdict([did(25 * HOUR), *twice[:1]], RESTART) is None


@pytest.mark.parametrize("outcome", ["failed", "started"])
def test_after_two_failures_only_a_person_goes_on(outcome: str) -> None:
    failures = [did(2 * HOUR, outcome=outcome), did(HOUR, DEPLOY, outcome)]
    found = ledger.refusal(failures, {"id": "rollback_agent", "harmless": False}, "now", NOW, WIDE, FILE)
    assert found is not None
    assert found.verdict == "needs_human"
    assert "restart_agent, redeploy_agent" in found.because
    assert "2026-02-07T20:49:12" in found.because
    assert verdict([failures[0], did(90 * MINUTE), failures[1]]) is None


def test_what_is_harmless_costs_nothing_and_stops_only_itself() -> None:
    asked = [did(minute * MINUTE, ASK, "failed") for minute in (1, 2)]
    tight = Limits(cooldown_s=600, per_hour=1, per_day=1)
    assert verdict(asked, RESTART, tight) is None
    assert verdict(asked, ASK, tight) == "skip"
    assert verdict([did(1, ASK, "helped"), did(2, ASK, "helped"), did(3, ASK, "failed")], ASK, tight) is None


@pytest.mark.parametrize("back", [1.0, 3 * HOUR, 400 * DAY])
def test_a_clock_that_was_set_back_opens_nothing(back: float) -> None:
    limits = Limits(cooldown_s=600, per_hour=1, per_day=9)
    assert verdict([did(-back)], limits=limits) == "blocked"
    assert verdict([did(-back), did(-back)], RESTART) == "skip"


def test_a_folder_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        ledger.write(tmp_path / "nowhere", "a", [], NOW)


@pytest.mark.parametrize(
    ("entries", "remedy"),
    [
        ([did(9 * HOUR), did(5 * HOUR, DEPLOY, "failed"), did(2 * HOUR, RESTART, "failed")], DEPLOY),
        ([did(9 * HOUR, ASK), did(5 * HOUR, DEPLOY), did(2 * HOUR, DEPLOY)], DEPLOY),
        ([did(9 * HOUR, ASK, "failed"), did(5 * HOUR, ASK, "failed"), did(2 * HOUR, ASK, "failed")], ASK),
    ],
    ids=["two failures", "twice done", "asked three times"],
)
def test_when_it_may_be_tried_again_is_told_by_what_counts_and_is_so(
    entries: list[dict[str, Any]], remedy: Mapping[str, Any]
) -> None:
    found = ledger.refusal(entries, remedy, "now", NOW, WIDE, FILE)
    assert found is not None
    # 19 hours from now, when the one of 5 hours ago is a day old.
    assert "After 2026-02-07T17:49:12.000Z, or once ledger is moved away" in found.because
    assert ledger.refusal(entries, remedy, "now", NOW + 19 * HOUR - 1, WIDE, FILE) is not None
    assert ledger.refusal(entries, remedy, "now", NOW + 19 * HOUR, WIDE, FILE) is None
