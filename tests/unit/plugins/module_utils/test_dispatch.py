# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a waiting person proves of the dispatch, and what the module promises to return."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import SIGNALS, from_waiting_room, not_run
from ansible_collections.voiceops.livekit.plugins.modules import dispatch_probe


def judge(**signals: Any) -> dict[str, Any]:
    client = {"room": "r", "waiting_seconds": 120.0, "agent_state": None, "dispatches": 1, "jobs": 0, **signals}
    result = from_waiting_room({"layer": "client", "signals": client}, 90.0)
    assert set(result["signals"]) == set(SIGNALS)
    return result


def test_a_person_who_has_waited_long_enough_is_the_test() -> None:
    result = judge()
    signals = result["signals"]
    assert result["state"] == "faulty"
    assert (signals["ran"], signals["source"], signals["joined"]) == (True, "waiting_room", False)
    assert (signals["requested"], signals["accepted"], signals["wait_s"]) == (True, False, 120.0)
    assert (signals["deadline_s"], signals["scaled"], signals["cleaned_up"]) == (90.0, None, None)


@pytest.mark.parametrize("waited", [0.0, 89.9, None])
def test_one_who_has_not_proves_nothing(waited: float | None) -> None:
    result = judge(waiting_seconds=waited)
    assert (result["state"], result["signals"]["ran"], result["signals"]["joined"]) == ("unknown", False, None)
    assert "a test takes 90 s" in result["signals"]["why_not"]


@pytest.mark.parametrize(
    ("asked_at", "waited"),
    [("22:50:52", 8.0), ("22:49:30", 90.0), ("22:40:00", 120.0), ("22:52:00", 0.0), (None, 120.0)],
)
def test_who_asks_later_waits_from_then_on(asked_at: str | None, waited: float) -> None:
    asked = asked_at and f"2026-02-06T{asked_at}.000Z"
    signals = judge(waiting_since="2026-02-06T22:49:00.000Z", asked_at=asked)["signals"]
    assert (signals["wait_s"], signals["asked_at"]) == (waited, asked)
    assert signals["joined"] is (False if waited >= 90 else None)


@pytest.mark.parametrize(
    ("dispatches", "jobs", "requested", "accepted"),
    [(0, 0, False, False), (2, 1, True, True), (None, None, None, None)],
)
def test_the_dispatches_of_the_room(
    dispatches: int | None, jobs: int | None, requested: bool | None, accepted: bool | None
) -> None:
    signals = judge(dispatches=dispatches, jobs=jobs)["signals"]
    assert (signals["requested"], signals["accepted"], signals["joined"]) == (requested, accepted, False)


@pytest.mark.parametrize("names", [["voice-agent", ""], [], None])
def test_whom_the_room_asks_for(names: list[str] | None) -> None:
    assert judge(dispatch_names=names)["signals"]["asked_names"] == names


def test_an_agent_on_its_way_is_neither() -> None:
    signals = judge(agent_state="JOINED")["signals"]
    assert (signals["joined"], signals["agent_state"]) == (None, "JOINED")


def test_a_served_person_is_a_test_too() -> None:
    result = judge(agent_state="ACTIVE", waiting_seconds=None, dispatches=None, jobs=None)
    signals = result["signals"]
    assert result["state"] == "healthy"
    assert (signals["ran"], signals["joined"], signals["accepted"]) == (True, True, True)
    assert signals["joined_after_s"] is None


@pytest.mark.parametrize("client", [{}, {"signals": None}, {"signals": {"room": None}}])
def test_without_a_room_there_was_no_test(client: dict[str, Any]) -> None:
    signals = from_waiting_room(client, 9.0)["signals"]
    assert (signals["ran"], signals["source"], signals["joined"], signals["scaled"]) == (False, "none", None, 0.1)


def test_no_test_says_why() -> None:
    result = not_run("because", 90, 25)
    assert (result["state"], result["signals"]["why_not"], result["limits"]) == ("unknown", "because", ["because"])


def test_every_signal_is_documented() -> None:
    record = yaml.safe_load(dispatch_probe.RETURN)["record"]["contains"]
    assert set(record["signals"]["contains"]) == set(SIGNALS)
    assert set(record) == {*not_run("", 90, 25), "probes"}
    types = {name: text.partition(":")[0] for name, text in SIGNALS.items()}
    assert {name: item["type"] for name, item in record["signals"]["contains"].items()} == types
