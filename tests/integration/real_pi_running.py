# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the real Pi share: a lab whose edge forwards to it, the playbooks run against both, and its time."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from realpi.pi import Pi

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import PROBE_SLACK_S
from lab.sessions import KEY_HEADER

if TYPE_CHECKING:
    from .conftest import Lab, Play

USER = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11"
DORMANT = {"wakes": False, "deployments": [{"status": "Sleeping", "replicas": 0}], "versions": [{"status": "Sleeping"}]}
# How long before an attempt that is given to the second a call must have been heard, and the unit up, to prove silence.
BEFORE_S = 7.0


@dataclass
class RealLab:
    """A lab whose API is a real Pi's."""

    lab: Lab
    pi: Pi

    def diagnose(self, user: str = "brad", *arguments: str, playbook: str = "diagnose.yml", **variables: Any) -> Play:
        """Run a playbook with the Pi asked as C(user), when no call so far can be taken for a trace of its probes."""
        began = time.time()
        until(lambda: time.time() > began + PROBE_SLACK_S, "the calls are a while ago")
        return self.lab.play(playbook, "-i", str(self.inventory(user)), "-e", json.dumps(variables), *arguments)

    def heard(self) -> float:
        """Make a call that goes well, and wait as long as silence takes to count after it; give that moment."""
        until(lambda: self.call() == 201, "a call goes well")
        heard = time.time()
        until(lambda: time.time() > heard + BEFORE_S, "it is a while ago")
        return time.time()

    def inventory(self, user: str) -> Path:
        """Write an inventory that puts the Pi in the place of the lab's."""
        path = self.lab.scratch / f"real-pi-{user}.yml"
        path.write_text(yaml.safe_dump(self.pi.inventory(user)), encoding="utf-8")
        return path

    def call(self, user: str = USER) -> int:
        """Call the API as the agent does, through the tunnel; give the status."""
        url = self.lab.facts["variables"]["voiceops_callback_url"]
        headers = {KEY_HEADER: self.pi.service_key, "Content-Type": "application/json", "User-Agent": "node"}
        body = json.dumps({"type": "free_practice", "userId": user}).encode()
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def signals(play: Play, layer: str = "service") -> dict[str, Any]:
    """Give the signals of a layer in the incident that a play wrote."""
    found: dict[str, Any] = play.incident["evidence"][layer]["signals"]
    return found


def limits(play: Play) -> str:
    """Give why the silence of the service proves nothing, in one text."""
    return "; ".join(play.incident["evidence"]["service"]["limits"])


def verdict(play: Play) -> tuple[str, str]:
    """Give the verdict and its state."""
    assert play.returncode == 0, play.output
    return play.incident["verdict"]["id"], play.incident["verdict"]["state"]


def moment(at: float) -> str:
    """Write a moment as an operator gives it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def until(reached: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
    """Wait until something is so; fail with C(what) it is if that takes too long."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not so in {seconds:g} s: {what}"
        time.sleep(0.1)
