# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveKit's agent API asked without lk, at servers that answer well, badly, slowly, or not at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_api
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import agent, secrets
from ansible_collections.voiceops.livekit.plugins.module_utils.lk import LkError

KEY, SECRET, AGENT = "APIkeyOfTheTest", "geheimnis-geheimnis-geheimnis", "CA_abc123def456"
CLOUD = "wss://my-project.livekit.cloud"
ASLEEP = "The agent has shut down due to inactivity. It will automatically start again when a new session begins."
DEPLOYMENT = {"region": "us-east", "status": "Running", "replicas": 1, "server_region": "osbxash1a", "shape_v9": [{}]}
AGENTS = {"agents": [{"agent_id": AGENT, "agent_name": "", "agent_deployments": [DEPLOYMENT], "new_in_2027": {"a": 1}}]}
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
HTML = {"Content-Type": "text/html"}


def options(url: str, **more: Any) -> dict[str, Any]:
    return {
        "agent_via": "api",
        "livekit_url": CLOUD,
        "livekit_api_key": KEY,
        "livekit_api_secret": SECRET,
        "agent_id": AGENT,
        "lk_environment": {agent_api.ADDRESS: url},
        "attempt": None,
        **more,
    }


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def gather(url: str, *, seconds: float = 20.0, **more: Any) -> dict[str, Any]:
    """Collect the agent's record, and check what holds of each."""
    record = agent.collect(options(url, **more), soon(seconds))
    assert set(record["signals"]) == set(agent.SIGNALS)
    assert not any(hidden in json.dumps(record) for hidden in (SECRET, "eyJ"))
    return record


def replies(**answers: Any) -> Callable[[Any], tuple[int, dict[str, str], bytes]]:
    """Answer methods and C(logs) by name: JSON, or a whole answer; AGENTS, and nothing of the rest, by default."""

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        name = request.path.partition("?")[0].rpartition("/")[2]
        found = answers.get(name, AGENTS if name == "ListAgents" else {})
        if isinstance(found, tuple):
            return found
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    return answer


