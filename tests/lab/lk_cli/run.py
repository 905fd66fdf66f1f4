# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every command of C(lk agent) works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.lk_cli.client import CallError, Client
from lab.lk_cli.options import Values
from lab.lk_cli.output import SKIPS_PROMPTS_SINCE, LkError, Output, ask
from lab.lk_cli.project import Toml, skip_prompts

_BETA = "agent hosting is disabled for this project -- join the beta program here [https://forms.gle/GkGNNTiMt2qyfnu78]"
WORDS_ERRORS_SINCE = (2, 6, 1)


@dataclass
class Run:
    """What a command works with."""

    values: Values
    directory: Path
    toml: Toml
    client: Client
    out: Output

    def call(self, method: str, failure: str, **message: Any) -> dict[str, Any]:
        """Call the service; an error is told as C(failure) and the server's message."""
        try:
            return self.client.call(method, message)
        except CallError as error:
            if self.out.version >= WORDS_ERRORS_SINCE:
                raise LkError(f"{failure}: {error.msg}") from error
            raise LkError(_BETA if "permission_denied" in str(error) else str(error)) from error

    def agents(self, agent_id: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("ListAgents", "unable to list agents", agent_id=agent_id)["agents"]
        return found

    def agent_id(self, never: str = "") -> str:
        """Find out which agent is meant, and say so; C(never) is the version that rules an agent out."""
        agent_id = self.values.get("id") or ""
        if not agent_id and self.toml.find(self.directory):
            if self.toml.agent_id is None:
                raise LkError(f"no agent config found in [{self.toml.name}]")
            agent_id = self.toml.agent_id
        elif not agent_id:
            agent_id = self._choose(never)
        if not agent_id:
            raise LkError(f"agent ID or [{self.toml.name}] required")
        self.out.status(f"Using agent [{agent_id}]")
        return str(agent_id)

    def _choose(self, never: str) -> str:
        agents = self.out.wait("No agent ID provided, selecting from available agents...", self.agents)
        if not agents:
            raise LkError("no agents found")
        candidates = [str(agent["agent_id"]) for agent in agents if not never or agent["version"] != never]
        if self.out.version < SKIPS_PROMPTS_SINCE or not skip_prompts(self.values):
            ask("Select an agent")
        elif len(candidates) != 1:
            raise LkError("non-interactive mode: set --id when multiple agents exist")
        return candidates[0]
