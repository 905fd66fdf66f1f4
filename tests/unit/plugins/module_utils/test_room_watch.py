# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a look into a room takes for our agent."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.room_watch import Watch, look


class Room:
    """Stands for the API: one room, and who is in it."""

    def __init__(self, *inside: dict[str, Any]) -> None:
        self._inside = list(inside)

    def participants(self, rooms: list[str], _deadline: float) -> dict[str, list[dict[str, Any]]]:
        return {rooms[0]: self._inside}


def agent(state: str = "ACTIVE", **attributes: str) -> dict[str, Any]:
    told = {f"lk.{name}": value for name, value in attributes.items()}
    return {"identity": "agent-1", "kind": "AGENT", "state": state, "attributes": told, "tracks": []}


@pytest.mark.parametrize(
    ("inside", "joined"),
    [
        ([agent()], True),
        ([agent(agent_name="voice")], True),
        ([agent(agent_name="note-taker")], False),
        ([agent(agent_name="note-taker"), agent(agent_name="voice")], True),
        ([agent("DISCONNECTED")], False),
        ([agent(publish_on_behalf="agent-0")], False),
    ],
)
def test_whom_a_look_takes_for_our_agent(inside: list[dict[str, Any]], joined: bool) -> None:
    watch = Watch("r", agent_name="voice")
    assert look(Room(*inside), watch, time.monotonic()) is joined  # type: ignore[arg-type]
