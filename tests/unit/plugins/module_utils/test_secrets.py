# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lk's recorded answers mean for the agent's secrets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.layers.secrets import SIGNALS, collect, judge

RECORDED = Path(__file__).parents[2] / "fixtures" / "lk"
REQUIRED = ["NEXT_APP_URL", "INTERNAL_SERVICE_KEY", "OPENAI_API_KEY"]


def gather(version: str, **more: Any) -> dict[str, Any]:
    options = {
        "lk": str(RECORDED / "fake-lk"),
        "lk_environment": {"LK_RECORDED": str(RECORDED / version)},
        "agent_id": "CA_abc123def456",
        "required_secrets": REQUIRED,
        **more,
    }
    result = collect(options, time.monotonic() + 30)
    assert set(result["signals"]) == set(SIGNALS)
    return result


@pytest.mark.parametrize("version", ["2.13.2", "2.18.2", "2.18.2-tables"])
def test_all_are_present_in_every_version(version: str) -> None:
    result = gather(version)
    signals = result["signals"]
    assert result["state"] == "healthy"
    assert signals["names"] == REQUIRED
    assert (signals["missing"], signals["all_present"]) == ([], True)
    assert signals["updated_at"]["NEXT_APP_URL"] == "2026-02-04T10:12:30Z"
    assert (signals["last_change"], signals["changed_together"]) == ("2026-02-04T10:12:31Z", True)
    assert [event["what"] for event in result["events"]] == [
        "secrets were set: NEXT_APP_URL",
        "secrets were set: INTERNAL_SERVICE_KEY, OPENAI_API_KEY",
    ]


def test_a_missing_one_is_named() -> None:
    result = gather("2.5.0")
    assert (result["state"], result["summary"]) == ("faulty", "missing: OPENAI_API_KEY")
    assert result["signals"]["all_present"] is False


def test_an_empty_list_misses_all() -> None:
    assert gather("2.16.4")["signals"]["missing"] == REQUIRED


def test_those_that_livekit_sets_are_never_missing() -> None:
    assert gather("2.13.2", required_secrets=["LIVEKIT_URL", "NEXT_APP_URL"])["signals"]["missing"] == []


def test_where_none_is_required_none_can_be_said_to_be_there() -> None:
    result = gather("2.13.2", required_secrets=[])
    assert (result["state"], result["signals"]["all_present"], result["signals"]["missing"]) == ("unknown", None, [])
    assert "voiceops_required_secrets is empty: no secret can be missed" in result["limits"]


@pytest.mark.parametrize("required", ["NEXT_APP_URL", [5], {"a": 1}])
def test_required_names_are_a_list(required: Any) -> None:
    result = gather("2.13.2", required_secrets=required)
    assert result["state"] == "unknown"
    assert result["summary"].startswith("voiceops_required_secrets: expected a list of names, got ")


def test_no_lk_no_knowledge() -> None:
    result = gather("2.13.2", lk="no-such-lk")
    assert result["state"] == "unknown"
    assert set(result["signals"].values()) == {None}


@pytest.mark.parametrize(
    ("times", "together"),
    [
        (["2026-02-04T10:00:00Z", "2026-02-04T10:00:02Z"], True),
        (["2026-02-04T10:00:00Z", "2026-02-04T10:00:03Z"], False),
        (["2026-02-04T10:00:00Z"], None),
        (["2026-02-04T10:00:00Z", None, "2026-02-04T10:00:01Z"], None),
        ([], None),
    ],
)
def test_changed_together(times: list[str | None], together: bool | None) -> None:
    updated_at = {f"NAME_{number}": time for number, time in enumerate(times)}
    assert judge(updated_at, [], "")["signals"]["changed_together"] is together