def twirp(status: int, code: str, msg: str = "no") -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps({"code": code, "msg": msg}).encode()


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_token_is_the_one_that_lk_makes() -> None:
    header, claims, signature = agent_api.token(KEY, SECRET, 1_770_000_000.9).split(".")

    assert decoded(header) == {"alg": "HS256", "typ": "JWT"}
    assert decoded(claims) == {
        "iss": KEY,
        "nbf": 1_770_000_000,
        "exp": 1_770_000_000 + agent_api.TOKEN_S,
        "agent": {"admin": True},
    }
    signed = hmac.new(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == signed


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"LIVEKIT_URL": CLOUD}, "https://agents.livekit.cloud"),
        ({"LIVEKIT_URL": "https://my-project.livekit.cloud/"}, "https://agents.livekit.cloud"),
        ({"LIVEKIT_URL": "http://my-project.staging.livekit.cloud"}, "https://agents.staging.livekit.cloud"),
        ({"LIVEKIT_URL": CLOUD, "LK_AGENTS_URL": "http://127.0.0.1:9/"}, "http://127.0.0.1:9"),
        ({"LIVEKIT_URL": "ws://localhost:7880", "LK_AGENTS_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
)
def test_the_address_follows_from_the_projects_unless_it_is_given(environment: dict[str, str], address: str) -> None:
    assert agent_api.address_of(environment) == address


@pytest.mark.parametrize(
    "url", ["ws://localhost:7880", "wss://livekit.example.com", "https://livekit.cloud", "http://[::1", ""]
)
def test_no_other_host_than_livekits_sees_a_token(url: str) -> None:
    with pytest.raises(LkError, match="voiceops_livekit_url: expected a project of LiveKit Cloud") as caught:
        agent_api.address_of({"LIVEKIT_URL": url})
    assert caught.value.reason == "options"


@pytest.mark.parametrize(
    ("api_url", "region", "address"),
    [
        ("https://agents.livekit.cloud", "osbxash1a", "https://osbxash1a.agents.livekit.cloud"),
        ("https://agents.livekit.cloud", None, "https://agents.livekit.cloud"),
        ("https://agents.livekit.cloud", "evil.example/", "https://agents.livekit.cloud"),
        ("http://127.0.0.1:7", "osbxash1a", "http://127.0.0.1:7"),
    ],
)
def test_the_logs_are_at_the_region_of_the_deployment(api_url: str, region: str | None, address: str) -> None:
    assert agent_api.log_address(api_url, region) == address


def test_an_answer_gets_the_shape_that_lk_prints() -> None:
    answer = {
        "agents": [{"agent_id": "CA_1", "replicas": 0, "deployment": "", "last_scraped_at": None, "cur_cpu": "12m"}],
        "versions": [{"createdAt": "t", "current": False, "attributes": {"git_commit": "abc", "my_own": ""}}],
        "next_page": {"token": ""},
    }
    assert agent_api.as_lk_prints(answer) == {
        "agents": [{"agentId": "CA_1", "curCpu": "12m"}],
        "versions": [{"createdAt": "t", "attributes": {"git_commit": "abc", "my_own": ""}}],
    }


def test_what_is_asked_is_what_lk_asks(serve: Callable[..., Any]) -> None:
    server = serve(replies(logs=(200, {}, b'{"message": "registered worker"}\n')))

    record = gather(server.url)

    assert (record["state"], record["signals"]["via"], record["signals"]["lk_version"]) == ("healthy", "api", None)
    assert (record["signals"]["condition"], record["signals"]["log_registered"]) == ("ready", True)
    asked = sorted({(request.method, request.path) for request in server.requests})
    assert asked == [
        ("GET", f"/logs?agent_id={AGENT}&log_type=deploy"),
        ("POST", "/twirp/livekit.CloudAgent/ListAgentVersions"),
        ("POST", "/twirp/livekit.CloudAgent/ListAgents"),
    ]
    for request in server.requests:
        assert decoded(request.headers["authorization"].removeprefix("Bearer ").split(".")[1])["iss"] == KEY
        if request.method == "POST":
            assert (request.headers["content-type"], json.loads(request.body)) == (
                "application/json",
                {"agent_id": AGENT},
            )


def test_versions_come_newest_first_and_livekits_own_secrets_not_at_all(serve: Callable[..., Any]) -> None:
    versions = [{"version": name, "created_at": f"2026-02-0{name}T00:00:00.5Z"} for name in "132"]
    names = [{"name": name, "updated_at": "2026-02-01T00:00:00Z", "value": "aGVsbG8="} for name in ("LIVEKIT_URL", "A")]
    server = serve(replies(ListAgentVersions={"versions": versions}, ListAgentSecrets={"secrets": names}))

    assert [item["version"] for item in gather(server.url)["signals"]["versions"]] == ["3", "2", "1"]
    record = secrets.collect(options(server.url, required_secrets=["A", "B"]), soon())
    assert (record["signals"]["via"], record["signals"]["names"], record["signals"]["missing"]) == ("api", ["A"], ["B"])
    assert "aGVsbG8" not in json.dumps(record)


@pytest.mark.parametrize(
    ("answer", "sentence", "accepted"),
    [
        (twirp(401, "unauthenticated", "invalid API key"), "LiveKit refuses the credentials", False),
        (twirp(403, "permission_denied"), "LiveKit refuses the credentials", False),
        ((401, {"Content-Type": "text/plain"}, b"invalid token"), "LiveKit refuses the credentials", False),
        ((403, HTML, PAGE), "something between here and LiveKit answered in its place", None),
        ((200, HTML, PAGE), "something between here and LiveKit answered in its place", None),
        ((302, {"Location": "https://portal.example"}, b""), "LiveKit refuses it (HTTP 302", None),
        ((404, {"Content-Type": "text/plain"}, b"404 page not found"), "what answers is not LiveKit's agent API", None),
        (twirp(404, "bad_route"), "what answers is not LiveKit's agent API", None),
        (twirp(429, "resource_exhausted"), "LiveKit takes no more calls for now", None),
        ((429, HTML, PAGE), "LiveKit takes no more calls for now", None),
        (twirp(503, "unavailable"), "LiveKit answers with an error of its own", None),
        ((502, HTML, PAGE), "LiveKit answers with an error of its own", None),
        ((200, {"Content-Type": "application/json"}, b"[]"), "something between here and LiveKit", None),
        ((200, {"Content-Type": "application/protobuf"}, b"\x0a\x03abc"), "something between here and LiveKit", None),
    ],
)
def test_a_bad_answer_is_unknown_with_its_reason(
    serve: Callable[..., Any], answer: Any, sentence: str, accepted: bool | None
) -> None:
    server = serve(replies(ListAgents=answer, ListAgentSecrets=answer, ListAgentVersions=answer))

    record = gather(server.url)

    assert (record["state"], record["signals"]["found"]) == ("unknown", None)
    assert record["summary"].startswith(sentence)
    assert record["signals"]["credentials_accepted"] is accepted
    listed = secrets.collect(options(server.url), soon())
    assert (listed["state"], listed["signals"]["listed"]) == ("unknown", None)
    assert listed["summary"].startswith(sentence)


@pytest.mark.parametrize("answer", [twirp(404, "not_found", "agent not found"), {}, {"agents": []}])
def test_an_agent_that_is_not_there_is_a_fault(serve: Callable[..., Any], answer: Any) -> None:
    record = gather(serve(replies(ListAgents=answer)).url)
    assert (record["state"], record["signals"]["found"], record["signals"]["credentials_accepted"]) == (
        "faulty",
        False,
        True,
    )


def test_a_server_that_repeats_what_it_was_sent_gives_no_secret_away(serve: Callable[..., Any]) -> None:
    def parrot(request: Any) -> tuple[int, dict[str, str], bytes]:
        return twirp(401, "unauthenticated", f"{request.headers['authorization']} {SECRET} is refused")

    record = gather(serve(parrot).url)
    assert "[redacted]" in record["summary"]


def test_what_is_known_is_kept_when_the_rest_is_late(listen: Callable[..., int]) -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        request = connection.recv(65536)
        if b"ListAgentVersions" in request:
            over.wait(30)
        body = json.dumps(AGENTS).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    signals = gather(f"http://127.0.0.1:{listen(talk)}", seconds=8.0)

    over.set()
    assert (signals["signals"]["status"], signals["signals"]["versions"]) == ("Running", None)
    assert any("versions could not be read: LiveKit gave no answer in time" in limit for limit in signals["limits"])


def test_nobody_there_is_told_as_the_network(listen: Callable[..., int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    record = gather(f"http://127.0.0.1:{port}")
    assert record["summary"].startswith("LiveKit cannot be reached from the controller")
    assert record["signals"]["credentials_accepted"] is None


# The log


def log_server(listen: Callable[..., int], *pieces: bytes, then: Callable[[], object]) -> str:
    """Serve AGENTS, and a log of those pieces in chunks, after which C(then) is waited for."""

    def talk(connection: socket.socket) -> None:
        if b"GET /logs" not in connection.recv(65536):
            body = json.dumps(AGENTS).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        then()

    return f"http://127.0.0.1:{listen(talk)}"


def test_a_log_that_never_ends_is_read_until_it_is_quiet(listen: Callable[..., int]) -> None:
    over = threading.Event()
    url = log_server(listen, b"registered worker\n", b"received job request\n", then=lambda: over.wait(30))
    session = agent_api.open_session(options(url), soon())

    result = agent_api.logs(session, soon(), quiet_s=2, limit_bytes=10_000)

    over.set()
    assert (result.returncode, result.truncated) == (0, False)
    assert result.stdout == "registered worker\nreceived job request\n"


def test_a_log_that_is_never_quiet_is_read_until_the_deadline(listen: Callable[..., int]) -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        if b"GET /logs" not in connection.recv(65536):
            body = json.dumps(AGENTS).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.wait(0.02):
            connection.sendall(b"line\n")

    url = f"http://127.0.0.1:{listen(talk)}"
    result = agent_api.logs(agent_api.open_session(options(url), soon()), soon(4.0), quiet_s=5.0, limit_bytes=10_000)

    over.set()
    assert (result.returncode, result.stdout[:5]) == (0, "line\n")


def test_a_log_is_cut_at_its_limit_and_told_to_have_broken_off(listen: Callable[..., int]) -> None:
    url = log_server(listen, b"a" * 500, then=lambda: None)
    session = agent_api.open_session(options(url), soon())

    assert agent_api.logs(session, soon(), quiet_s=5.0, limit_bytes=100).truncated is True
    broken = agent_api.logs(session, soon(), quiet_s=5.0, limit_bytes=10_000)
    assert (broken.returncode, broken.truncated, len(broken.stdout)) == (1, False, 500)


@pytest.mark.parametrize("status", [401, 404, 409, 500])
def test_a_sleeping_agents_log_says_so_with_whatever_status(serve: Callable[..., Any], status: int) -> None:
    record = gather(serve(replies(logs=(status, {}, json.dumps({"msg": ASLEEP}).encode()))).url)
    assert record["signals"]["logs"] == "asleep"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {}, b'{"msg": "agent not found"}'), "the project has no such agent"),
        ((403, {}, b'{"msg": "permissions denied"}'), "LiveKit refuses the credentials"),
        ((404, HTML, PAGE), "something between here and LiveKit"),
    ],
)
def test_a_log_that_cannot_be_read_is_a_limit(serve: Callable[..., Any], answer: Any, sentence: str) -> None:
    record = gather(serve(replies(logs=answer)).url)
    assert (record["state"], record["signals"]["logs"]) == ("healthy", "unavailable")
    assert any(limit.startswith(f"the agent's log could not be read: {sentence}") for limit in record["limits"])


