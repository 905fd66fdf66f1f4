# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches one room for an agent, look by look, and notes how far it comes: accepted, joined, ready, audible, heard.

Only the list of participants proves that an agent joined; of a dispatch, the only trustworthy news is that no job was
accepted, and when one was (seen of livekit-server 1.13). Even that is late: see L(LISTED_AFTER_S). Audible means that
the server sees an audio track of the agent, heard that sound in it was received.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import room_agents
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError

# How long one look may take.
LOOK_S = 10.0
# livekit-server lists a job only when it has asked all its nodes for workers, which it does anew once a minute, and
# whenever a worker registers. That takes 5 s, in which an agent that is in the room already has no job.
LISTED_AFTER_S = 6.0
_READY_STATES = ("listening", "thinking", "speaking")


@dataclass
class Watch:
    """What was seen of one room so far; kept when the watching breaks off."""

    room: str
    agent_name: str = ""
    requested: bool | None = None
    accepted: bool | None = None
    joined_after_s: float | None = None
    accepted_after_s: float | None = None
    ready: bool | None = None
    ready_after_s: float | None = None
    audible: bool | None = None
    audible_after_s: float | None = None
    listened: bool = False
    heard: bool | None = None
    heard_after_s: float | None = None
    path: int | None = None
    second_dispatch: str | None = None
    watched_s: float = 0.0
    gone: bool = False
    agent_state: str | None = None
    left_again: bool | None = None
    limit_reached: bool = False
    cleaned_up: bool = False
    limits: list[str] = field(default_factory=list)

    def joined(self, seconds: float) -> bool | None:
        """Whether an agent joined; False only if C(seconds) of its absence were watched."""
        if self.joined_after_s is not None:
            return True
        return False if self.watched_s >= seconds and not self.gone else None

    def complete(self) -> bool:
        """Whether there is nothing more to wait for: the agent is as far as it is watched, or has left again."""
        heard = self.heard or not self.listened
        return self.left_again is not False or bool(self.ready and self.audible and heard)


def look(api: Api, watch: Watch, began: float) -> bool:
    """Look who is in the room; return whether an agent is active. A look that fails is noted once."""
    try:
        inside = api.participants([watch.room], time.monotonic() + LOOK_S).get(watch.room, [])
    except LiveKitError as error:
        if error.reason == "unauthenticated":
            raise
        note(watch, f"the room's participants could not always be listed: {error}")
        return False
    elapsed = time.monotonic() - began
    agent = next(iter(room_agents.ours(room_agents.present(inside), watch.agent_name, None)), None)
    if agent is None:
        if watch.joined_after_s is None:
            watch.watched_s = elapsed
        else:
            watch.left_again = True
        return False
    watch.agent_state = agent["state"]
    if watch.joined_after_s is None:
        watch.watched_s = elapsed
        if agent["state"] == "ACTIVE":
            watch.joined_after_s = round(elapsed, 2)
            watch.accepted = True
            watch.left_again = False
    _note_levels(watch, agent, elapsed)
    return watch.joined_after_s is not None


def _note_levels(watch: Watch, agent: dict[str, Any], elapsed: float) -> None:
    """Note how ready and how audible the agent in the room is, and since when."""
    told = agent["attributes"].get("lk.agent.state")
    if told:
        watch.ready = told in _READY_STATES
    if watch.joined_after_s is not None:
        watch.audible = watch.audible or any(track["type"] == "AUDIO" for track in agent["tracks"])
    if watch.ready and watch.ready_after_s is None:
        watch.ready_after_s = round(elapsed, 2)
    if watch.audible and watch.audible_after_s is None:
        watch.audible_after_s = round(elapsed, 2)


def look_at_dispatches(api: Api, watch: Watch) -> None:
    """See whether a worker accepted a job, and of which dispatch. Whether the job goes on is not told truly."""
    try:
        dispatches = api.dispatches(watch.room, time.monotonic() + LOOK_S)
    except LiveKitError as error:
        note(watch, f"the room's dispatches could not always be listed: {error}")
        return
    accepted = [item for item in dispatches if item["jobs"]]
    watch.requested = bool(dispatches)
    watch.accepted = bool(accepted) or watch.joined_after_s is not None
    if accepted:
        watch.path = 2 if [item["id"] for item in accepted] == [watch.second_dispatch] else 1
        watch.accepted_after_s = accepted_after_s(accepted)


def accepted_after_s(dispatches: list[dict[str, Any]]) -> float | None:
    """Seconds, by LiveKit's own clock, from a dispatch to the first job that a worker accepted; None if not told."""
    times = [
        job["started_at"] - item["created_at"]
        for item in dispatches
        for job in item["jobs"]
        if job["started_at"] and item["created_at"]
    ]
    return round(max(0.0, min(times)), 2) if times else None


def note(watch: Watch, limit: str) -> None:
    """Note once what limits what the watching proves."""
    if limit not in watch.limits:
        watch.limits.append(limit)
