# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real participant, run in the environment of livekit-agents: joins by LIVEKIT_TOKEN and publishes a microphone.

It prints what happens to it, a line each, and stays until it is killed.
"""

from __future__ import annotations

import asyncio
import os

from livekit import rtc

RATE = 48_000


async def main() -> None:
    room = rtc.Room()
    room.on("participant_connected", lambda other: print(f"{other.identity} joined", flush=True))
    room.on("participant_disconnected", lambda other: print(f"{other.identity} left", flush=True))
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(track, options)
    print("microphone published", flush=True)
    while True:
        await source.capture_frame(rtc.AudioFrame.create(RATE, 1, RATE // 10))


asyncio.run(main())
