# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real livekit-server answers, and whether the lab's stand-in answers the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import client_access
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from lab import cloud, daemon
from lab.cloud_jwt import sign
from lab.state import LabState

from .cloud_running import load
from .real_running import FAR_S, FAULTY, KEY, REGISTERED, SECRET, Real, Unit, until

ANY = {"roomCreate": True, "roomList": True, "roomAdmin": True, "room": "r", "roomJoin": True}


@pytest.fixture(scope="module")
def agent(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an agent that joins and does nothing."""
    fault = tmp_path_factory.mktemp("well") / "fault"
    fault.write_text("")
    with real.worker("well", FAULTY, FAULT_FILE=str(fault)) as worker:
        worker.await_line(REGISTERED)
        yield "well"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the lab's cloud, with an agent of the same name."""
    spec = {"agent": {"name": "well", "deployments": [{"status": "Running", "replicas": 1}]}}
    scenario = load(tmp_path_factory.mktemp("stand-in"), spec)
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        state = LabState(now=time.time(), api_key=KEY, api_secret=SECRET)
        async with contextlib.AsyncExitStack() as stack:
            ports.append(await daemon.serve(cloud.make_app(scenario, state), stack))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(FAR_S)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(over.set)
    thread.join(FAR_S)
    loop.close()


def token(secret: str = SECRET, video: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(time.time())
    return sign({"iss": KEY, "sub": "ada", "nbf": now, "exp": now + 600, "video": video or ANY, **claims}, secret)


def asked(base: str, path: str, authorization: str, body: dict[str, Any] | str | None = None) -> tuple[int, str, Any]:
    """The status, the content type, and the body, which is a dict if it is JSON."""
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": authorization} if authorization else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=FAR_S) as answer:
            status, kind, text = answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as error:
        status, kind, text = error.code, error.headers.get_content_type(), error.read().decode()
    return status, kind, json.loads(text) if kind == "application/json" else text


TWIRP = "/twirp/livekit."
AUTHORIZATIONS = {
    "right": lambda: f"Bearer {token()}",
    "none": lambda: "",
    "no bearer": token,
    "no token": lambda: "Bearer nonsense",
    "other secret": lambda: f"Bearer {token('another-secret-0123456789abcdef0123')}",
    "other key": lambda: f"Bearer {token(iss='APIother')}",
    "expired": lambda: f"Bearer {token(exp=int(time.time()) - 120)}",
    "not valid yet": lambda: f"Bearer {token(nbf=int(time.time()) + 120)}",
    "no rights": lambda: f"Bearer {token(video={'canPublish': True})}",
}


@pytest.mark.parametrize("which", AUTHORIZATIONS)
@pytest.mark.parametrize(
    ("path", "body"), [(f"{TWIRP}RoomService/ListRooms", {}), ("/rtc/validate", None)], ids=["api", "join"]
)
def test_the_stand_in_lets_in_whom_the_server_does_and_refuses_as_it_does(
    real: Real, stand_in: str, which: str, path: str, body: dict[str, Any] | None
) -> None:
    authorization = AUTHORIZATIONS[which]()
    theirs, ours = (asked(base, path, authorization, body) for base in (real.url.replace("ws", "http"), stand_in))
    if theirs[1] == "application/json" and theirs[0] == 200:
        theirs, ours = ((status, kind, sorted(told)) for status, kind, told in (theirs, ours))
    assert ours == theirs


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("RoomService/NoSuchMethod", {}),
        ("RoomService/DeleteRoom", {"room": "nowhere"}),
        ("RoomService/ListParticipants", {"room": "r"}),
        ("RoomService/GetParticipant", {"room": "r", "identity": "nobody"}),
        ("RoomService/RemoveParticipant", {"room": "r", "identity": "nobody"}),
        ("RoomService/ListParticipants", {"room": "not-of-the-token"}),
        ("AgentDispatchService/DeleteDispatch", {"room": "r", "dispatch_id": "AD_none"}),
    ],
)
def test_the_stand_in_refuses_a_call_as_the_server_does(
    real: Real, stand_in: str, method: str, body: dict[str, Any]
) -> None:
    answers = []
    for base in (real.url.replace("ws", "http"), stand_in):
        made = asked(base, f"{TWIRP}RoomService/CreateRoom", f"Bearer {token()}", {"name": "r"})
        assert made[0] == 200
        status, kind, told = asked(base, f"{TWIRP}{method}", f"Bearer {token()}", body)
        # The server adds, to some, what was asked.
        answers.append((status, kind, {name: told[name] for name in told if name != "meta"}))
    assert answers[1] == answers[0]


