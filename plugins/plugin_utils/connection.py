# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a task's work is done, and in one line why a host could not be reached."""

from __future__ import annotations

import re

from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact

# What ssh frames its warnings with, be it of a key that others may read or of a host key that has changed.
_FRAME = re.compile(r"@{3,}|^@\s|\s@$", re.M)


def is_own_process(action: ActionBase) -> bool:
    """Say whether a task's host and user are this very process' own, so that it needs no other one."""
    local = action._connection.transport == "local"
    return bool(local and not action._play_context.become and not any(action._task.environment))


def why(message: object) -> str:
    """Return what the connection's error says, without secrets and without the frames that hide it."""
    return " ".join(_FRAME.sub(" ", redact(str(message))).split())
