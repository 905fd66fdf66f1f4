# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells our agent from those of other teams in the same project.

An agent is another's if it tells another dispatch name than ours, or if the job that brought it was of a dispatch by
another name. One that tells nothing may be ours, and so may a room that asks for a name which no agent is known to
have: there, our agent may be asked for by a wrong name.

An avatar, which publishes an agent's voice and its picture, is no agent: nobody dispatched it, and it answers nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Room = dict[str, Any]
_OTHERS = (
    "People are with agents of other names ({}) than ours ({!r}), so who waits for it is not known: set"
    " voiceops_agent_name to have them told apart"
)


def told_name(agent: Mapping[str, Any]) -> str:
    """Return the dispatch name that an agent tells by its attributes, the worker's or the server's; empty if none."""
    attributes = agent["attributes"]
    return str(attributes.get("lk.agent.name") or attributes.get("lk.agent_name") or "")


def _speaks_for(agent: Mapping[str, Any]) -> str:
    """Return the identity of the agent that an avatar publishes for; empty if it is none."""
    return str(agent["attributes"].get("lk.publish_on_behalf") or "")


def present(inside: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the agents among a room's participants that are in it or get into it, each with its avatars' tracks."""
    here = [item for item in inside if item["kind"] == "AGENT" and item["state"] != "DISCONNECTED"]
    return [_with_avatars(item, here) for item in here if not _speaks_for(item)]


def _with_avatars(agent: dict[str, Any], here: list[dict[str, Any]]) -> dict[str, Any]:
    lent = [track for item in here if _speaks_for(item) == agent["identity"] for track in item["tracks"]]
    return {**agent, "tracks": [*agent["tracks"], *lent]}


def gone(inside: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the agents that LiveKit lists as disconnected, and the avatars whose agent it lists no more."""
    agents = [item for item in inside if item["kind"] == "AGENT"]
    left = [item for item in agents if not _speaks_for(item) and item["state"] == "DISCONNECTED"]
    listed = {item["identity"] for item in agents}
    return left + [item for item in agents if _speaks_for(item) and _speaks_for(item) not in listed]


def ours(agents: list[dict[str, Any]], name: str, dispatches: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the agents that may be the one with that dispatch name; all of them if C(name) is empty."""
    made_for = {job["identity"]: item["agent_name"] for item in dispatches or [] for job in item["jobs"]}
    return [agent for agent in agents if not name or (told_name(agent) or _asked_as(agent, made_for) or name) == name]


def _asked_as(agent: dict[str, Any], made_for: Mapping[str, str]) -> str | None:
    """Return the name by which the job of an agent, or of who an avatar was there for, was asked for."""
    return made_for.get(_speaks_for(agent) or agent["identity"])


def tell_apart(rooms: list[Room], name: str, listed: Callable[[Room], list[dict[str, Any]] | None]) -> list[Room]:
    """Return the rooms with C(agents) that may be ours alone, C(dispatches), C(asks_for_ours) and C(of_others).

    C(listed) gives a room's dispatches, None if they are not known; it is asked about rooms with people in which no
    agent tells our name. C(of_others) is true if a room asks by name for agents alone that are known to be others'.
    Rooms are returned as they are if C(name) is empty.
    """
    if not name:
        return rooms
    others = {told_name(agent) for room in rooms for agent in room["agents"]} - {"", name}
    told = []
    for room in rooms:
        unclear = room["people"] and all(told_name(agent) != name for agent in room["agents"])
        dispatches = listed(room) if unclear else None
        others |= {item["agent_name"] for item in dispatches or [] if item["jobs"]} - {"", name}
        agents: dict[str, Any] = {
            side: ours(room[side], name, dispatches) for side in ("agents", "gone") if side in room
        }
        told.append({**room, **agents, "dispatches": dispatches})
    for room in told:
        asked = {item["agent_name"] for item in room["dispatches"] or []} - {""}
        room["asks_for_ours"] = name in asked
        room["of_others"] = bool(asked) and asked <= others
    return told


def may_be_ours(dispatches: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the dispatches that may be for the agent of that name: also those without one; all if C(name) is empty."""
    return [item for item in dispatches if not name or item["agent_name"] in ("", name)]


def named_alone(rooms: list[Room]) -> list[str]:
    """Name the agents of the rooms with people in which every agent tells its name, each once."""
    names = [[told_name(agent) for agent in room["agents"]] for room in rooms if room["people"]]
    return sorted({name for each in names if all(each) for name in each})


def doubt_others(client: dict[str, Any], name: str | None) -> None:
    """Take back what the record C(client) counted before our agent's name was known, if another's was counted in."""
    others = [other for other in client["signals"].get("served_by_names") or [] if other != name]
    if name is not None and others:
        client["signals"].update(dict.fromkeys(("waiting", "served")))
        client["limits"] = [*(client.get("limits") or []), _OTHERS.format(", ".join(others), name)]
