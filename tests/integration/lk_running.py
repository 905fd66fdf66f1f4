# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs C(lk), the stand-in and real ones, against the stand-in cloud.

C(VOICEOPS_LK_BINARIES) names a folder of further real ones, each as C(lk) in a folder named by its version: what it
calls itself is not always its version.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from integration.cloud_running import KEY, SECRET, with_cloud
from parts import LeftOutError
from parts.go import LK

STAND_IN = Path(__file__).resolve().parent.parent / "lab" / "lk"
AGENT = "CA_abc123def456"
ENVIRONMENT_LINE = "Using url, api-key, api-secret from environment"
LINES = [ENVIRONMENT_LINE, f"Using agent [{AGENT}]"]
ASLEEP = {"deployments": [{"status": "Sleeping", "replicas": 0}]}
INACTIVE = "The agent has shut down due to inactivity. It will automatically start again when a new session begins."
SPINNER = re.compile(
    r"\x1b\[\?25l\x1b\[\?2004h\r[█▓▒░] ([^\r\x1b]*)(?:\r|\x1b\[D)"
    r"(?:[^\x1b]*(?:\r|\x1b\[D))*\x1b\[2K\r(?:\x1b\[\?\d+[lh])+"
)


@dataclass(frozen=True)
class Lk:
    """A program to test; without C(path) it is the real one that the tests make."""

    path: Path | None
    version: str

    @property
    def new(self) -> bool:
        return self.version == "2.18.2"

    @property
    def program(self) -> str:
        """Its path, once it is there; the test is left out if this machine cannot have it."""
        return str(self.path or _made())

    def __str__(self) -> str:
        return f"{'stand-in' if self.path == STAND_IN else 'real'}-{self.version}"


@functools.cache
def _made() -> Path:
    try:
        return LK.made() / "lk"
    except LeftOutError as problem:
        pytest.skip(str(problem))


@dataclass
class Done:
    """What a run left behind; C(table) is stdout from its first border on."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> str:
        return self.out[self.out.index("┌") :]


def _further() -> list[Lk]:
    """Find the real ones of the folder that the environment names."""
    folder = os.environ.get("VOICEOPS_LK_BINARIES")
    paths = sorted(Path(folder).glob("*/lk")) if folder else []
    assert paths or not folder, f"VOICEOPS_LK_BINARIES: expected a folder with VERSION/lk, got {folder}"
    return [Lk(path.resolve(), path.parent.name) for path in paths]


MADE = Lk(None, "2.18.2")
old, new = Lk(STAND_IN, "2.13.2"), Lk(STAND_IN, "2.18.2")
REAL = [MADE, *_further()]


def each_of(*versions: str) -> pytest.MarkDecorator:
    """Run a test with the stand-in of these versions, and with the real ones of these that there are."""
    stand_ins = [Lk(STAND_IN, version) for version in versions]
    return pytest.mark.parametrize("lk", [*stand_ins, *(lk for lk in REAL if lk.version in versions)], ids=str)


each_lk = each_of(old.version, new.version)
each_real_lk = pytest.mark.parametrize("lk", REAL, ids=str)
old_and_real = pytest.mark.parametrize("lk", [old, *REAL], ids=str)


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
        lk.program,
        *arguments,
        cwd=where,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


async def finish(process: asyncio.subprocess.Process) -> Done:
    out, err = await asyncio.wait_for(process.communicate(), 180)
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
