# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the agent of the stand-in cloud by the stand-in C(lk), as the modules agent and agent_secret do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.cloud_running import KEY, SECRET, with_cloud
from integration.lk_running import AGENT, STAND_IN, make_project

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


def _changed(
    folder: Path,
    work: Work,
    *,
    agent: dict[str, Any] | None = None,
    cloud: dict[str, Any] | None = None,
    lk_version: str = "2.13.2",
    **options: Any,
) -> Changed:
    calls, home, shown = folder / "calls", folder / "home", []
    home.mkdir(exist_ok=True)

    async def act(base: str) -> Changed:
        environment = {
            "HOME": str(home),
            "LK_AGENTS_URL": base,
            "LAB_LK_VERSION": lk_version,
            "LAB_LK_CALLS": str(calls),
        }
        whole = {
            "agent_dir": str(make_project(folder)),
            "agent_id": None,
            "livekit_url": "wss://my-project.livekit.cloud",
            "livekit_api_key": KEY,
            "livekit_api_secret": SECRET,
            "lk": str(STAND_IN),
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
