# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends in the terminal, and the reports that are written beside a record."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from ansible_collections.voiceops.livekit.plugins.module_utils import report
from ansible_collections.voiceops.livekit.plugins.plugin_utils.terminal import abilities

RENDERERS = {"incident.md": report.markdown, "incident.html": report.html}


def show(incident: dict[str, Any], where: str, *, repair: bool = False) -> None:
    """Show how a diagnosis, or a C(repair), ended."""
    tell = report.repair if repair else report.terminal
    Display().display(f"\n{tell(incident, where=where, **abilities())}\n")
