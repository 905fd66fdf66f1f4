# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in cloud's rooms: participants, dispatches, and what LiveKit's RoomService and AgentDispatchService answer.

Where the open source server is known it is followed, see tests/integration/test_real_server_answers.py: a room made
without agents gets one dispatch with an empty name; a dispatch for a name that no worker has is kept and gets no job; a
job stays JS_RUNNING whatever becomes of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from livekit.protocol import agent as agent_pb
from livekit.protocol import agent_dispatch as dispatch_pb
from livekit.protocol import models, room

from lab.cloud_agent import CloudAgent
from lab.cloud_clock import Clock
from lab.cloud_twirp import TwirpError

READY_DELAY = 0.3
"""Seconds from an agent's joining to its listening."""
TERMINATION_DELAY = 3.0
"""Seconds from a dispatch's deletion to its agent's leaving."""


class Rooms:
    """The rooms of the project, made from the scenario's C(cloud.rooms) and changed by requests and by the agent.

    C(call_back) is what the agent does as soon as it has joined a room.
    """

    def __init__(
        self,
        spec: list[dict[str, Any]],
        agent: CloudAgent | None,
        clock: Clock,
        call_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._call_back = call_back
        self._rooms: dict[str, _Room] = {}
        self.made = 0
        self.open(spec)

    def open(self, spec: list[dict[str, Any]]) -> None:
        """Add rooms with those in them."""
        self._rooms |= {item["name"]: _Room.of_scenario(item) for item in spec}

    def create(self, request: room.CreateRoomRequest) -> models.Room:
        """Make a room, or give the one that there is; only a new one gets its agents dispatched."""
        known = self._rooms.get(request.name)
        if known is None:
            self.made += 1
            known = self._rooms[request.name] = _Room(request.name, self._clock.now())
            known.info.empty_timeout = request.empty_timeout or 300
            known.info.departure_timeout = request.departure_timeout or 20
            known.info.max_participants = request.max_participants
            known.info.metadata = request.metadata
            for wanted in request.agents or [dispatch_pb.RoomAgentDispatch()]:
                self._dispatch(known, wanted)
        return known.message()

    def list(self, request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        """Give all rooms, or those named."""
        found = [item.message() for name, item in self._rooms.items() if not request.names or name in request.names]
        return room.ListRoomsResponse(rooms=found)

    def delete(self, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        """Close a room for everybody in it."""
        self._room(request.room)
        del self._rooms[request.room]
        return room.DeleteRoomResponse()

    def participants(self, request: room.ListParticipantsRequest) -> room.ListParticipantsResponse:
        """Give those in a room: nobody, if there is no such room."""
        known = self._rooms.get(request.room)
        return room.ListParticipantsResponse(participants=known.participants.values() if known else [])

    def participant(self, request: room.RoomParticipantIdentity) -> models.ParticipantInfo:
        """Give one of those in a room."""
        known = self._room(request.room)
        if request.identity not in known.participants:
            raise _missing("participant does not exist")
        return known.participants[request.identity]

    def remove(self, request: room.RoomParticipantIdentity) -> room.RemoveParticipantResponse:
        """Put one of those in a room out of it."""
        self.participant(request)
        del self._rooms[request.room].participants[request.identity]
        return room.RemoveParticipantResponse()

    def create_dispatch(self, request: dispatch_pb.CreateAgentDispatchRequest) -> dispatch_pb.AgentDispatch:
        """Ask for an agent; a room that is made for it also gets the dispatch that every new room gets."""
        if request.room not in self._rooms:
            self.create(room.CreateRoomRequest(name=request.room))
        return self._dispatch(self._room(request.room), request)

    def list_dispatches(self, request: dispatch_pb.ListAgentDispatchRequest) -> dispatch_pb.ListAgentDispatchResponse:
        """Give a room's dispatches, or the one named."""
        known = self._room(request.room)
        found = [item for key, item in known.dispatches.items() if request.dispatch_id in ("", key)]
        return dispatch_pb.ListAgentDispatchResponse(agent_dispatches=found)

    def delete_dispatch(self, request: dispatch_pb.DeleteAgentDispatchRequest) -> dispatch_pb.AgentDispatch:
        """Take a dispatch back; its agent leaves a little later."""
        known = self._room(request.room)
        if request.dispatch_id not in known.dispatches:
            raise _missing("dispatch ID not found")
        dispatch = known.dispatches.pop(request.dispatch_id)

        def leave(_at: float) -> None:
            for job in dispatch.state.jobs:
                known.participants.pop(job.state.participant_identity, None)

        self._clock.plan(self._clock.now() + TERMINATION_DELAY, leave)
        return dispatch

    def _room(self, name: str) -> _Room:
        if name not in self._rooms:
            raise _missing("requested room does not exist")
        return self._rooms[name]

    def _dispatch(
        self, known: _Room, wanted: dispatch_pb.CreateAgentDispatchRequest | dispatch_pb.RoomAgentDispatch
    ) -> dispatch_pb.AgentDispatch:
        """Note the dispatch in the room and offer it to the agent, should it have that name."""
        now = self._clock.now()
        dispatch = known.add_dispatch(wanted.agent_name, now)
        dispatch.metadata = wanted.metadata
        dispatch.deployment = wanted.deployment
        dispatch.attributes.update(wanted.attributes)
        agent = self._agent
        if agent is None or agent.name != wanted.agent_name:
            return dispatch
        identity = ""

        def accept(moment: float) -> None:
            nonlocal identity
            identity = known.add_job(dispatch, agent.id, moment)

        def join(moment: float) -> None:
            self._join(known, identity, agent.name, moment)

        agent.take(wanted.deployment, known.info.name, now, accept, join)
        return dispatch

    def _join(self, known: _Room, identity: str, agent_name: str, at: float) -> None:
        info = _participant(identity, "AGENT", at)
        info.attributes.update({"lk.agent.name": agent_name, "lk.agent.state": "initializing"})
        known.participants[identity] = info
        self._call_back()

        def listen(_at: float) -> None:
            info.attributes["lk.agent.state"] = "listening"
            info.tracks.append(_track("AUDIO", "MICROPHONE", False))
            info.is_publisher = True

        self._clock.plan(at + READY_DELAY, listen)


class _Room:
    """One room as LiveKit's messages."""

    def __init__(self, name: str, created_at: float) -> None:
        self.info = models.Room(
            sid=_new_id("RM"),
            name=name,
            creation_time=int(created_at),
            creation_time_ms=int(created_at * 1000),
        )
        self.participants: dict[str, models.ParticipantInfo] = {}
        self.dispatches: dict[str, dispatch_pb.AgentDispatch] = {}

    @classmethod
    def of_scenario(cls, spec: dict[str, Any]) -> _Room:
        known = cls(spec["name"], spec["created_at"])
        known.info.empty_timeout, known.info.departure_timeout = 300, 20
        known.info.max_participants = spec["max_participants"]
        for item in spec["participants"]:
            info = _participant(item["identity"], item["kind"], item["joined_at"], item["state"])
            info.attributes.update(item["attributes"])
            info.tracks.extend(_track(track["type"], track["source"], track["muted"]) for track in item["tracks"])
            info.is_publisher = bool(info.tracks)
            known.participants[info.identity] = info
        for item in spec["dispatches"]:
            dispatch = known.add_dispatch(item["agent_name"], item["created_at"])
            for job in item["jobs"]:
                known.add_job(dispatch, "", job["at"] or item["created_at"], job["identity"], f"JS_{job['status']}")
        return known

    def message(self) -> models.Room:
        """The room with its numbers of now."""
        self.info.num_participants = len(self.participants)
        self.info.num_publishers = sum(info.is_publisher for info in self.participants.values())
        return self.info

    def add_dispatch(self, agent_name: str, at: float) -> dispatch_pb.AgentDispatch:
        dispatch = dispatch_pb.AgentDispatch(id=_new_id("AD"), agent_name=agent_name, room=self.info.name)
        dispatch.state.created_at = int(at * 1e9)
        self.dispatches[dispatch.id] = dispatch
        return dispatch

    def add_job(
        self,
        dispatch: dispatch_pb.AgentDispatch,
        agent_id: str,
        at: float,
        identity: str = "",
        status: str = "JS_RUNNING",
    ) -> str:
        """Note that a worker accepted the dispatch; give the identity under which it will join."""
        job = agent_pb.Job(id=_new_id("AJ"), dispatch_id=dispatch.id, agent_name=dispatch.agent_name)
        job.room.CopyFrom(self.info)
        job.metadata = dispatch.metadata
        moment = int(at * 1e9)
        state = agent_pb.JobState(
            status=status,
            participant_identity=identity or f"agent-{job.id}",
            worker_id=_new_id("AW"),
            agent_id=agent_id,
            started_at=moment,
            updated_at=moment,
        )
        job.state.CopyFrom(state)
        dispatch.state.jobs.append(job)
        return state.participant_identity


def _participant(identity: str, kind: str, at: float, state: str = "ACTIVE") -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=_new_id("PA"),
        identity=identity,
        kind=kind,
        state=state,
        joined_at=int(at),
        joined_at_ms=int(at * 1000),
    )


def _track(kind: str, source: str, muted: bool) -> models.TrackInfo:
    return models.TrackInfo(sid=_new_id("TR"), type=kind, source=source, muted=muted)


def _missing(what: str) -> TwirpError:
    """Say that something is not there as livekit-server does, whose nodes tell each other so first."""
    return TwirpError("not_found", f"twirp error unknown: {what}")


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:12]}"
