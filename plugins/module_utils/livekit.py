# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls LiveKit's server API: rooms, participants and dispatches, each call with a deadline, as plain data.

A thin synchronous layer over the package C(livekit-api) (PyPI, 1.2 or newer), which is needed on the controller only
and is therefore imported when a connection is made. Enum values are given by name; times are seconds since 1970.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import ssl
import sys
import time
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from ansible_collections.voiceops.livekit.plugins.module_utils.livekit_url import http_url
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact

T = TypeVar("T")
# No single call may take longer, whatever the deadline.
CALL_S = 10.0
OPTIONS = ("livekit_url", "livekit_api_key", "livekit_api_secret")

REASONS = {
    "options": "an option is missing or malformed",
    "missing_package": "livekit-api is not installed on the controller",
    "unauthenticated": "LiveKit refuses the credentials",
    "not_found": "there is no such room, dispatch, or project",
    "unavailable": "LiveKit cannot be reached, or answers with an error of its own",
    "timeout": "no answer in time",
    "rate_limited": "too many calls, or a limit of the plan is reached",
    "protocol": "the answer is not one of a LiveKit server",
    "failed": "any other refusal",
}
_CODES = {
    "unauthenticated": "unauthenticated",
    "permission_denied": "unauthenticated",
    "not_found": "not_found",
    "bad_route": "not_found",
    "resource_exhausted": "rate_limited",
    "deadline_exceeded": "timeout",
    "unavailable": "unavailable",
    "internal": "unavailable",
}
_ADVICE = {
    "unauthenticated": "check voiceops_livekit_api_key, voiceops_livekit_api_secret and the controller's clock",
    "not_found": "check voiceops_livekit_url",
    "unavailable": "check voiceops_livekit_url, the controller's network, and LiveKit's status page",
}


class LiveKitError(Exception):
    """A call failed. C(reason) is a key of L(REASONS); the text says what to do, and holds no secret."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Api:
    """A connection to one project, to be used in a C(with) block and in one thread.

    Every method takes an absolute C(time.monotonic()) as its deadline, and raises LiveKitError.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take C(livekit_url), C(livekit_api_key) and C(livekit_api_secret) from the options."""
        try:
            self._url = http_url(options.get("livekit_url"))
        except ValueError as exc:
            raise LiveKitError("options", str(exc)) from None
        for name in OPTIONS[1:]:
            if not options.get(name) or not isinstance(options[name], str):
                raise LiveKitError("options", f"voiceops_{name}: expected the project's API credentials, got nothing")
        self._key, self._secret = str(options["livekit_api_key"]), str(options["livekit_api_secret"])
        self._sdk = sdk()
        # What the server's clock showed in its last answer, minus ours, in milliseconds; to about a second.
        self.clock_offset_ms: int | None = None

    def __enter__(self) -> Api:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(asyncio.wait_for(self._session.close(), 1))
        self._loop.close()

    def rooms(self, deadline: float) -> list[dict[str, Any]]:
        """List the rooms: name, created_at, participants (a count that lags behind), max_participants (0: no limit)."""
        answer = self._call(self._client.room.list_rooms(self._sdk.ListRoomsRequest()), deadline)
        return [
            {
                "name": room.name,
                "created_at": room.creation_time_ms / 1000 if room.creation_time_ms else float(room.creation_time),
                "participants": room.num_participants,
                "max_participants": room.max_participants,
            }
            for room in answer.rooms
        ]

    def participants(self, rooms: Iterable[str], deadline: float) -> dict[str, list[dict[str, Any]]]:
        """List the participants of several rooms at once, by room; rooms that are gone by now are left out.

        Each is: identity, kind, state, joined_at, attributes, tracks (type, source, muted).
        """
        names = list(rooms)

        async def ask_all() -> list[Any]:
            ask = self._client.room.list_participants
            asked = (ask(self._sdk.ListParticipantsRequest(room=name)) for name in names)
            return await asyncio.gather(*asked, return_exceptions=True)

        found = {}
        for name, answer in zip(names, self._call(ask_all(), deadline)):
            if not isinstance(answer, BaseException):
                found[name] = [_participant(item) for item in answer.participants]
                continue
            error = self._error(answer)
            if error.reason != "not_found":
                raise error from answer
        return found

    def dispatches(self, room: str, deadline: float) -> list[dict[str, Any]]:
        """List a room's dispatches: id, agent_name, deployment, created_at, jobs.

        Of a job: identity, status, worker_id, started_at.
        """
        return [_dispatch(item) for item in self._call(self._client.agent_dispatch.list_dispatch(room), deadline)]

    def create_room(self, name: str, dispatch: Mapping[str, Any], empty_timeout_s: int, deadline: float) -> None:
        """Create a room that dispatches one agent at once; C(dispatch) has agent_name, metadata, attributes."""
        request = self._sdk.CreateRoomRequest(
            name=name,
            empty_timeout=empty_timeout_s,
            departure_timeout=5,
            max_participants=2,
            agents=[_message(self._sdk.RoomAgentDispatch, dispatch)],
        )
        self._call(self._client.room.create_room(request), deadline)

    def delete_room(self, name: str, deadline: float) -> None:
        """Delete a room and disconnect who is in it."""
        self._call(self._client.room.delete_room(self._sdk.DeleteRoomRequest(room=name)), deadline)

    def create_dispatch(self, room: str, dispatch: Mapping[str, Any], deadline: float) -> str:
        """Dispatch an agent into a room that exists, and return the dispatch's id."""
        request = _message(self._sdk.CreateAgentDispatchRequest, {"room": room, **dispatch})
        return str(self._call(self._client.agent_dispatch.create_dispatch(request), deadline).id)

    def delete_dispatch(self, dispatch_id: str, room: str, deadline: float) -> None:
        """Withdraw a dispatch, which ends its job."""
        self._call(self._client.agent_dispatch.delete_dispatch(dispatch_id, room), deadline)

    def way_in(self, room: str, identity: str) -> tuple[str, str]:
        """Give the URL and a token for somebody who only listens in a room."""
        grants = self._sdk.VideoGrants(room_join=True, room=room, can_publish=False, can_publish_data=False)
        token = self._sdk.AccessToken(self._key, self._secret).with_identity(identity).with_grants(grants).to_jwt()
        return f"ws{self._url[len('http') :]}", token

    async def _open(self) -> None:
        import aiohttp

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._note_start)
        trace.on_request_end.append(self._note_date)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_S), trace_configs=[trace])
        self._client = self._sdk.LiveKitAPI(self._url, self._key, self._secret, session=self._session)

    async def _note_start(self, _session: Any, context: Any, _params: Any) -> None:
        context.sent_at = time.time()

    async def _note_date(self, _session: Any, context: Any, params: Any) -> None:
        with contextlib.suppress(TypeError, ValueError):
            moment = email.utils.parsedate_to_datetime(params.response.headers.get("Date", ""))
            # The header leaves out the fraction of a second: half of one is the best guess.
            offset = moment.timestamp() + 0.5 - (context.sent_at + time.time()) / 2
            self.clock_offset_ms = round(offset * 1000)

    def _call(self, coroutine: Coroutine[Any, Any, T], deadline: float) -> T:
        seconds = min(CALL_S, deadline - time.monotonic())
        try:
            return self._loop.run_until_complete(asyncio.wait_for(coroutine, max(0.0, seconds)))
        except Exception as exc:
            raise self._error(exc) from exc

    def _error(self, exc: BaseException) -> LiveKitError:
        """Say in one sentence what an exception of livekit-api, aiohttp or protobuf means."""
        if isinstance(exc, (asyncio.TimeoutError, TimeoutError)):
            return LiveKitError("timeout", f"LiveKit gave no answer within {CALL_S:g} s, or before the deadline")
        if isinstance(exc, self._sdk.TwirpError):
            status = int(getattr(exc, "status", 0) or 0)
            reason = _CODES.get(exc.code) or _reason_of_status(status)
            # A token that LiveKit does not take is answered in plain text, which its client drops.
            said = f"LiveKit answered {exc.code} (HTTP {status}): {exc.message}" if exc.message else f"HTTP {status}"
        elif isinstance(exc, (OSError, ssl.SSLError)) or type(exc).__module__.startswith("aiohttp"):
            reason, said = "unavailable", f"LiveKit could not be reached: {exc}"
        elif type(exc).__name__ == "DecodeError":
            reason, said = "protocol", "what answers at voiceops_livekit_url is no LiveKit server"
        else:
            reason, said = "failed", f"{type(exc).__name__}: {exc}"
        # A room or a dispatch that is not there says nothing against the URL; a page that is not there does.
        is_advised = reason in _ADVICE and getattr(exc, "code", None) != "not_found"
        advice = f"; {_ADVICE[reason]}" if is_advised else ""
        return LiveKitError(reason, clip(redact(said, (self._key, self._secret)), 300) + advice)


