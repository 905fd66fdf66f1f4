# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the lab's stand-in cloud for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from lab import cloud, daemon, scenario
from lab.state import LabState, Scenario

KEY, SECRET = "APIlab", "secret-of-the-lab-0123456789abcdef"
NOW = datetime.fromisoformat("2026-02-06T22:48:00+00:00").timestamp()
"""The moment from which the scenarios' times are counted, so that answers can be compared with fixed texts."""

_T = TypeVar("_T")


def load(folder: Path, spec: dict[str, Any]) -> Scenario:
    """Give the complete scenario of C(spec), a C(cloud) section (YAML reads JSON)."""
    path = folder / "some.yml"
    whole = {"name": "some", "title": "Some", "cloud": spec, "expected": {"verdict": "none", "state": "healthy"}}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return scenario.load(path, NOW)


def with_cloud(
    folder: Path, spec: dict[str, Any], act: Callable[[str], Awaitable[_T]], *, follow_logs: bool = True
) -> _T:
    """Serve the cloud of C(spec), and give what C(act), given its base URL, gives."""

    async def run() -> _T:
        state = LabState(now=NOW, api_key=KEY, api_secret=SECRET, follow_logs=follow_logs)
        async with contextlib.AsyncExitStack() as stack:
            port = await daemon.serve(cloud.make_app(load(folder, spec), state), stack)
            return await act(f"http://127.0.0.1:{port}")

    return asyncio.run(run())


def with_answer(answer: Callable[[web.Request], Awaitable[web.Response]], act: Callable[[str], Awaitable[_T]]) -> _T:
    """Let C(answer) answer every request, and give what C(act), given the base URL, gives."""

    async def run() -> _T:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        async with contextlib.AsyncExitStack() as stack:
            return await act(f"http://127.0.0.1:{await daemon.serve(app, stack)}")

    return asyncio.run(run())


async def until(ask: Callable[[], Awaitable[_T]], accept: Callable[[_T], Any], seconds: float = 20) -> _T:
    """Ask until the answer is accepted; give the last answer, accepted or not, when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if accept(answer) or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.02)
