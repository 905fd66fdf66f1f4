# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.voiceops.livekit.plugins.plugin_utils.connection import why

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
