# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in C(lk) held to the real ones: what it prints, where, and its exit code.

Not compared are the pages of help, of which the stand-in's are short, the traces of a panic, why a file is no TOML, how
BuildKit numbers what it prints, progress bars, in what order regions are told, and moments of now.
"""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest
from aiohttp import web
from integration.cloud_running import with_answer, with_cloud
from integration.lk_cases import CASES, Case
from integration.lk_running import (
    AGENT,
    MADE,
    REAL,
    SPINNER,
    STAND_IN,
    Done,
    Lk,
    environment,
    finish,
    make_project,
    start,
)

from lab.lk_cli.app import SDK_VERSIONS


def run_case(lk: Lk, folder: Path, command: str, case: Case) -> Done:
    project = make_project(folder)
    for name, text in case.files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)

    async def act(base: str) -> Done:
        variables = {**environment(lk, folder / "home", base), **case.changed}
        chosen = {name: value for name, value in variables.items() if name not in case.drop}
        return await finish(await start(lk, project, chosen, *command.split()))

    if case.answer:
        status, text = case.answer

        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, text=text)

        return with_answer(answer, act)
    agent = None if case.agent is None else {"id": AGENT, **case.agent}
    return with_cloud(folder, {"agent": agent, **case.spec}, act, follow_logs=False)


def plain(text: str, folder: Path) -> list[str]:
    """Give the lines that are to be the same."""
    text = SPINNER.sub(r"(spinning: \1)", text.replace(str(folder), "/folder"))
    for pattern, instead in (
        (r"(?ms)^NAME:$.*?(?=^\S[^\n]*[^:\n]$|\Z)", "(help)\n"),
        (r"(?s)goroutine \d+ \[.*", "(trace)\n"),
        (r"127\.0\.0\.1:\d{4,}", "127.0.0.1:PORT"),
        (r"(?m)(?<=Z │ )[\d-]{10}T[\d:]{8}Z(?= │$)", "(now)"),
        (r'": +', '": '),
        (r'(?<="lastScrapedAt": )"[^"]+"', "(now)"),
        (r"(?s)\rCompressing files .*\rUploading [^\n]*\n", "(uploading)\n"),
        (r"(?m)^toml: .*", "toml: (why)"),
        ("eu-central,us-east", "us-east,eu-central"),
    ):
        text = re.sub(pattern, instead, text)
    lines = re.sub(r"(?m)^#\d+ ", "#N ", text).splitlines()
    # Steps of a build that end at once are told in any order.
    built = [index for index, line in enumerate(lines) if line.startswith("#N ")]
    if built:
        lines[built[0] : built[-1] + 1] = sorted(lines[built[0] : built[-1] + 1])
    return lines


@pytest.mark.parametrize("lk", [lk for lk in REAL if lk.version in SDK_VERSIONS], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_the_stand_in_does_what_the_real_one_does(tmp_path: Path, lk: Lk, name: str) -> None:
    command, case = CASES[name]
    seen = []
    for one in (lk, Lk(STAND_IN, lk.version)):
        folder = tmp_path / str(one)
        folder.mkdir()
        done = run_case(one, folder, command, case)
        seen.append([f"exit {done.code}", *plain(done.out, folder), "on stderr:", *plain(done.err, folder)])
    real, stand_in = seen
    assert stand_in == real


@pytest.mark.parametrize("lk", [MADE], ids=str)
@pytest.mark.parametrize("command", ["restart", "status", "deploy"])
def test_both_end_on_a_signal_while_the_server_gives_no_answer(tmp_path: Path, lk: Lk, command: str) -> None:
    def run(one: Lk) -> list[str]:
        folder = tmp_path / str(one)
        folder.mkdir()
        (make_project(folder) / "requirements.txt").write_text("livekit-agents~=1.3\n", encoding="utf-8")
        asked, ended = asyncio.Event(), asyncio.Event()

        async def answer(_request: web.Request) -> web.Response:
            asked.set()
            await ended.wait()
            return web.Response(status=500)

        async def act(base: str) -> Done:
            process = await start(one, make_project(folder), environment(one, folder / "home", base), "agent", command)
            try:
                await asyncio.wait_for(asked.wait(), 20)
                process.send_signal(signal.SIGTERM)
                return await finish(process)
            finally:
                ended.set()

        done = with_answer(answer, act)
        return [f"exit {done.code}", *plain(done.out, folder), "on stderr:", *plain(done.err, folder)]

    assert run(Lk(STAND_IN, lk.version)) == run(lk)
