# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of each host of voice_service: on disk, so that a reboot does not take it away."""

from __future__ import annotations

from testinfra.host import Host

from .conftest import Check

testinfra_hosts = ["ansible://voice_service"]


def test_the_journal_is_persistent(host: Host, check: Check) -> None:
    try:
        done = host.run('test -e "/var/log/journal/$(cat /etc/machine-id)/system.journal"')
    except AssertionError:
        # So testinfra tells that Ansible could not run the command.
        done = None
    check(done, "not known, since the host does not answer")
    check(
        done.rc == 0,
        "the journal is only in memory, and gone with a reboot. On that host: set Storage=persistent in "
        "/etc/systemd/journald.conf, then sudo systemctl restart systemd-journald && sudo journalctl --flush",
    )
