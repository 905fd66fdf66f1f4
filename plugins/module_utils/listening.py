# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins a room as one who only listens, and notes when sound of an agent was first received.

Needs LiveKit's realtime SDK (PyPI: livekit), which is therefore imported when it is used. It makes the agent believe
that somebody is there, who may be greeted: that costs what speaking costs.
"""

from __future__ import annotations

import array
import asyncio
import importlib
import sys
import threading
import time
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact

IDENTITY = "voiceops-listener"
# A tenth of a second whose root mean square is above -50 dBFS; comfort noise is below.
LOUD, FRAMES = 100.0, 10
JOIN_S, LEAVE_S = 10.0, 5.0
_TICK_S = 0.05


class Listener:
    """Listens in a room from its making until C(close()); C(heard_at) is on C(time.monotonic()), None until then.

    C(why_not) says why nothing could be heard, and is empty unless listening itself failed.
    """

    def __init__(self, url: str, token: str) -> None:
        self.heard_at: float | None = None
        self.why_not = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, token), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the room."""
        self._over.set()
        self._thread.join(LEAVE_S)

    def _run(self, url: str, token: str) -> None:
        try:
            rtc = importlib.import_module("livekit.rtc")
        except ImportError:
            pip = f"{sys.executable} -m pip install livekit"
            self.why_not = f"to listen, the Python package livekit is needed on the controller: {pip}"
            return
        try:
            asyncio.run(self._listen(rtc, url, token))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            self.why_not = f"our listener could not join the room: {clip(redact(said, [token]), 200)}"

    async def _listen(self, rtc: Any, url: str, token: str) -> None:
        room = rtc.Room()
        hearing: set[asyncio.Future[None]] = set()

        def subscribed(track: Any, _publication: Any, participant: Any) -> None:
            is_agent = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
            if is_agent and track.kind == rtc.TrackKind.KIND_AUDIO:
                hearing.add(asyncio.ensure_future(self._hear(rtc, track)))

        room.on("track_subscribed", subscribed)
        try:
            await asyncio.wait_for(room.connect(url, token), JOIN_S)
            while not self._over.is_set():
                await asyncio.sleep(_TICK_S)
        finally:
            for task in hearing:
                task.cancel()
            await asyncio.wait_for(room.disconnect(), LEAVE_S)

    async def _hear(self, rtc: Any, track: Any) -> None:
        stream = rtc.AudioStream(track)
        loud = 0
        try:
            async for event in stream:
                loud = loud + 1 if is_loud(bytes(event.frame.data)) else 0
                if loud >= FRAMES:
                    self.heard_at = time.monotonic()
                    return
        finally:
            await stream.aclose()


def is_loud(samples: bytes) -> bool:
    """Say whether there is sound in these samples, each a signed 16 bit number in the machine's order."""
    values = array.array("h", samples)
    return bool(values) and sum(value * value for value in values) / len(values) > LOUD**2
