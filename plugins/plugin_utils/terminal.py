# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the terminal of this run can show."""

from __future__ import annotations

import sys

from ansible.utils.color import ANSIBLE_COLOR


def abilities() -> dict[str, bool]:
    """Return C(colour) and C(unicode), as the reports take them."""
    # A worker's sys.stdout may be a buffer without an encoding; the one it was started with tells the terminal's.
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    return {"colour": bool(ANSIBLE_COLOR), "unicode": encoding.lower().startswith("utf")}