def test_a_dispatch_and_its_job_tell_what_the_stand_ins_tell(real: Real, stand_in: str, agent: str) -> None:
    """See failure-modes B.4: what is told of a dispatch, and what of it can be trusted."""
    found = {}
    for name, base in (("server", real.url.replace("ws", "http")), ("stand-in", stand_in)):
        room = f"told-{name}"
        rights = f"Bearer {token(video={**ANY, 'room': room})}"
        wanted = {"agent_name": agent, "metadata": "{}", "attributes": {"probe": "1"}}
        asked(base, f"{TWIRP}RoomService/CreateRoom", rights, {"name": room, "agents": [wanted]})
        ask = (base, f"{TWIRP}AgentDispatchService/ListDispatch", rights, {"room": room})

        def listed(ask: Any = ask) -> Any:
            (told,) = asked(*ask)[2]["agent_dispatches"]
            return told if told["state"]["jobs"] else None

        found[name] = until(listed, f"the {name} lists the job")
        people = asked(base, f"{TWIRP}RoomService/ListParticipants", rights, {"room": room})[2]["participants"]
        found[name]["participants"] = [person["identity"] for person in people]
    for told in found.values():
        (job,) = told["state"]["jobs"]
        state = job["state"]
        assert (told["agent_name"], told["attributes"], told["state"]["deleted_at"]) == (agent, {"probe": "1"}, "0")
        assert (job["dispatch_id"], job["agent_name"], job["type"]) == (told["id"], agent, "JT_ROOM")
        assert (state["status"], state["error"], state["ended_at"]) == ("JS_RUNNING", "", "0")
        assert state["participant_identity"] == f"agent-{job['id']}"
        assert state["worker_id"].startswith("AW_")
        # The job began when it was accepted, and is never updated.
        assert int(told["state"]["created_at"]) <= int(state["started_at"]) == int(state["updated_at"])
        assert told["participants"] in ([], [state["participant_identity"]])
    # Only LiveKit Cloud's has an agent's id.
    assert found["server"]["state"]["jobs"][0]["state"]["agent_id"] == ""


def test_a_job_is_listed_seconds_after_it_was_accepted_if_a_worker_has_just_come(
    real: Real, tmp_path: Path, start_worker: Callable[..., Unit]
) -> None:
    fault = tmp_path / "fault"
    fault.write_text("")
    start_worker("new", FAULTY, FAULT_FILE=str(fault)).await_line(REGISTERED)
    before = sum('"assigned job to worker"' in line for line in real.server.lines)
    with Api(real.options()) as api:
        end = time.monotonic() + FAR_S
        api.create_room("new", {"agent_name": "new"}, 60, end)
        real.server.await_line('"assigned job to worker"', before + 1)
        assert api.dispatches("new", end)[0]["jobs"] == []
        (job,) = until(lambda: api.dispatches("new", end)[0]["jobs"], "its job is listed")
        (item,) = api.dispatches("new", end)
    assert job["started_at"] - item["created_at"] < 4.5


def test_a_dispatch_into_a_room_that_is_not_there_makes_one_that_asks_for_an_unnamed_agent_too(
    real: Real, stand_in: str, agent: str
) -> None:
    for base in (real.url.replace("ws", "http"), stand_in):
        rights = f"Bearer {token(video={**ANY, 'room': 'made'})}"
        body = {"room": "made", "agent_name": agent}
        assert asked(base, f"{TWIRP}AgentDispatchService/CreateDispatch", rights, body)[0] == 200
        told = asked(base, f"{TWIRP}AgentDispatchService/ListDispatch", rights, {"room": "made"})[2]
        assert sorted(item["agent_name"] for item in told["agent_dispatches"]) == ["", agent]


def test_of_a_room_that_is_not_there_the_server_says_that_nobody_answers(real: Real) -> None:
    """LiveKit Cloud says not_found here, as the stand-in does."""
    with Api(real.options()) as api, pytest.raises(LiveKitError) as error:
        api.dispatches("nowhere", time.monotonic() + FAR_S)
    assert error.value.reason == "unavailable"
    assert "no response from servers" in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"secret": "another-secret-0123456789abcdef0123"}, "signature"),
        ({"iss": "APIother"}, "key"),
        ({"exp": 1_770_000_000}, "expired"),
        ({"nbf": 9_770_000_000, "exp": 9_780_000_000}, "not valid yet"),
    ],
)
def test_why_a_persons_token_is_refused_is_known_from_the_servers_words(
    real: Real, change: dict[str, Any], reason: str
) -> None:
    options = {"client_url": real.url, "client_token": token(**change)}
    assert client_access.ask(options, time.monotonic() + FAR_S) == {"url_failure": "", "token_refused": reason}


def test_refused_credentials_are_told_without_the_token_that_the_server_repeats(real: Real) -> None:
    wrong = real.options(livekit_api_secret="another-secret-0123456789abcdef0123")
    with Api(wrong) as api, pytest.raises(LiveKitError) as error:
        api.rooms(time.monotonic() + FAR_S)
    assert error.value.reason == "unauthenticated"
    assert str(error.value).startswith("HTTP 401; check voiceops_livekit_api_key")
