# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the stand-in C(lk), and with C(LAB_REAL_LK) a real one too, against the stand-in cloud."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from integration.cloud_running import KEY, SECRET, with_cloud

STAND_IN = Path(__file__).resolve().parent.parent / "lab" / "lk"
AGENT = "CA_abc123def456"
ENVIRONMENT_LINE = "Using url, api-key, api-secret from environment"
LINES = [ENVIRONMENT_LINE, f"Using agent [{AGENT}]"]
ASLEEP = {"deployments": [{"status": "Sleeping", "replicas": 0}]}
INACTIVE = "The agent has shut down due to inactivity. It will automatically start again when a new session begins."
SPINNER = re.compile(r"\x1b\[\?25l\x1b\[\?2004h\r█ .*? \x1b\[D\x1b\[2K\r(?:\x1b\[\?\d+[lh])+")


@dataclass(frozen=True)
class Lk:
    """A program to test."""

    path: str
    version: str

    @property
    def new(self) -> bool:
        return self.version == "2.18.2"

    def __str__(self) -> str:
        return f"{'stand-in' if self.path == str(STAND_IN) else 'real'}-{self.version}"


@dataclass
class Done:
    """What a run left behind; C(table) is stdout from its first border on."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> str:
        return self.out[self.out.index("┌") :]


def programs() -> list[Lk]:
    found = [Lk(str(STAND_IN), "2.13.2"), Lk(str(STAND_IN), "2.18.2")]
    if real := os.environ.get("LAB_REAL_LK"):
        version = subprocess.run([real, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
        found.append(Lk(real, version.split()[-1]))
    return found


each_lk = pytest.mark.parametrize("lk", programs(), ids=str)
old = Lk(str(STAND_IN), "2.13.2")
new = Lk(str(STAND_IN), "2.18.2")


def environment(lk: Lk, home: Path, base: str) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LIVEKIT_URL": "wss://my-project.livekit.cloud",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
        "LK_AGENTS_URL": base,
        "LAB_LK_VERSION": lk.version,
        "CI": "1",
        "TERM": "xterm",
    }


def make_project(folder: Path, subdomain: str = "my-project") -> Path:
    project = folder / "agent"
    project.mkdir(exist_ok=True)
    toml = f'[project]\n  subdomain = "{subdomain}"\n\n[agent]\n  id = "{AGENT}"\n'
    (project / "livekit.toml").write_text(toml, encoding="utf-8")
    return project


async def start(lk: Lk, where: Path, variables: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        lk.path,
        *arguments,
        cwd=where,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


async def finish(process: asyncio.subprocess.Process) -> Done:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def run(
    lk: Lk,
    folder: Path,
    *command: str,
    agent: dict | None = None,
    spec: dict | None = None,
    where: Path | None = None,
    drop: tuple[str, ...] = (),
    **changed: str,
) -> Done:
    """Run a command against a cloud whose agent is C(agent); the environment lacks C(drop) and has C(changed)."""
    cloud = {"agent": {"id": AGENT, **(agent or {})}, **(spec or {})}

    async def act(base: str) -> Done:
        variables = {**environment(lk, folder / "home", base), **changed}
        chosen = {name: value for name, value in variables.items() if name not in drop}
        return await finish(await start(lk, where or make_project(folder), chosen, *command))

    return with_cloud(folder, cloud, act)


def status_lines(lk: Lk, done: Done) -> list[str]:
    """Give the lines that tell what is being done: on stdout before the table in 2.13.2, on stderr in 2.18.2."""
    text = done.err if lk.new else SPINNER.sub("", done.out).partition("┌")[0]
    return text.splitlines()
