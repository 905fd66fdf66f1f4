# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends in the terminal, and the reports that are written beside a record."""

from __future__ import annotations

import sys
from typing import Any

from ansible.utils.color import ANSIBLE_COLOR
from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import report

RENDERERS = {"incident.md": report.markdown, "incident.html": report.html}


def looks() -> dict[str, bool]:
    """Whether the terminal shows colours, and more than ASCII."""
    # A worker's sys.stdout may be a buffer without an encoding; the one it was started with tells the terminal's.
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    return {"colour": bool(ANSIBLE_COLOR), "unicode": encoding.lower().startswith("utf")}


def show(incident: dict[str, Any], where: str, *, repair: bool = False) -> None:
    """Show how a diagnosis, or a C(repair), ended."""
    tell = report.repair if repair else report.terminal
    Display().display(f"\n{tell(incident, where=where, **looks())}\n")
