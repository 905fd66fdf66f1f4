# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveKit's server API as livekit-api speaks it, against the lab's cloud and against servers that are none."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ansible_collections.voiceops.livekit.plugins.module_utils import dispatch
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import client
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit_url import http_url
from lab import cloud
from lab.scenario import load
from lab.state import LabState

KEY, SECRET = "APIlab", "lab-secret-that-is-long-enough-for-hs256"
FAR = 30.0
MODULE = Path(__file__).parents[2] / "plugins" / "modules" / "dispatch_probe.py"
Serve = Callable[[web.Application], str]
Play = Callable[..., dict[str, Any]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve applications on loopback from a thread of their own, and give their URLs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runners: list[web.AppRunner] = []

    async def start(app: web.Application) -> str:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"ws://127.0.0.1:{runner.addresses[0][1]}"

    def run(app: web.Application) -> str:
        return asyncio.run_coroutine_threadsafe(start(app), loop).result(FAR)

    yield run
    for runner in runners:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(FAR)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def play(serve: Serve, tmp_path: Path) -> Play:
    """Serve the cloud of a scenario, and give the options to ask it."""

    def start(cloud_of_scenario: dict[str, Any], **more: Any) -> dict[str, Any]:
        path = tmp_path / "scenario.yml"
        expected = {"verdict": "healthy", "state": "healthy"}
        path.write_text(
            json.dumps({"name": "scenario", "title": "A scenario", "expected": expected, "cloud": cloud_of_scenario})
        )
        now = time.time()
        state = LabState(now=now, api_key=KEY, api_secret=SECRET)
        return {
            "livekit_url": serve(cloud.make_app(load(path, now), state)),
            "livekit_api_key": KEY,
            "livekit_api_secret": SECRET,
            "probe_room_prefix": "zz-probe-",
            "synthetic_users": ["00000000-0000-0000-0000-000000000000"],
            "now": now,
            "attempt": None,
            **more,
        }

    return start


def person(identity: str = "user-1", joined_at: str = "-9m", **more: Any) -> dict[str, Any]:
    microphone = {"type": "AUDIO", "source": "MICROPHONE", "muted": False}
    return {"identity": identity, "kind": "STANDARD", "joined_at": joined_at, "tracks": [microphone], **more}


def gather(options: dict[str, Any]) -> dict[str, Any]:
    result = client.collect(options, time.monotonic() + FAR)
    assert set(result["signals"]) == set(client.SIGNALS)
    return result


def probe(options: dict[str, Any], deadline_s: float, cold_start_s: float = 25) -> dict[str, Any]:
    result = dispatch.probe(options, deadline_s, cold_start_s)
    assert set(result["signals"]) == set(dispatch.SIGNALS)
    assert SECRET not in json.dumps(result)
    return result


def room_names(options: dict[str, Any]) -> list[str]:
    with Api(options) as api:
        return [room["name"] for room in api.rooms(time.monotonic() + FAR)]


def test_a_waiting_person_is_seen_and_ours_are_not(play: Play) -> None:
    rooms = [
        {
            "name": "r1",
            "created_at": "-9m",
            "participants": [person()],
            "dispatches": [{"agent_name": "voice", "created_at": "-9m", "jobs": []}],
        },
        {"name": "zz-probe-20260101T000000Z-abcdef", "created_at": "-9m", "participants": [person("probe")]},
        {"name": "ours", "created_at": "-9m", "participants": [person("00000000-0000-0000-0000-000000000000")]},
        {"name": "empty", "created_at": "-9m", "participants": []},
        {
            "name": "served",
            "created_at": "-5m",
            "participants": [person("user-2", "-5m"), {"identity": "agent-1", "kind": "AGENT", "joined_at": "-5m"}],
        },
    ]
    signals = gather(play({"rooms": rooms}))["signals"]
    assert (signals["sessions"], signals["waiting"], signals["served"]) == (2, 1, 1)
    assert (signals["room"], signals["dispatch_names"], signals["jobs"]) == ("r1", ["voice"], 0)
    assert (signals["microphone_published"], signals["microphone_muted"]) == (True, False)
    assert signals["waiting_seconds"] == pytest.approx(540, abs=10)
    assert abs(signals["server_clock_offset_ms"]) <= 5000


def test_a_server_clock_that_is_off_is_corrected(play: Play) -> None:
    rooms = [{"name": "r1", "created_at": "-9m", "participants": [person()]}]
    result = gather(play({"rooms": rooms, "clock_offset": 300}))
    assert result["signals"]["server_clock_offset_ms"] == pytest.approx(300_000, abs=5000)
    assert result["signals"]["waiting_seconds"] == pytest.approx(540, abs=10)
    assert any("clock is off by +300 s" in limit for limit in result["limits"])


def test_refused_credentials(play: Play) -> None:
    result = gather(play({"credentials": "refused"}))
    assert (result["state"], result["signals"]["credentials_accepted"]) == ("unknown", False)
    assert "voiceops_livekit_api_secret" in result["summary"]


def test_a_failing_list_of_dispatches_costs_only_the_dispatches(play: Play) -> None:
    rooms = [{"name": "r1", "created_at": "-9m", "participants": [person()]}]
    faults = {"ListDispatch": {"status": 503, "code": "unavailable", "msg": "no response from servers"}}
    result = gather(play({"rooms": rooms, "faults": faults}))
    assert (result["signals"]["waiting"], result["signals"]["dispatches"]) == (1, None)
    assert any("no response from servers" in limit for limit in result["limits"])


async def _html(_request: web.Request) -> web.Response:
    return web.Response(text="<html>a page</html>" * 9, content_type="text/html")


async def _hang(_request: web.Request) -> web.Response:
    await asyncio.sleep(600)
    return web.Response()


async def _not_found(_request: web.Request) -> web.Response:
    return web.Response(status=404, text="page not found")


async def _limited(_request: web.Request) -> web.Response:
    return web.json_response({"code": "resource_exhausted", "msg": f"limit of {SECRET}"}, status=429)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [(_html, "protocol"), (_hang, "timeout"), (_not_found, "not_found"), (_limited, "rate_limited")],
)
def test_servers_that_are_none(serve: Serve, handler: Any, reason: str) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    options = {"livekit_url": serve(app), "livekit_api_key": KEY, "livekit_api_secret": SECRET}
    with pytest.raises(LiveKitError) as caught, Api(options) as api:
        api.rooms(time.monotonic() + (0.5 if handler is _hang else FAR))
    assert caught.value.reason == reason
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "ws://no-such-host.invalid"])
def test_a_server_that_is_not_there(url: str) -> None:
    result = gather({"livekit_url": url, "livekit_api_key": KEY, "livekit_api_secret": SECRET})
    assert "could not be reached" in result["summary"]


