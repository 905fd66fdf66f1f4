# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host gets no secret that its layers do not use, and none of them comes back from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Lab

SECRETS = ("voiceops_livekit_api_key", "voiceops_livekit_api_secret", "voiceops_callback_key", "voiceops_client_token")


# What the service's evidence says of itself: were it a secret that the Pi's log shows, it would come back like this.
SAID_BY_THE_PI = "successful callback"


def test_the_pi_gets_no_secret_and_what_it_says_is_masked(lab: Callable[[str], Lab]) -> None:
    running = lab("healthy")
    given = {**running.facts["variables"], "voiceops_client_token": SAID_BY_THE_PI}
    extra = {"ansible_pipelining": False, "voiceops_client_token": SAID_BY_THE_PI}
    play = running.play("diagnose.yml", "-v", "-e", json.dumps(extra), ANSIBLE_KEEP_REMOTE_FILES="1")

    assert play.incident["evidence"]["service"]["state"] == "healthy", play.output
    sent = [path.read_text("utf-8") for path in Path(running.facts["ssh"]["home"]).rglob("AnsiballZ_*.py")]
    assert any(given["voiceops_service_unit"] in text for text in sent), "the modules that were sent were not kept"
    assert [name for name in SECRETS if any(given[name] in text for text in sent)] == []
    assert "the last [redacted] before the attempt was logged" in play.output
    assert SAID_BY_THE_PI not in play.output
