# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveKit's webhooks over loopback: to the event source by itself, and to a real ansible-rulebook that diagnoses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from lab.cloud_jwt import sign

from .cloud_running import until
from .conftest import ROOT

EXTENSION = ROOT / "extensions/eda"
SOURCE = runpy.run_path(str(EXTENSION / "plugins/event_source/livekit_webhook.py"))
KEY, SECRET = "APIofTheTest", "secret-of-the-test-0123456789abcdef"
DEADLINE_S = 60
RULEBOOK = shutil.which("ansible-rulebook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
NO_RULEBOOK = "left out: the rulebook, for want of ansible-rulebook or Java 17"


def webhook(what: str, number: str, room: str = "a-room", age: float = 0, **participant: str) -> str:
    """The body of a webhook as LiveKit writes it."""
    return json.dumps(
        {
            "event": what,
            "id": f"EV_{number}",
            "createdAt": str(int(time.time() - age)),
            "room": {"name": room},
            "participant": {"identity": "ada", **participant},
        }
    )


def signed(body: str, secret: str = SECRET) -> dict[str, str]:
    """The header that LiveKit sends with it."""
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    claims = {"iss": KEY, "nbf": int(time.time()), "exp": int(time.time()) + 300, "sha256": digest}
    return {"Authorization": sign(claims, secret)}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def post(port: int, body: str | bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Post a webhook; 0 if nothing listens yet."""
    timeout = aiohttp.ClientTimeout(total=10)
    with contextlib.suppress(aiohttp.ClientConnectionError):
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"http://127.0.0.1:{port}/livekit", data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.text()
    return 0, ""


def with_source(args: dict[str, Any], act: Callable[[int, asyncio.Queue[Any]], Awaitable[None]]) -> None:
    """Run the event source, and C(act) with its port and its queue of one, as ansible-rulebook's is."""

    async def run() -> None:
        port, queue = free_port(), asyncio.Queue[Any](1)
        source = asyncio.create_task(SOURCE["main"](queue, {"port": port, **args}))
        try:
            await until(lambda: post(port, "", {}), lambda answer: answer[0] != 0)
            await act(port, queue)
        finally:
            source.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await source
        with socket.socket() as again:  # the port is free again
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))

    asyncio.run(asyncio.wait_for(run(), DEADLINE_S))


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", KEY)
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)


@pytest.mark.usefixtures("_credentials")
def test_a_person_who_waits_for_an_agent_is_told() -> None:
    async def act(port: int, queue: asyncio.Queue[Any]) -> None:
        for room in ("one", "two", "three"):
            body = webhook("participant_joined", room, room)
            assert await post(port, body, signed(body)) == (200, "taken")
        told = [(await queue.get())["livekit"] for _room in range(3)]
        assert [(one["what"], one["room"], one["agent"]) for one in told] == [
            ("agent_missing", room, "tutor") for room in ("one", "two", "three")
        ]
        assert abs(time.time() - datetime.fromisoformat(told[0]["since"]).timestamp()) < DEADLINE_S

    with_source({"agent": "tutor", "deadline": "0.1"}, act)


@pytest.mark.usefixtures("_credentials")
def test_an_agent_that_leaves_a_person_behind_is_told() -> None:
    async def act(port: int, queue: asyncio.Queue[Any]) -> None:
        agent = {"identity": "agent-1", "kind": "AGENT"}
        for body in (
            webhook("participant_joined", "1"),
            webhook("participant_joined", "2", **agent),
            webhook("participant_left", "3", **agent),
        ):
            assert await post(port, body, signed(body)) == (200, "taken")
        assert (await queue.get())["livekit"]["what"] == "agent_left"

    with_source({"deadline": 1000, "grace": 0.1}, act)