def test_urls() -> None:
    assert http_url("wss://a.livekit.cloud/") == "https://a.livekit.cloud"
    assert http_url("ws://127.0.0.1:7880/base?x#y") == "http://127.0.0.1:7880/base"
    for url in (
        "",
        None,
        5,
        "a.livekit.cloud",
        "ftp://a",
        "ws://",
        "ws://a:b",
        "ws://[::1",
        "wss://a b",
        "wss://a\nX: y",
    ):
        with pytest.raises(ValueError, match="voiceops_livekit_url: expected"):
            http_url(url)


@pytest.mark.parametrize("url", ["wss://me:pa55word@a.livekit.cloud", "wss://me:pa55word@127.0.0.1:99999"])
def test_the_password_of_a_url_is_never_shown(url: str) -> None:
    with pytest.raises(ValueError, match="voiceops_client_url: expected") as told:
        http_url(url, "voiceops_client_url")
    assert "pa55word" not in str(told.value)


AWAKE = {"name": "voice", "deployments": [{"status": "Running", "replicas": 1}], "wakes": True, "wake_delay": 0.2}
ASLEEP = {"name": "voice", "deployments": [{"status": "Sleeping", "replicas": 0}], "wakes": True, "wake_delay": 1}


def test_an_awake_agent_joins_and_all_is_cleaned_up(play: Play) -> None:
    options = play({"agent": AWAKE, "rooms": []}, agent_name="voice", probe_id="id-1")
    result = probe(options, 9)
    signals = result["signals"]
    assert (result["state"], signals["ran"], signals["source"]) == ("healthy", True, "probe")
    assert (signals["requested"], signals["accepted"], signals["joined"]) == (True, True, True)
    assert (signals["ready"], signals["path"], signals["agent_state"]) == (True, 1, "ACTIVE")
    assert (signals["retry_joined_after_s"], signals["scaled"], signals["cleaned_up"]) == (None, 0.1, True)
    assert room_names(options) == []
    assert all(event["self"] for event in result["events"])
    assert [window["what"] for window in result["probes"]] == ["dispatch probe"]


def test_a_cold_start_is_told_by_a_second_room(play: Play) -> None:
    options = play({"agent": {**ASLEEP, "wake_delay": 4}}, agent_name="voice")
    result = probe(options, 9, cold_start_s=3)
    signals = result["signals"]
    assert result["state"] == "faulty"
    assert signals["joined_after_s"] > 3 > signals["retry_joined_after_s"]
    assert room_names(options) == []


def test_an_agent_that_does_not_wake(play: Play) -> None:
    options = play({"agent": {**ASLEEP, "wakes": False}}, agent_name="voice")
    result = probe(options, 4)
    signals = result["signals"]
    assert (result["state"], signals["joined"], signals["accepted"], signals["path"]) == ("faulty", False, False, None)
    assert signals["wait_s"] >= 4
    assert (signals["ready"], signals["agent_state"], signals["cleaned_up"]) == (None, None, True)


def test_a_job_that_is_accepted_and_never_joins(play: Play) -> None:
    signals = probe(play({"agent": {**AWAKE, "wakes": "never-joins"}}, agent_name="voice"), 4)["signals"]
    assert (signals["joined"], signals["accepted"], signals["path"]) == (False, True, 1)


