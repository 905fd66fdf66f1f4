# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for LiveKit Cloud: its Twirp services, its agents' logs, uploads and builds, over loopback HTTP.

Made so that the real C(lk) and LiveKit's server SDKs work against it. Tokens are checked as LiveKit checks them. What
the cloud does about sleeping and waking is a model of a closed system (see C(lab.cloud_agent)).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from google.protobuf.message import Message
from livekit.protocol import agent_dispatch as dispatch_pb
from livekit.protocol import cloud_agent as agent_pb
from livekit.protocol import room as room_pb

from lab import cloud_jwt, cloud_twirp
from lab.cloud_agent import INACTIVE, CloudAgent
from lab.cloud_agent_service import AgentService
from lab.cloud_clock import Clock, shifted
from lab.cloud_rooms import Rooms
from lab.cloud_twirp import RefusedTokenError, TwirpError
from lab.sessions import KEY_HEADER
from lab.state import LabState, Scenario

ROUTE = "/api/internal/sessions"
LOG_INTERVAL = 0.1
"""Seconds between two looks for new lines of a log that is being followed."""
_MAX_UPLOAD = 1024**3
_BUILD_STEPS = (
    "[internal] load remote build context",
    "[1/2] FROM docker.io/library/python:3.13-slim",
    "[2/2] COPY . .",
)
_BUILD_ERRORS = (
    "Collecting livekit-agents",
    "ERROR: Could not find a version that satisfies the requirement livekit-agentz",
    "+ export PIP_TOKEN=sk-labsecret0123456789",
)
Claims = dict[str, Any]


class Cloud:
    """One LiveKit Cloud project: its clock, its agent, its rooms, and whom it lets in."""

    def __init__(self, scenario: Scenario, state: LabState) -> None:
        spec = shifted(scenario["cloud"], scenario["cloud"]["clock_offset"])
        self.clock = Clock(spec["clock_offset"], state.wall)
        self.agent = CloudAgent(spec["agent"], self.clock) if spec["agent"] else None
        self.agents = AgentService(self.agent, self.clock, spec["plan"])
        self._calls_back: bool = bool(spec["agent"] and spec["agent"]["calls_back"])
        self._user: str = scenario["api"]["users"][0]
        self._callbacks: set[asyncio.Task[None]] = set()
        self.rooms = Rooms(spec["rooms"], self.agent, self.clock, self._call_back)
        self._then: list[dict[str, Any]] = list(spec["then"])
        self.closing = False
        self._faults: dict[str, dict[str, Any]] = spec["faults"]
        self._calls: Counter[str] = Counter()
        self._refuses: bool = spec["credentials"] == "refused"
        self.follow_logs = state.follow_logs
        self._state = state

    def admit(self, request: web.Request, method: str) -> Claims:
        """Let happen what is due, then give the caller's claims; raises C(TwirpError) for a fault or a bad token."""
        self.clock.advance()
        asked_for = self.rooms.made + (method == "CreateRoom")
        while self._then and asked_for >= self._then[0]["at_room"]:
            event = self._then.pop(0)
            self.rooms.open(event["rooms"])
            self._faults = event["faults"]
            self._calls.clear()
            if event["restarts"] and self.agent:
                self.agent.restart(self.clock.now())
        fault = self._fault(method)
        if fault and not fault["hangs"]:
            raise TwirpError(fault["code"], fault["msg"], fault["status"])
        given = request.headers.get("Authorization", "")
        if not given:
            return {}
        scheme, _unused, token = given.partition(" ")
        if scheme != "Bearer":
            raise RefusedTokenError("invalid authorization header. Must start with Bearer ")
        try:
            claims = cloud_jwt.verify(token, self._state.api_key, self._state.api_secret, self.clock.now())
        except cloud_jwt.TokenError as error:
            raise RefusedTokenError(str(error)) from error
        if self._refuses:
            raise RefusedTokenError(f"invalid API key: {claims['iss']}")
        return claims

    def _fault(self, method: str) -> dict[str, Any] | None:
        """Count a call, and give the fault that it meets."""
        name = method if method in self._faults else "*"
        fault = self._faults.get(name)
        if fault is None:
            return None
        self._calls[name] += 1
        over = self._calls[name] - fault["after"]
        return fault if over > 0 and (fault["times"] is None or over <= fault["times"]) else None

    async def hang(self, method: str) -> None:
        """Give no answer if the scenario says so, for as long as the lab is up."""
        while not self.closing and self._faults.get(method, {}).get("hangs"):
            await asyncio.sleep(LOG_INTERVAL)

    def _call_back(self) -> None:
        """Let the agent call the API through the tunnel, as it does for a session of the first user."""
        if self._calls_back:
            task = asyncio.get_running_loop().create_task(self._post_session())
            self._callbacks.add(task)
            task.add_done_callback(self._callbacks.discard)

    async def called_back(self) -> None:
        """Wait for the agent's calls, so that who sees it in a room finds its call in the API's journal, too."""
        if self._callbacks:
            await asyncio.wait(self._callbacks)

    async def _post_session(self) -> None:
        url = self._state.urls["edge"] + ROUTE
        headers = {KEY_HEADER: self._state.service_key, "User-Agent": "node"}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), headers=headers) as session,
                session.post(url, json={"type": "free_practice", "userId": self._user}),
            ):
                pass


