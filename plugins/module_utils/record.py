# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence record: what one layer showed, and what it could not show.

Plain data throughout: a record is a dict that survives JSON, facts and files unchanged.
"""

from __future__ import annotations

from typing import Any

LAYERS = ("client", "tunnel", "secrets", "callback", "service", "agent", "dispatch")
STATES = ("healthy", "faulty", "unknown")

Record = dict[str, Any]


def record_layer(asked: str) -> str:
    """The layer that what was asked belongs to: the inspector is the tunnel's; agent and worker are one."""
    return {"inspector": "tunnel", "agent_after": "agent", "worker": "agent"}.get(asked, asked)


def event(at: str, what: str, *, ours: bool = False) -> dict[str, Any]:
    """One point of the time line: C(at) is RFC 3339 UTC; C(self) marks what our own probes caused."""
    return {"at": at, "what": what, "self": ours}


def record(
    layer: str,
    state: str,
    summary: str,
    *,
    signals: dict[str, Any] | None = None,
    events: list[dict[str, Any]] | None = None,
    limits: list[str] | None = None,
    repeat: str = "",
) -> Record:
    """Make an evidence record. C(summary) is one line for people; C(limits) say why silence would prove nothing.

    The caller's runner fills in C(took_ms).
    """
    if layer not in LAYERS or state not in STATES:
        raise ValueError(f"no such layer or state: {layer!r}, {state!r}")
    return {
        "layer": layer,
        "state": state,
        "summary": summary,
        "signals": signals or {},
        "events": events or [],
        "limits": limits or [],
        "repeat": repeat,
        "took_ms": 0,
    }


def unknown(layer: str, reason: str, *, repeat: str = "", signals: dict[str, Any] | None = None) -> Record:
    """The record of a layer that could not be asked; C(reason) says why, and what to do about it."""
    return record(layer, "unknown", reason, signals=signals, limits=[reason], repeat=repeat)