def test_an_agent_without_a_deployment_has_no_log(serve: Callable[..., Any]) -> None:
    record = gather(serve(replies(ListAgents={"agents": [{"agent_id": AGENT}]})).url)
    assert (record["signals"]["found"], record["signals"]["logs"]) == (True, "unavailable")


# Which agent, and with which credentials


def test_without_an_id_it_is_the_projects_only_agent(serve: Callable[..., Any]) -> None:
    record = gather(serve(replies()).url, agent_id=None, agent_dir="/no/such/folder/on/the/controller")
    assert (record["state"], record["signals"]["id"]) == ("healthy", AGENT)


@pytest.mark.parametrize(
    ("agents", "sentence"),
    [
        ([], "got nothing, and the project has no agent"),
        (
            [{"agent_id": "CA_1", "agent_name": "one"}, {"agent_id": "CA_2"}],
            "got nothing, and the project has 2: CA_1 (one), CA_2",
        ),
    ],
)
def test_without_an_id_and_one_agent_it_says_which_there_are(
    serve: Callable[..., Any], agents: list[Any], sentence: str
) -> None:
    record = gather(serve(replies(ListAgents={"agents": agents})).url, agent_id=None)
    assert (record["state"], record["signals"]["found"]) == ("unknown", None)
    assert record["summary"] == f"voiceops_agent_id: expected the agent's id (CA_…), {sentence}"