_CLOUD: web.AppKey[Cloud] = web.AppKey("cloud", Cloud)


def _may_administer_agents(claims: Claims, request: Any) -> bool:
    return claims.get("agent", {}).get("admin") is True


def _may_create_rooms(claims: Claims, request: Any) -> bool:
    return claims.get("video", {}).get("roomCreate") is True


def _may_list_rooms(claims: Claims, request: Any) -> bool:
    return claims.get("video", {}).get("roomList") is True


def _may_administer_room(claims: Claims, request: Any) -> bool:
    video = claims.get("video", {})
    return video.get("roomAdmin") is True and video.get("room") == request.room


class _Method(NamedTuple):
    """An RPC: its request's type, the grant it needs, and what it does, given the request and the cloud's base URL."""

    request: type[Message]
    allowed: Callable[[Claims, Any], bool]
    call: Callable[[Cloud, Any, str], Message]


def _agents(request: type[Message], method: Callable[[AgentService, Any, str], Message]) -> _Method:
    return _Method(request, _may_administer_agents, lambda cloud, message, base: method(cloud.agents, message, base))


def _rooms(
    request: type[Message], allowed: Callable[[Claims, Any], bool], method: Callable[[Rooms, Any], Message]
) -> _Method:
    return _Method(request, allowed, lambda cloud, message, _: method(cloud.rooms, message))


