# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a task's work is done, whether its host answers, and in one line why it could not be reached."""

from __future__ import annotations

import contextvars
import re
import threading
from concurrent.futures import Future

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact

# What ssh frames its warnings with, be it of a key that others may read or of a host key that has changed.
_FRAME = re.compile(r"@{3,}|^@\s|\s@$", re.M)


def is_own_process(action: ActionBase) -> bool:
    """Say whether a task's host and user are this very process' own, so that it needs no other one."""
    local = action._connection.transport == "local"
    return bool(local and not action._play_context.become and not any(action._task.environment))


def expect_answer(action: ActionBase, within_s: float) -> None:
    """Raise AnsibleConnectionFailure unless a task's host answers within C(within_s); what hangs is left to itself."""
    answer: Future[object] = Future()

    def ask() -> None:
        try:
            answer.set_result(action._low_level_execute_command("true", sudoable=False))
        except Exception as exc:
            answer.set_exception(exc)

    # In a thread that nothing waits for at the end, since the alarm is Ansible's own, for the task's timeout.
    threading.Thread(target=contextvars.copy_context().run, args=(ask,), daemon=True).start()
    try:
        answer.result(within_s)
    except TimeoutError:
        raise AnsibleConnectionFailure(f"it did not answer within {within_s:g} s") from None


def why(message: object) -> str:
    """Return what the connection's error says, without secrets and without the frames that hide it."""
    return " ".join(_FRAME.sub(" ", redact(str(message))).split())
