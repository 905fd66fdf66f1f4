# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.voiceops.livekit.plugins.action import agent
from ansible_collections.voiceops.livekit.plugins.plugin_utils.connection import expect_answer, why

LINE = "@" * 59


def test_what_ssh_warns_of_is_read_before_its_frame():
    said = (
        f"Failed to connect to the host via ssh: {LINE}\r\n"
        "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n"
        f"{LINE}\r\nPermissions 0644 for '/home/brad/.ssh/id' are too open.\r\nbrad@pi: Permission denied (publickey)."
    )

    assert why(said) == (
        "Failed to connect to the host via ssh: WARNING: UNPROTECTED PRIVATE KEY FILE! "
        "Permissions 0644 for '/home/brad/.ssh/id' are too open. brad@pi: Permission denied (publickey)."
    )


def action_on(host):
    """The action agent on a host that answers by a function's result."""
    action = object.__new__(agent.ActionModule)
    action._connection = SimpleNamespace(transport="ssh")
    action._low_level_execute_command = lambda *_args, **_options: host()
    return action


def test_a_host_that_hangs_counts_as_one_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr(agent, "_ANSWERS_WITHIN_S", 0.01)
    awake = threading.Event()
    try:
        told = action_on(awake.wait)._by_lk({}, {"inventory_hostname": "mac"})
    finally:
        awake.set()
    assert (told["reason"], told["before"]) == ("unreachable", {})
    assert told["msg"] == "mac, which has lk, could not be reached: it did not answer within 0.01 s"


def test_a_host_that_answers_or_refuses_is_heard():
    expect_answer(action_on(dict), 30)

    def refuses():
        raise AnsibleConnectionFailure("Permission denied")

    with pytest.raises(AnsibleConnectionFailure, match="Permission denied"):
        expect_answer(action_on(refuses), 30)
