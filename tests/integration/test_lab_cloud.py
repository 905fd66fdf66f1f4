# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in cloud: its protocol over HTTP, by LiveKit's own client where there is one."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

import aiohttp
import jwt
import pytest
from integration.cloud_running import KEY, NOW, SECRET, until, with_cloud
from livekit import api
from livekit.protocol import agent as agent_pb
from livekit.protocol import cloud_agent, models, room

from lab import cloud_jwt
from lab.cloud_agent import INACTIVE

ADMIN = {"agent": {"admin": True}}
ASLEEP = {"deployments": [{"status": "Sleeping", "replicas": 0}]}


def token(secret: str = SECRET, **claims) -> str:
    """Make a token with an independent library."""
    now = time.time()
    return jwt.encode({"iss": KEY, "nbf": now, "exp": now + 600, **claims}, secret, algorithm="HS256")


def headers(content_type: str = "application/json", **claims) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}", "Content-Type": content_type}


def post(tmp_path, spec: dict, method: str, options: dict) -> tuple[int, dict, dict]:
    """Give status, JSON and headers of one request to the cloud of C(spec)."""

    async def act(base):
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{base}/twirp/livekit.{method}", **options) as answer,
        ):
            is_json = answer.content_type == "application/json"
            told = await answer.json() if is_json else {"text": await answer.text()}
            return answer.status, told, dict(answer.headers)

    return with_cloud(tmp_path, spec, act)


def with_client(tmp_path, spec: dict, act):
    """Give what C(act), given LiveKit's client of the cloud of C(spec), gives."""

    async def connect(base):
        async with api.LiveKitAPI(base, KEY, SECRET) as client:
            return await act(client)

    return with_cloud(tmp_path, spec, connect)


# Tokens


def test_a_token_of_ours_is_good_for_others_and_theirs_for_us():
    now = int(time.time())
    ours = cloud_jwt.sign({"iss": KEY, "nbf": now, "exp": now + 60, **ADMIN}, SECRET)
    assert jwt.decode(ours, SECRET, algorithms=["HS256"], issuer=KEY)["agent"] == {"admin": True}
    assert cloud_jwt.verify(token(**ADMIN), KEY, SECRET, now)["agent"] == {"admin": True}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (lambda now: token("another secret of thirty-two bytes"), "signature is invalid"),
        (lambda now: token(iss="APIother"), "invalid API key: APIother"),
        (lambda now: token(exp=now - 61), "expired"),
        (lambda now: token(nbf=now + 61), "not valid yet"),
        (lambda now: token(exp=None), "invalid authorization token"),
        (lambda now: jwt.encode({"iss": KEY, "exp": now + 60}, None, algorithm="none"), "invalid authorization token"),
        (lambda now: "", "invalid authorization token"),
        (lambda now: "a.b.c", "invalid authorization token"),
        (lambda now: "ä.ö.ü", "invalid authorization token"),
    ],
)
def test_other_tokens_are_refused(text, problem):
    now = time.time()
    with pytest.raises(cloud_jwt.TokenError, match=problem):
        cloud_jwt.verify(text(now), KEY, SECRET, now)


@pytest.mark.parametrize("claims", [{"exp": NOW - 59}, {"nbf": NOW + 59}])
def test_a_minute_of_leeway_is_given(claims):
    assert cloud_jwt.verify(token(**{"exp": NOW + 600, "nbf": NOW, **claims}), KEY, SECRET, NOW)


# Twirp


@pytest.mark.parametrize(
    # Tokens are made when they are sent, since they expire.
    ("method", "options", "status", "code"),
    [
        ("CloudAgent/ListAgents", dict, 401, "unauthenticated"),
        ("CloudAgent/ListAgents", lambda: {"headers": headers()}, 401, "unauthenticated"),
        ("RoomService/ListRooms", lambda: {"headers": headers(**ADMIN)}, 401, "unauthenticated"),
        (
            "RoomService/ListParticipants",
            lambda: {"headers": headers(video={"roomAdmin": True, "room": "a"}), "json": {"room": "b"}},
            401,
            "unauthenticated",
        ),
        ("CloudAgent/NoSuchMethod", lambda: {"headers": headers(**ADMIN)}, 404, "bad_route"),
        ("CloudAgent/ListAgents", lambda: {"headers": headers("text/plain", **ADMIN)}, 404, "bad_route"),
        ("CloudAgent/ListAgents", lambda: {"headers": headers(**ADMIN), "data": "{"}, 400, "malformed"),
        (
            "CloudAgent/ListAgents",
            lambda: {"headers": headers("application/protobuf", **ADMIN), "data": b"\xff"},
            400,
            "malformed",
        ),
        (
            "CloudAgent/ListAgentSecrets",
            lambda: {"headers": headers(**ADMIN), "json": {"agent_id": "CA_other"}},
            404,
            "not_found",
        ),
    ],
)
def test_errors_are_twirps(tmp_path, method, options, status, code):
    got, error, _unused = post(tmp_path, {}, method, options())
    assert (got, error["code"]) == (status, code)
    assert error["msg"]
    assert set(error) == {"code", "msg"}


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ({"faults": {"ListAgents": {"status": 503, "code": "unavailable", "msg": "no"}}}, 503, "unavailable"),
        ({"faults": {"*": {}}}, 500, "internal"),
    ],
)
def test_a_scenario_makes_requests_fail(tmp_path, spec, status, code):
    got, error, _unused = post(tmp_path, spec, "CloudAgent/ListAgents", {"headers": headers(**ADMIN)})
    assert (got, error["code"]) == (status, code)


