# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words in one sentence how far an agent came in a dispatch test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import LEVELS
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clip, plain

# More than any reason has; a terminal shows it in lines of its own width.
LONGEST = 400
_STATES = {True: ("true", "healthy"), False: ("false", "fault"), None: ("unknown", "inconclusive")}


def verification(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return C(verified), C(level), C(state) and C(line) of a record of the layer C(dispatch)."""
    signals = record["signals"]
    joined = signals.get("joined")
    verified, state = _STATES[joined]
    return {"verified": verified, "level": signals.get("level"), "state": state, "line": _line(record)}


def _line(record: Mapping[str, Any]) -> str:
    signals = record["signals"]
    if signals.get("joined") is None:
        return clip(f"NOT KNOWN: {plain(record['summary'])}", LONGEST)
    if not signals["joined"]:
        return clip(f"NOT VERIFIED: {plain(record['summary'])}", LONGEST)
    times = [
        f"{level} {signals[f'{level}_after_s']:.1f} s"
        for level in LEVELS
        if signals.get(f"{level}_after_s") is not None
    ]
    cold = signals.get("retry_joined_after_s")
    again = f", again {cold:.1f} s" if cold is not None else ""
    return clip(f"VERIFIED: {', '.join(times) or 'an agent is with the person'}{again}", LONGEST)