def test_a_lost_dispatch_is_told_by_the_second_way(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing(Api):
        """A cloud in which what a room's creation asks for gets lost."""

        def create_room(self, name: str, dispatch: Any, empty_timeout_s: int, deadline: float) -> None:
            super().create_room(name, {**dispatch, "agent_name": "nobody"}, empty_timeout_s, deadline)

    monkeypatch.setattr(dispatch, "Api", Losing)
    signals = probe(play({"agent": AWAKE}, agent_name="voice"), 3)["signals"]
    assert (signals["joined"], signals["path"]) == (True, 2)
    assert signals["joined_after_s"] >= 1


def test_an_outage_while_watching_is_no_proof_of_absence(play: Play) -> None:
    faults = {"ListParticipants": {"status": 503, "code": "unavailable", "msg": "oops"}}
    options = play({"agent": {**AWAKE, "wakes": False}, "faults": faults}, agent_name="voice")
    result = probe(options, 3)
    signals = result["signals"]
    assert (result["state"], signals["ran"], signals["joined"]) == ("unknown", False, None)
    assert "oops" in signals["why_not"]
    assert signals["cleaned_up"] is True
    assert room_names(options) == []


def test_an_agent_that_joined_has_accepted_even_if_dispatches_cannot_be_listed(play: Play) -> None:
    faults = {"ListDispatch": {"status": 503, "code": "unavailable", "msg": "no response from servers"}}
    signals = probe(play({"agent": AWAKE, "faults": faults}, agent_name="voice"), 3)["signals"]
    assert (signals["joined"], signals["accepted"], signals["path"]) == (True, True, None)


def test_a_room_that_vanishes_is_no_proof_of_absence(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    class Vanishing(Api):
        """A cloud that closes rooms early."""

        def create_room(self, name: str, dispatch: Any, empty_timeout_s: int, deadline: float) -> None:
            super().create_room(name, dispatch, empty_timeout_s, deadline)
            self.delete_room(name, deadline)

    monkeypatch.setattr(dispatch, "Api", Vanishing)
    signals = probe(play({"agent": {**AWAKE, "wakes": False}}, agent_name="voice"), 3)["signals"]
    assert (signals["joined"], signals["cleaned_up"]) == (None, True)
    assert "gone before its time" in signals["why_not"]


def test_refused_credentials_break_off_the_probe(play: Play) -> None:
    signals = probe(play({"credentials": "refused"}), 4)["signals"]
    assert (signals["ran"], signals["source"], signals["joined"]) == (False, "none", None)
    assert "voiceops_livekit_api_secret" in signals["why_not"]


def test_leftovers_go_and_other_rooms_stay(play: Play) -> None:
    names = {
        "zz-probe-20260101T000000Z-abcdef": "-11m",
        "zz-probe-20260101T000000Z-123456": "-9m",
        "zz-probe-of-a-user": "-11m",
        "r1": "-11m",
    }
    rooms = [{"name": name, "created_at": at, "participants": []} for name, at in names.items()]
    options = play({"agent": AWAKE, "rooms": rooms}, agent_name="voice")
    probe(options, 3)
    assert set(room_names(options)) == set(names) - {"zz-probe-20260101T000000Z-abcdef"}


def test_two_probes_never_run_at_once(play: Play) -> None:
    rooms = [{"name": "zz-probe-20260101T000000Z-abcdef", "created_at": "-5s", "participants": []}]
    options = play({"agent": AWAKE, "rooms": rooms}, agent_name="voice")
    signals = probe(options, 30)["signals"]
    assert (signals["ran"], signals["joined"]) == (False, None)
    assert "another probe runs" in signals["why_not"]
    assert len(room_names(options)) == 1


def run_module(**arguments: Any) -> dict[str, Any]:
    """Run the module as Ansible does without its action plugin: arguments on stdin, a result on stdout."""
    done = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    result: dict[str, Any] = json.load(io.StringIO(done.stdout))
    return result


@pytest.fixture
def module_options(play: Play, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    links = Path(__file__).parents[2] / "playbooks" / "collections"
    monkeypatch.setenv("PYTHONPATH", str(links))
    options = play({"agent": AWAKE}, agent_name="voice")
    return {name: options[name] for name in ("livekit_url", "livekit_api_key", "livekit_api_secret", "agent_name")}


def test_the_module_returns_the_record_and_no_secret(module_options: dict[str, Any]) -> None:
    result = run_module(**module_options, deadline=9)
    assert result["record"]["signals"]["joined"] is True
    assert not result.get("changed")
    assert SECRET not in json.dumps(result)


def test_the_module_does_nothing_in_check_mode(module_options: dict[str, Any]) -> None:
    result = run_module(**module_options, _ansible_check_mode=True)
    assert result["record"]["signals"]["ran"] is False
    assert "check mode" in result["record"]["summary"]


@pytest.mark.parametrize("change", [{"deadline": 0}, {"cold_start": -1}, {"deadline": 1e9}, {"probe_room_prefix": ""}])
def test_the_module_refuses_what_makes_no_sense(module_options: dict[str, Any], change: dict[str, Any]) -> None:
    result = run_module(**{**module_options, **change})
    assert result["failed"]
    assert f"{next(iter(change))}: expected" in result["msg"]