def test_refused_credentials_are_told_in_plain_text(tmp_path):
    options = {"headers": headers(**ADMIN)}
    told = post(tmp_path, {"credentials": "refused"}, "CloudAgent/ListAgents", options)[:2]
    assert told == (401, {"text": f"invalid API key: {KEY}"})


def test_a_fault_of_one_method_leaves_the_others_alone(tmp_path):
    spec = {"faults": {"ListAgentVersions": {}}}
    assert post(tmp_path, spec, "CloudAgent/ListAgents", {"headers": headers(**ADMIN)})[0] == 200


@pytest.mark.parametrize(("offset", "status"), [(0, 200), (3600, 401), (-3600, 401)])
def test_a_clock_that_is_off_shows_in_the_date_and_rejects_tokens(tmp_path, offset, status):
    options = {"headers": headers(exp=time.time() + 600, **ADMIN)}
    got, _unused, answered = post(tmp_path, {"clock_offset": offset}, "CloudAgent/ListAgents", options)
    shown = parsedate_to_datetime(answered["Date"]).timestamp()
    assert got == status
    assert abs(shown - time.time() - offset) < 1800


def test_json_and_protobuf_say_the_same(tmp_path):
    async def act(base):
        url = f"{base}/twirp/livekit.CloudAgent/ListAgents"
        async with aiohttp.ClientSession() as client:
            async with client.post(url, headers=headers("application/protobuf", **ADMIN), data=b"") as answer:
                message = cloud_agent.ListAgentsResponse.FromString(await answer.read())
            async with client.post(url, headers=headers(**ADMIN), json={}) as answer:
                return message.agents[0], (await answer.json())["agents"][0]

    event = {"type": "AGENT_EVENT_TYPE_APPLICATION_CRASHED", "count": 3, "at": "-1h"}
    spec = {"agent": {"deployed_at": "-1h", "deployments": [{"status": "CrashLoop", "events": [event]}]}}
    binary, text = with_cloud(tmp_path, spec, act)
    assert binary.deployed_at.ToJsonString() == text["deployed_at"] == "2026-02-06T21:48:00Z"
    assert binary.agent_deployments[0].status == text["agent_deployments"][0]["status"] == "CrashLoop"
    assert binary.agent_deployments[0].events[0].count == text["agent_deployments"][0]["events"][0]["count"] == 3
    assert text["agent_deployments"][0]["deployment"] == ""


# Rooms, by LiveKit's own client


def test_the_rooms_of_a_scenario_are_there(tmp_path):
    async def act(client):
        rooms = (await client.room.list_rooms(room.ListRoomsRequest())).rooms
        people = (await client.room.list_participants(room.ListParticipantsRequest(room="practice"))).participants
        return rooms, people, await client.agent_dispatch.list_dispatch("practice")

    person = {"identity": "user-1", "joined_at": "-9m", "state": "JOINED", "tracks": [{"muted": True}]}
    jobs = [{"identity": "agent-7", "status": "FAILED"}]
    spec = {
        "rooms": [
            {
                "name": "practice",
                "created_at": "-10m",
                "participants": [person],
                "dispatches": [{"agent_name": "coach", "created_at": "-10m", "jobs": jobs}],
            }
        ]
    }
    rooms, people, dispatches = with_client(tmp_path, spec, act)
    assert [(item.name, item.creation_time, item.num_participants) for item in rooms] == [("practice", NOW - 600, 1)]
    assert [(info.identity, info.kind, info.state, info.joined_at) for info in people] == [
        ("user-1", models.ParticipantInfo.STANDARD, models.ParticipantInfo.JOINED, NOW - 540)
    ]
    assert [(track.type, track.source, track.muted) for track in people[0].tracks] == [
        (models.AUDIO, models.MICROPHONE, True)
    ]
    assert [(item.agent_name, item.state.created_at) for item in dispatches] == [("coach", int((NOW - 600) * 1e9))]
    job = dispatches[0].state.jobs[0]
    assert (job.state.participant_identity, job.state.status) == ("agent-7", agent_pb.JS_FAILED)


