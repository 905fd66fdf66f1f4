# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose agents those in the project's rooms are."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.room_agents import (
    doubt_others,
    gone,
    may_be_ours,
    ours,
    present,
    tell_apart,
)


def agent(identity: str, name: str = "", state: str = "ACTIVE") -> dict[str, Any]:
    attributes = {"lk.agent.name": name} if name else {}
    return {"identity": identity, "kind": "AGENT", "state": state, "attributes": attributes, "tracks": []}


def avatar(of: str, state: str = "ACTIVE") -> dict[str, Any]:
    return {**agent(f"face of {of}", state=state), "attributes": {"lk.publish_on_behalf": of}, "tracks": [{"of": of}]}


def dispatch(name: str, *identities: str) -> dict[str, Any]:
    return {"agent_name": name, "jobs": [{"identity": identity} for identity in identities]}


def room(*agents: dict[str, Any], people: int = 1) -> dict[str, Any]:
    return {"name": "r", "people": [{}] * people, "agents": list(agents)}


@pytest.mark.parametrize(
    ("name", "dispatches", "expected"),
    [
        ("voice", None, ["told", "untold"]),
        ("voice", [dispatch("quiz", "untold")], ["told"]),
        ("voice", [dispatch("", "untold")], ["told", "untold"]),
        ("", [dispatch("quiz", "untold")], ["told", "others", "untold"]),
    ],
)
def test_which_agents_may_be_ours(name: str, dispatches: list[dict[str, Any]] | None, expected: list[str]) -> None:
    agents = [agent("told", "voice"), agent("others", "quiz"), agent("untold")]
    assert [each["identity"] for each in ours(agents, name, dispatches)] == expected


def test_who_has_left_is_not_in_the_room() -> None:
    inside = [agent("here"), agent("left", state="DISCONNECTED"), {**agent("person"), "kind": "STANDARD"}]
    assert [each["identity"] for each in present(inside)] == ["here"]
    assert [each["identity"] for each in gone(inside)] == ["left"]


def test_an_avatar_is_no_agent_and_lends_its_tracks_to_its_own() -> None:
    inside = [avatar("a"), agent("a"), agent("b")]
    assert [(each["identity"], each["tracks"]) for each in present(inside)] == [("a", [{"of": "a"}]), ("b", [])]


@pytest.mark.parametrize(
    ("inside", "left"),
    [
        ([avatar("a"), agent("b")], ["face of a"]),
        ([avatar("a", "DISCONNECTED"), agent("a")], []),
        ([avatar("a"), agent("a", state="DISCONNECTED")], ["a"]),
    ],
)
def test_an_avatar_whose_agent_is_not_listed_tells_that_it_was(inside: list[dict[str, Any]], left: list[str]) -> None:
    assert [each["identity"] for each in gone(inside)] == left


@pytest.mark.parametrize(("name", "left"), [("quiz", []), ("voice", ["face of a"])])
def test_whose_an_avatar_was_is_told_by_the_job_of_its_agent(name: str, left: list[str]) -> None:
    assert [each["identity"] for each in ours([avatar("a")], "voice", [dispatch(name, "a")])] == left


@pytest.mark.parametrize(
    ("elsewhere", "asked", "of_others"),
    [
        (room(agent("q", "quiz")), [dispatch("quiz")], True),
        (room(agent("q", "quiz"), people=0), [dispatch("quiz")], True),
        (room(agent("q", "quiz")), [dispatch("quiz"), dispatch("")], True),
        (room(agent("q", "quiz")), [dispatch("quiz"), dispatch("voice")], False),
        (room(agent("q", "quiz")), [dispatch("vioce")], False),
        (room(agent("q", "quiz")), [dispatch("")], False),
        (room(agent("q", "quiz")), None, False),
        (room(), [dispatch("quiz")], False),
        (room(), [dispatch("quiz", "accepted")], True),
    ],
)
def test_a_room_is_others_only_if_their_agents_are_known(
    elsewhere: dict[str, Any], asked: list[dict[str, Any]] | None, of_others: bool
) -> None:
    waits = {**room(), "name": "waits"}
    listed = {"waits": asked, "r": [dispatch("voice")]}
    told = tell_apart([elsewhere, waits], "voice", lambda each: listed[each["name"]])
    assert told[1]["of_others"] is of_others


def test_dispatches_are_asked_for_only_where_they_can_tell_something() -> None:
    asked = []
    tell_apart([room(agent("v", "voice")), room(agent("x"), people=0)], "voice", asked.append)
    assert asked == []


def test_dispatches_for_others_are_not_ours() -> None:
    dispatches = [dispatch("quiz"), dispatch(""), dispatch("voice")]
    assert [item["agent_name"] for item in may_be_ours(dispatches, "voice")] == ["", "voice"]
    assert may_be_ours(dispatches, "") == dispatches


@pytest.mark.parametrize(
    ("names", "name", "doubted"),
    [(["quiz"], "voice", True), (["quiz"], "", True), (["voice"], "voice", False), ([], "voice", False)],
)
def test_what_was_counted_before_our_name_was_known(names: list[str], name: str, doubted: bool) -> None:
    client = {"signals": {"served_by_names": names, "waiting": 0, "served": 1}, "limits": []}
    doubt_others(client, name)
    assert (client["signals"]["waiting"] is None) is doubted
    assert bool(client["limits"]) is doubted


def test_a_name_that_nobody_knows_raises_no_doubt() -> None:
    client = {"signals": {"served_by_names": ["quiz"], "waiting": 0}, "limits": []}
    doubt_others(client, None)
    assert client["signals"]["waiting"] == 0