METHODS: dict[str, _Method] = {
    "livekit.CloudAgent/ListAgents": _agents(agent_pb.ListAgentsRequest, AgentService.list_agents),
    "livekit.CloudAgent/ListAgentVersions": _agents(agent_pb.ListAgentVersionsRequest, AgentService.list_versions),
    "livekit.CloudAgent/ListAgentSecrets": _agents(agent_pb.ListAgentSecretsRequest, AgentService.list_secrets),
    "livekit.CloudAgent/RestartAgent": _agents(agent_pb.RestartAgentRequest, AgentService.restart),
    "livekit.CloudAgent/RollbackAgent": _agents(agent_pb.RollbackAgentRequest, AgentService.rollback),
    "livekit.CloudAgent/UpdateAgentSecrets": _agents(agent_pb.UpdateAgentSecretsRequest, AgentService.update_secrets),
    "livekit.CloudAgent/GetClientSettings": _agents(agent_pb.ClientSettingsRequest, AgentService.settings),
    "livekit.CloudAgent/DeployAgent": _agents(agent_pb.DeployAgentRequest, AgentService.deploy),
    "livekit.CloudAgent/DeployAgentV2": _agents(agent_pb.DeployAgentV2Request, AgentService.deploy_v2),
    "livekit.RoomService/CreateRoom": _rooms(room_pb.CreateRoomRequest, _may_create_rooms, Rooms.create),
    "livekit.RoomService/ListRooms": _rooms(room_pb.ListRoomsRequest, _may_list_rooms, Rooms.list),
    "livekit.RoomService/DeleteRoom": _rooms(room_pb.DeleteRoomRequest, _may_create_rooms, Rooms.delete),
    "livekit.RoomService/ListParticipants": _rooms(
        room_pb.ListParticipantsRequest, _may_administer_room, Rooms.participants
    ),
    "livekit.RoomService/GetParticipant": _rooms(
        room_pb.RoomParticipantIdentity, _may_administer_room, Rooms.participant
    ),
    "livekit.RoomService/RemoveParticipant": _rooms(
        room_pb.RoomParticipantIdentity, _may_administer_room, Rooms.remove
    ),
    "livekit.AgentDispatchService/CreateDispatch": _rooms(
        dispatch_pb.CreateAgentDispatchRequest, _may_administer_room, Rooms.create_dispatch
    ),
    "livekit.AgentDispatchService/ListDispatch": _rooms(
        dispatch_pb.ListAgentDispatchRequest, _may_administer_room, Rooms.list_dispatches
    ),
    "livekit.AgentDispatchService/DeleteDispatch": _rooms(
        dispatch_pb.DeleteAgentDispatchRequest, _may_administer_room, Rooms.delete_dispatch
    ),
}


def make_app(scenario: Scenario, state: LabState) -> web.Application:
    """Make the stand-in of a complete scenario's C(cloud); it accepts tokens of C(state)'s API key and secret."""
    app = web.Application(client_max_size=_MAX_UPLOAD)
    app[_CLOUD] = Cloud(scenario, state)
    app.router.add_post("/twirp/{path:.*}", _twirp)
    app.router.add_get("/rtc/validate", _validate)
    app.router.add_post("/upload/{name}", _upload)
    app.router.add_put("/upload/{name}", _upload)
    app.router.add_get("/logs", _about_agent(_logs, "logs"))
    app.router.add_post("/build", _about_agent(_build, "build"))
    app.on_response_prepare.append(_set_date)
    app.on_shutdown.append(_close)
    return app


