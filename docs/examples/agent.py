# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small voice agent that calls back, and that can be probed. Where yours would speak, it plays a tone.

It needs livekit-agents (tried with 1.8), and in its environment LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET,
CALLBACK_URL and CALLBACK_KEY. Run it as: python agent.py start. The page beside it says why it does what it does.
"""

from __future__ import annotations

import array
import asyncio
import json
import logging
import math
import os
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import AgentServer, JobContext, cli

NAME = os.environ.get("AGENT_NAME", "voice")
MOST_SESSIONS = int(os.environ.get("AGENT_MOST_SESSIONS", "10"))
HEALTH_PORT = int(os.environ.get("AGENT_HEALTH_PORT", "8081"))
CALLBACK_S = 5.0
PROBE_S = 3.0
STATE = "lk.agent.state"
RATE, PITCH, LOUDNESS = 48_000, 440, 8_000

log = logging.getLogger("agent")


def load(server: AgentServer) -> float:
    """Count sessions: by default the load is the host's, so that a busy neighbour makes an idle worker refuse."""
    return min(1.0, len(server.active_jobs) / MOST_SESSIONS)


server = AgentServer(load_fnc=load, host="127.0.0.1", port=HEALTH_PORT, num_idle_processes=2)


@server.rtc_session(agent_name=NAME)
async def entrypoint(job: JobContext) -> None:
    """Serve one room."""
    task = asked_for(job.job.metadata)
    # Connected first: what fails later is seen in the room, and not as an agent that never came.
    await job.connect()
    agent = job.room.local_participant
    if task.get("probe") is True:
        log.info("probe ok", extra={"probe_id": task.get("probe_id")})
        await asyncio.sleep(PROBE_S)
        job.shutdown("probe")
        return
    await agent.set_attributes({STATE: "initializing"})
    if not task.get("no_callback"):
        await call_back(job, task)
    source = rtc.AudioSource(RATE, 1)
    voice = rtc.LocalAudioTrack.create_audio_track("voice", source)
    await agent.publish_track(voice, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    await agent.set_attributes({STATE: "speaking"})
    # Ends with the job, when the room does or LiveKit withdraws the agent.
    while True:
        await source.capture_frame(tone())


def asked_for(metadata: str) -> dict[str, Any]:
    """Give what the dispatch says in its metadata, a JSON object; none of it may keep the agent from joining."""
    try:
        task = json.loads(metadata or "{}")
    except ValueError:
        log.warning("the job's metadata is no JSON")
        return {}
    return task if isinstance(task, dict) else {}


async def call_back(job: JobContext, task: dict[str, Any]) -> None:
    """Tell the app of the session. The tags say which job it was, where the app or a tunnel logs the call."""
    body = {"type": task.get("type", "free_practice"), "userId": task.get("userId")}
    tags = {
        "User-Agent": f"livekit-agent/{NAME}",
        "X-Room": job.room.name,
        "X-Job-Id": job.job.id,
        "X-Internal-Service-Key": os.environ["CALLBACK_KEY"],
    }
    timeout = aiohttp.ClientTimeout(total=CALLBACK_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=tags) as session,
            session.post(os.environ["CALLBACK_URL"], json=body) as answer,
        ):
            log.info("callback", extra={"status": answer.status, "room": job.room.name})
    except (TimeoutError, aiohttp.ClientError) as error:
        # Only the session is lost to the app, not the conversation.
        log.error("callback failed: %s", type(error).__name__, extra={"room": job.room.name})


def tone() -> rtc.AudioFrame:
    """Give a tenth of a second of the tone, whole waves of it, so that it joins without a click."""
    count = RATE // 10
    wave = array.array("h", (round(LOUDNESS * math.sin(math.tau * PITCH * i / RATE)) for i in range(count)))
    return rtc.AudioFrame(wave.tobytes(), RATE, 1, count)


if __name__ == "__main__":
    cli.run_app(server)
