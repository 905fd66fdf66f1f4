# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's parts share while one scenario runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Scenario = dict[str, Any]
"""A scenario as C(lab.scenario.load) returns it: schema-checked, complete, its times resolved to epoch seconds."""


def no_journal(message: str, priority: int = 6) -> None:
    """Drop C(message): the journal of a lab without a Pi."""


@dataclass
class LabState:
    """The secrets, addresses and records of one running lab; its parts get the same instance and may change it.

    C(urls) has the base URLs (no trailing slash) of C(cloud), C(edge) and C(api), each as soon as its port is known.
    C(journal) appends one entry of the Pi's unit, now: C(journal(message, priority=6)), priority as in syslog (0 to 7).
    C(requests) has what the edge forwarded, oldest first, in the shape that C(lab.inspector.exchange) makes.
    """

    now: float
    """Epoch seconds at which the scenario's relative times were resolved."""
    api_key: str = ""
    api_secret: str = ""
    service_key: str = ""
    """The key that the agent and the inventory use for the callback API."""
    urls: dict[str, str] = field(default_factory=dict)
    directory: Path | None = None
    """Where parts keep their files; None keeps everything in memory."""
    journal: Callable[..., None] = no_journal
    requests: list[dict[str, Any]] = field(default_factory=list)
    wall: Callable[[], float] = time.time
    """The cloud's idea of now, in epoch seconds."""
    follow_logs: bool = True
    """Whether a log stream stays open, as LiveKit's does."""
