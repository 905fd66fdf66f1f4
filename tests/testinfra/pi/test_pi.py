# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own checks of the real Pi: what the tests rely on holds after it is set up, and after each repair."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://voice_service"]

UNIT = "proto-trainer-next"


def test_it_is_a_debian_run_by_systemd(host: Host) -> None:
    assert (host.system_info.distribution, host.system_info.codename) == ("debian", "trixie")
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


def test_the_unit_runs_at_each_boot_as_its_own_user(host: Host) -> None:
    service = host.service(UNIT)
    assert (service.is_running, service.is_enabled) == (True, True)
    assert service.systemd_properties["User"] == "proto-trainer"
    assert host.file(f"/proc/{service.systemd_properties['MainPID']}").user == "proto-trainer"


def test_the_key_is_for_root_alone(host: Host) -> None:
    file = host.file("/etc/proto-trainer.env")
    assert (file.user, file.mode) == ("root", 0o600)
    assert host.run("cat /etc/proto-trainer.env").rc != 0


@pytest.mark.parametrize(("user", "reads"), [("brad", True), ("guest", False)])
def test_who_may_read_the_journal(host: Host, user: str, reads: bool) -> None:
    assert ("systemd-journal" in host.user(user).groups) is reads


def test_the_journal_is_on_disk(host: Host) -> None:
    assert host.run('test -e "/var/log/journal/$(cat /etc/machine-id)/system.journal"').rc == 0


def test_sudo_allows_what_a_repair_does_and_no_more(host: Host) -> None:
    assert host.run(f"sudo -n -l systemctl start {UNIT}").rc == 0
    assert host.run("sudo -n -l systemctl start ssh").rc != 0
