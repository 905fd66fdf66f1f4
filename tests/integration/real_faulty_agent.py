# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent that fails as the file FAULT_FILE says at that moment: crash, hang, return, full; well if it is empty."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from livekit.agents import AgentServer, JobContext, cli

FAULT = Path(os.environ["FAULT_FILE"])


def load(_server: AgentServer) -> float:
    return 1.0 if FAULT.read_text() == "full" else 0.0


server = AgentServer(
    load_fnc=load,
    load_threshold=float(os.environ.get("LOAD_THRESHOLD", "0.7")),
    host="127.0.0.1",
    port=int(os.environ["AGENT_HEALTH_PORT"]),
    num_idle_processes=2,
)


@server.rtc_session(agent_name=os.environ["AGENT_NAME"])
async def entrypoint(job: JobContext) -> None:
    fault = FAULT.read_text()
    if fault == "crash":
        raise KeyError("CALLBACK_URL")
    if fault == "hang":
        await asyncio.sleep(3600)
    if fault != "return":
        await job.connect()


if __name__ == "__main__":
    cli.run_app(server)