def test_a_new_room_wakes_the_agent_which_joins_and_listens(tmp_path):
    async def act(client):
        await client.room.create_room(room.CreateRoomRequest(name="practice", metadata="m"))
        asked = room.ListParticipantsRequest(room="practice")
        people = (
            await until(
                lambda: client.room.list_participants(asked),
                lambda answer: any(p.attributes.get("lk.agent.state") == "listening" for p in answer.participants),
            )
        ).participants
        dispatch = (await client.agent_dispatch.list_dispatch("practice"))[0]
        same = await client.room.get_participant(
            room.RoomParticipantIdentity(room="practice", identity=people[0].identity)
        )
        await client.room.delete_room(room.DeleteRoomRequest(room="practice"))
        left = await client.room.list_rooms(room.ListRoomsRequest())
        return people, dispatch, same, left.rooms

    people, dispatch, same, left = with_client(tmp_path, {"agent": {**ASLEEP, "wake_delay": 0.2}}, act)
    assert [(p.kind, p.state) for p in people] == [(models.ParticipantInfo.AGENT, models.ParticipantInfo.ACTIVE)]
    assert people[0].attributes["lk.agent.state"] == "listening"
    assert (dispatch.agent_name, dispatch.room) == ("", "practice")
    assert [job.state.participant_identity for job in dispatch.state.jobs] == [people[0].identity] == [same.identity]
    assert [(job.state.status, job.state.agent_id) for job in dispatch.state.jobs] == [
        (agent_pb.JS_RUNNING, "CA_lab000000001")
    ]
    assert not left


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.room.delete_room(room.DeleteRoomRequest(room="none")),
        lambda client: client.room.get_participant(room.RoomParticipantIdentity(room="none", identity="x")),
        lambda client: client.room.get_participant(room.RoomParticipantIdentity(room="known", identity="x")),
        lambda client: client.room.remove_participant(room.RoomParticipantIdentity(room="known", identity="x")),
        lambda client: client.agent_dispatch.list_dispatch("none"),
        lambda client: client.agent_dispatch.delete_dispatch("AD_none", "known"),
    ],
)
def test_what_is_not_there_is_not_found(tmp_path, act):
    with pytest.raises(api.TwirpError) as caught:
        with_client(tmp_path, {"rooms": [{"name": "known", "created_at": "-1m"}]}, act)
    assert (caught.value.code, caught.value.status) == ("not_found", 404)


# Logs and builds


def test_a_sleeping_agent_has_no_log(tmp_path):
    async def act(base):
        async with aiohttp.ClientSession() as client:
            url = f"{base}/logs?agent_id=CA_lab000000001&log_type=deploy"
            async with client.get(url, headers=headers(**ADMIN)) as answer:
                return answer.status, await answer.json()

    status, error = with_cloud(tmp_path, {"agent": ASLEEP}, act)
    assert status != 200
    assert error == {"msg": INACTIVE}


def test_a_log_is_followed_until_its_container_is_replaced(tmp_path):
    async def act(base):
        async with aiohttp.ClientSession() as client:
            url = f"{base}/logs?agent_id=CA_lab000000001"
            async with client.get(url, headers=headers(**ADMIN)) as answer:
                first = [await answer.content.readline() for _turn in range(2)]
                async with api.LiveKitAPI(base, KEY, SECRET) as livekit:
                    await livekit.room.create_room(room.CreateRoomRequest(name="practice"))
                news = await asyncio.wait_for(answer.content.readline(), 20)
                restart = f"{base}/twirp/livekit.CloudAgent/RestartAgent"
                async with client.post(restart, headers=headers(**ADMIN), json={"agent_id": "CA_lab000000001"}):
                    pass
                return first, news, await asyncio.wait_for(answer.content.read(), 20)

    first, news, rest = with_cloud(tmp_path, {"agent": {"logs": ["one", "two"]}}, act)
    assert first == [b"one\n", b"two\n"]
    assert b"received job request" in news
    assert rest == b""


def test_a_build_wants_an_upload_and_then_puts_the_version_into_production(tmp_path):
    async def act(base):
        async with aiohttp.ClientSession() as client:

            async def call(method, **message):
                url = f"{base}/twirp/livekit.CloudAgent/{method}"
                async with client.post(url, headers=headers(**ADMIN), json=message) as answer:
                    return await answer.json()

            async def build():
                url = f"{base}/build?agent_id=CA_lab000000001"
                async with client.post(url, headers=headers(**ADMIN)) as answer:
                    return answer.status, await answer.text()

            deployed = await call("DeployAgent", agent_id="CA_lab000000001")
            early = await build()
            form = aiohttp.FormData(deployed["presigned_post_request"]["values"])
            form.add_field("file", b"source", filename="source.tar.gz")
            async with client.post(deployed["presigned_post_request"]["url"], data=form) as answer:
                uploaded = answer.status
            async with client.post(f"{base}/upload/other", data={"file": "x"}) as answer:
                refused = answer.status
            built = await build()
            versions = await call("ListAgentVersions", agent_id="CA_lab000000001")
            return early, uploaded, refused, built, versions["versions"]

    early, uploaded, refused, built, versions = with_cloud(tmp_path, {}, act)
    assert (early[0], uploaded, refused, built[0]) == (412, 204, 403, 200)
    assert '"vertexes"' in built[1]
    assert [(version["current"], version["status"]) for version in versions] == [(False, "Running"), (True, "Running")]
