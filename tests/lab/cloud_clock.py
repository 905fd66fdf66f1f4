# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in cloud's clock: its offset, and what is due to happen by it.

Nothing happens by itself: whoever looks at the cloud first lets happen what has become due. So there are no timers to
stop, and a test with a clock of its own sees a minute pass at once.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any

Action = Callable[[float], None]
"""Something that happens; it is given the epoch seconds at which it was due."""

_TIMES = {"at", "created_at", "updated_at", "deployed_at", "joined_at"}


class Clock:
    """Tells the cloud's time, in epoch seconds, and runs what was planned for it."""

    def __init__(self, offset: float = 0.0, wall: Callable[[], float] = time.time) -> None:
        self._offset = offset
        self._wall = wall
        self._planned: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._wall() + self._offset

    def plan(self, when: float, action: Action) -> None:
        """Have C(action) happen at C(when); what is planned for one moment happens in the order of planning."""
        heapq.heappush(self._planned, (when, next(self._order), action))

    def advance(self) -> None:
        """Let happen everything that is due, and what that plans for a time already past."""
        while self._planned and self._planned[0][0] <= self.now():
            when, _unused, action = heapq.heappop(self._planned)
            action(when)


def shifted(spec: Any, offset: float) -> Any:
    """Give a copy of a part of a scenario with its times as a clock shows them that is C(offset) seconds ahead."""
    if isinstance(spec, list):
        return [shifted(item, offset) for item in spec]
    if isinstance(spec, dict):
        return {
            name: part + offset if name in _TIMES and part is not None else shifted(part, offset)
            for name, part in spec.items()
        }
    return spec