async def _set_date(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Date"] = formatdate(request.app[_CLOUD].clock.now(), usegmt=True)


async def _close(app: web.Application) -> None:
    app[_CLOUD].closing = True


async def _twirp(request: web.Request) -> web.Response:
    cloud, path = request.app[_CLOUD], request.match_info["path"]
    try:
        if path not in METHODS:
            raise TwirpError("bad_route", f'no handler for path "{request.path}"')
        method = METHODS[path]
        claims = cloud.admit(request, path.rpartition("/")[2])
        if not claims:
            raise TwirpError("unauthenticated", "permissions denied")
        await cloud.hang(path.rpartition("/")[2])
        message = await cloud_twirp.read(request, method.request)
        if not method.allowed(claims, message):
            raise TwirpError("unauthenticated", "permissions denied")
        answer = method.call(cloud, message, str(request.url.origin()))
        cloud.clock.advance()
        await cloud.called_back()
        return cloud_twirp.reply(request, answer)
    except TwirpError as error:
        return error.response()


async def _validate(request: web.Request) -> web.Response:
    """Say whether a token lets its bearer join, as livekit-server does (rtcservice.go), in plain text."""
    try:
        claims = request.app[_CLOUD].admit(request, "validate")
        if not claims:
            raise TwirpError("unauthenticated", "no permissions to access the room")
        if claims.get("video", {}).get("roomJoin") is not True:
            raise TwirpError("unauthenticated", "permissions denied")
    except TwirpError as error:
        return web.Response(text=error.msg, status=error.status)
    return web.Response(text="success")


_Handler = Callable[[web.Request, Cloud, CloudAgent], Awaitable[web.StreamResponse]]


def _about_agent(handler: _Handler, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Wrap a handler that is no RPC: find its agent, and send errors as these endpoints do, C({"msg": …})."""

    async def handle(request: web.Request) -> web.StreamResponse:
        cloud = request.app[_CLOUD]
        try:
            if not _may_administer_agents(cloud.admit(request, name), None):
                raise TwirpError("unauthenticated", "permissions denied")
            return await handler(request, cloud, cloud.agents.find(request.query.get("agent_id", "")))
        except TwirpError as error:
            return web.json_response({"msg": error.msg}, status=error.status)

    return handle


async def _logs(request: web.Request, cloud: Cloud, agent: CloudAgent) -> web.StreamResponse:
    """Send the build's log, or the container's for as long as both it and the client live."""
    if request.query.get("log_type", "deploy") == "build":
        return web.Response(text="".join(f"{step}\n" for step in _BUILD_STEPS))
    if agent.asleep(request.query.get("deployment", "")):
        # Which status LiveKit sends is not known; any but 200 makes lk print the message.
        raise TwirpError("not_found", INACTIVE)
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await response.prepare(request)
    lines, sent = agent.logs, 0
    while agent.logs is lines and not cloud.closing and request.transport and not request.transport.is_closing():
        await response.write("".join(f"{line}\n" for line in lines[sent:]).encode())
        if not cloud.follow_logs:
            break
        sent = len(lines)
        await asyncio.sleep(LOG_INTERVAL)
        cloud.clock.advance()
    return response


async def _upload(request: web.Request) -> web.Response:
    """Take the source of a deployment; as with any presigned address, its name is all the permission it needs."""
    uploads = request.app[_CLOUD].agents.uploads
    sent = await request.read() if request.method == "PUT" else (await request.post()).get("file")
    if request.match_info["name"] not in uploads or not sent:
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
    uploads[request.match_info["name"]] = True
    return web.Response(status=200 if request.method == "PUT" else 204)


async def _build(request: web.Request, cloud: Cloud, agent: CloudAgent) -> web.StreamResponse:
    """Build what was uploaded, put it into production, and tell of it as BuildKit's status messages, one a line."""
    if not agent.building() or not any(cloud.agents.uploads.values()):
        raise TwirpError("failed_precondition", "no source uploaded")
    cloud.agents.uploads.clear()
    response = web.StreamResponse()
    await response.prepare(request)
    for index, name in enumerate(_BUILD_STEPS):
        await response.write(_told(index, name, cloud.clock.now()))
        await cloud.hang("build")
        if request.transport is None or request.transport.is_closing():
            return response
    if agent.next == "build-fails":
        agent.fail_build()
        step = len(_BUILD_STEPS)
        await response.write(_told(step, "[3/3] RUN pip install -r requirements.txt", cloud.clock.now(), _BUILD_ERRORS))
        await response.write(b'BUILD ERROR: failed to solve: process "/bin/sh -c pip install" exit code: 1\n')
        return response
    agent.finish_deploy(cloud.clock.now())
    return response


def _told(index: int, name: str, at: float, lines: tuple[str, ...] = ()) -> bytes:
    """Write BuildKit's message of a step and the lines that it printed."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    digest = f"sha256:{index:064x}"
    vertex = {"digest": digest, "name": name, "started": moment, **({} if lines else {"completed": moment})}
    logs = [
        {"vertex": digest, "stream": 2, "data": base64.b64encode(f"{line}\n".encode()).decode(), "timestamp": moment}
        for line in lines
    ]
    return (json.dumps({"vertexes": [vertex], **({"logs": logs} if logs else {})}) + "\n").encode()