def test_the_livekit_toml_is_read_where_it_is_here(serve: Callable[..., Any], tmp_path: Any) -> None:
    toml = tmp_path / "livekit.toml"
    toml.write_text('[project]\nsubdomain = "my-project"\n[agent]\nid = "CA_of_the_file"\n', encoding="utf-8")
    signals = gather(serve(replies()).url, agent_id=None, agent_dir=str(tmp_path))["signals"]
    assert (signals["id"], signals["configured_project"]) == ("CA_of_the_file", "my-project")

    toml.write_text('[project]\nsubdomain = "other"\n', encoding="utf-8")
    record = gather(serve(replies()).url, agent_dir=str(tmp_path))
    assert "belongs to the project 'other'" in record["summary"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"livekit_api_key": None, "livekit_api_secret": None}, "voiceops_livekit_api_key and voiceops_livekit_api_s"),
        ({"livekit_api_secret": None}, "voiceops_livekit_api_secret: expected a value"),
        ({"livekit_url": None}, "voiceops_livekit_url: expected the URL that the credentials belong to"),
        ({"lk_environment": {agent_api.ADDRESS: "ws://127.0.0.1:1"}}, "LK_AGENTS_URL: expected a URL such as"),
    ],
)
def test_what_is_missing_is_named(changed: dict[str, Any], sentence: str) -> None:
    record = gather("http://127.0.0.1:1", **changed)
    assert record["state"] == "unknown"
    assert record["summary"].startswith(sentence)


# Changes


def test_a_restart_and_a_rollback_are_asked_for(serve: Callable[..., Any]) -> None:
    server = serve(replies(RestartAgent={"success": True}, RollbackAgent={"success": True}))
    session = agent_api.open_session(options(server.url), soon())

    assert agent_api.act(session, ["restart"], soon()).stdout == "LiveKit's agent API took RestartAgent on\n"
    assert agent_api.act(session, ["rollback", "--version", "v7"], soon()).returncode == 0
    assert [json.loads(request.body) for request in server.requests] == [
        {"agent_id": AGENT},
        {"agent_id": AGENT, "version": "v7"},
    ]


@pytest.mark.parametrize(
    ("answer", "reason", "sentence"),
    [
        ({"success": False, "message": "not now"}, "failed", "LiveKit refuses it (LiveKit said: not now)"),
        ({}, "failed", "LiveKit refuses it (LiveKit said: it does not say why)"),
        (twirp(429, "resource_exhausted"), "rate_limited", "LiveKit takes no more calls for now"),
    ],
)
def test_a_change_that_is_not_taken_on_is_an_error(
    serve: Callable[..., Any], answer: Any, reason: str, sentence: str
) -> None:
    session = agent_api.open_session(options(serve(replies(RestartAgent=answer)).url), soon())
    with pytest.raises(LkError) as caught:
        agent_api.act(session, ["restart"], soon())
    assert caught.value.reason == reason
    assert str(caught.value).startswith(sentence)