@pytest.mark.usefixtures("_credentials")
def test_unsigned_stale_and_replayed_calls_get_one_answer_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def act(port: int, queue: asyncio.Queue[Any]) -> None:
        body, stale = webhook("participant_joined", "1"), webhook("participant_joined", "2", age=3600)
        assert await post(port, body, signed(body)) == (200, "taken")
        refused = [
            await post(port, body, signed(body)),
            await post(port, body, {}),
            await post(port, stale, signed(stale)),
            await post(port, body, signed(body, "another-secret-0123456789abcdef0123")),
            await post(port, body, {"Authorization": "Bearer x"}),
            await post(port, b"\xff", signed(body)),
        ]
        assert refused == [(401, "refused")] * len(refused)
        assert queue.empty()

    with_source({}, act)
    assert "A call was refused" in caplog.text
    for secret in (SECRET, "ada", "a-room", "eyJ"):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({}, "port: expected a TCP port, got nothing"),
        ({"port": "70000"}, "port: expected a TCP port, got 70000"),
        ({"port": 1, "deadline": "soon"}, "deadline: expected seconds above 0, got soon"),
        ({"port": 1, "grace": 0}, "grace: expected seconds above 0, got 0"),
        ({"port": 1}, "expected the variable LIVEKIT_API_KEY in the environment"),
    ],
)
def test_bad_input_is_named(args: dict[str, Any], error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEKIT_API_KEY", raising=False)
    with pytest.raises(ValueError, match=error):
        asyncio.run(SOURCE["main"](asyncio.Queue(), args))


def test_the_rulebook_has_a_throttled_rule_for_all_that_the_source_tells() -> None:
    (ruleset,) = yaml.safe_load((EXTENSION / "rulebooks/waiting.yml").read_text(encoding="utf-8"))
    ruled = {rule["condition"].split('"')[1] for rule in ruleset["rules"]}
    assert ruled == {"agent_missing", "agent_left"}
    for rule in ruleset["rules"]:
        assert rule["throttle"]["group_by_attributes"] == ["event.livekit.agent"]
        assert rule["action"]["run_playbook"]["extra_vars"]["voiceops_room"] == "{{ event.livekit.room }}"
    (source,) = ruleset["sources"]
    options = yaml.safe_load(SOURCE["DOCUMENTATION"])["options"]
    assert set(source["voiceops.livekit.livekit_webhook"]) <= set(options)


@pytest.mark.skipif(RULEBOOK is None or shutil.which("java") is None, reason=NO_RULEBOOK)
def test_a_rulebook_diagnoses_where_a_person_waits(tmp_path: Path) -> None:
    port, artifacts = free_port(), tmp_path / "incidents"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory, variables, log = tmp_path / "hosts.yml", tmp_path / "variables.yml", tmp_path / "log"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": local}}}), encoding="utf-8")
    given = {
        "voiceops_diagnose": "playbooks/diagnose.yml",
        "voiceops_webhook_port": port,
        "voiceops_webhook_deadline": 1,
        "voiceops_artifacts": str(artifacts),
    }
    variables.write_text(yaml.safe_dump(given), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
        "LIVEKIT_URL": f"http://127.0.0.1:{free_port()}",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    command = [str(RULEBOOK), "-r", "voiceops.livekit.waiting", "-i", inventory, "--vars", variables, "--verbose"]

    async def act() -> None:
        body = webhook("participant_joined", "1")
        sent = await until(lambda: post(port, body, signed(body)), lambda answer: answer[0] != 0, 4 * DEADLINE_S)
        assert sent == (200, "taken"), log.read_text(encoding="utf-8")

        async def incidents() -> list[Path]:
            return list(artifacts.glob("latest/incident.json"))

        written = await until(incidents, lambda found: found, 10 * DEADLINE_S)
        assert written, log.read_text(encoding="utf-8")

    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            asyncio.run(act())
        finally:
            running.terminate()
            running.wait(3 * DEADLINE_S)
    record = json.loads((artifacts / "latest/incident.json").read_text(encoding="utf-8"))
    assert record["attempt"]["source"] == "given"
    assert SECRET not in log.read_text(encoding="utf-8")