def sdk() -> Any:
    """Import the package livekit.api, which takes a while the first time. Raises LiveKitError if it is not there."""
    try:
        from livekit import api
    except ImportError as exc:
        raise LiveKitError(
            "missing_package",
            f"the Python package livekit-api is needed on the controller: {sys.executable} -m pip install livekit-api",
        ) from exc
    return api


def _reason_of_status(status: int) -> str:
    if status in (401, 403):
        return "unauthenticated"
    if status == 404:
        return "not_found"
    if status == 429:
        return "rate_limited"
    return "unavailable" if status >= 500 else "failed"


def _message(kind: Any, fields: Mapping[str, Any]) -> Any:
    """Make a message of those fields that this livekit-api knows: older ones lack C(attributes)."""
    return kind(**{name: value for name, value in fields.items() if name in kind.DESCRIPTOR.fields_by_name})


def _name(message: Any, field: str) -> str:
    """Return an enum field's value by name; the bare number if this livekit-api does not know it."""
    number = getattr(message, field)
    known = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(known.name if known else number)


def _participant(item: Any) -> dict[str, Any]:
    return {
        "identity": item.identity,
        "kind": _name(item, "kind"),
        "state": _name(item, "state"),
        "joined_at": item.joined_at_ms / 1000 if item.joined_at_ms else float(item.joined_at),
        "attributes": dict(item.attributes),
        "tracks": [
            {"type": _name(track, "type"), "source": _name(track, "source"), "muted": track.muted}
            for track in item.tracks
        ],
    }


def _dispatch(item: Any) -> dict[str, Any]:
    return {
        "id": item.id,
        "agent_name": item.agent_name,
        "deployment": getattr(item, "deployment", ""),
        "created_at": item.state.created_at / 1e9,
        "jobs": [
            {
                "identity": job.state.participant_identity,
                "status": _name(job.state, "status"),
                "worker_id": job.state.worker_id,
                "started_at": job.state.started_at / 1e9,
            }
            for job in item.state.jobs
        ],
    }
