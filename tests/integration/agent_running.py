# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the agent of the stand-in cloud by C(lk), as the modules agent and agent_secret do."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.cloud_running import KEY, SECRET, with_cloud
from integration.lk_running import AGENT, STAND_IN, Lk, make_project, old

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_change, agent_secret

VERSION = "20260204101112"
SLEEPS = {"wakes": False, "deployments": [{"status": "Sleeping", "replicas": 0}], "versions": [{"status": "Sleeping"}]}
CRASHES = {
    "crashes": True,
    "deployments": [{"status": "CrashLoop", "version": "bad"}],
    "versions": [
        {"version": "good", "current": False, "created_at": "-3d", "deployed_at": "-3d"},
        {"version": "bad", "current": True, "created_at": "-1d", "deployed_at": "-1d"},
    ],
}


@dataclass
class Changed:
    """What a change gave, what was shown meanwhile, and how C(lk) was called."""

    result: dict[str, Any]
    shown: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        """The commands of C(lk agent) that change something."""
        names = [words[1] for words in self.calls if words[:1] == ["agent"] and "--help" not in words]
        return [name for name in names if name not in ("status", "versions", "secrets", "logs")]


Work = Callable[[dict[str, Any], Callable[[str], object]], dict[str, Any]]


def change(folder: Path, state: str, *, check: bool = False, **parts: Any) -> Changed:
    """Change the agent; C(agent) and C(cloud) are parts of the scenario, the rest options of the module."""

    def work(options: dict[str, Any], tell: Callable[[str], object]) -> dict[str, Any]:
        return agent_change.change(options, check, tell)

    defaults = {"state": state, "version": "previous", "from_version": None, "source": "same"}
    return _changed(folder, work, **{**defaults, **parts})


def set_secret(folder: Path, name: str, value: str, *, check: bool = False, **parts: Any) -> Changed:
    """Set a secret; C(agent) and C(cloud) are parts of the scenario, the rest options of the module."""

    def work(options: dict[str, Any], _tell: Callable[[str], object]) -> dict[str, Any]:
        return agent_secret.set_secret(options, check)

    return _changed(folder, work, **{"name": name, "value": value, "only_if_missing": False, "wait": True, **parts})


def noting(real: Lk, folder: Path) -> str:
    """Make a program that notes its arguments, as the stand-in does by itself, and then is the real one."""
    path = folder / "noting" / "lk"
    path.parent.mkdir(exist_ok=True)
    script = path.with_suffix(".py")
    script.write_text(
        "import json, os, sys\n"
        'with open(os.environ["LAB_LK_CALLS"], "a") as file:\n    file.write(json.dumps(sys.argv[1:]) + "\\n")\n'
        f"os.execv({real.program!r}, [{real.program!r}, *sys.argv[1:]])\n",
        encoding="utf-8",
    )
    # An interpreter whose path has a space cannot stand in the first line of a script.
    command = shlex.join([sys.executable, "-I", "-S", str(script)])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def _changed(
    folder: Path,
    work: Work,
    *,
    agent: dict[str, Any] | None = None,
    cloud: dict[str, Any] | None = None,
    by: Lk = old,
    **options: Any,
) -> Changed:
    calls, home, shown = folder / "calls", folder / "home", []
    home.mkdir(exist_ok=True)

    async def act(base: str) -> Changed:
        environment = {
            "HOME": str(home),
            "LK_AGENTS_URL": base,
            "LAB_LK_VERSION": by.version,
            "LAB_LK_CALLS": str(calls),
        }
        whole = {
            "agent_dir": str(make_project(folder)),
            "agent_id": None,
            "livekit_url": "wss://my-project.livekit.cloud",
            "livekit_api_key": KEY,
            "livekit_api_secret": SECRET,
            "lk": by.program if by.path == STAND_IN else noting(by, folder),
            "lk_environment": environment,
            "deadline": 60.0,
            "settle": 0.5,
            **options,
        }
        result = await asyncio.to_thread(work, whole, shown.append)
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return Changed(result, shown, [json.loads(line) for line in lines])

    spec = {"agent": {"id": AGENT, "versions": [{"version": VERSION}], **(agent or {})}, **(cloud or {})}
    project = make_project(folder)
    (project / "requirements.txt").write_text("livekit-agents~=1.3\n", encoding="utf-8")
    return with_cloud(folder, spec, act)
