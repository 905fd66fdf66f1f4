# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a full disk, on hosts whose file systems the test lists: the kernel's answers are stood in for."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service
from ansible_collections.voiceops.livekit.plugins.module_utils.service_disk import full_folders

UNIT = {"WorkingDirectory": "/srv/app"}
ROOMY = {"f_bavail": 10**6, "f_favail": 10**6, "f_flag": 0}
FULL = {**ROOMY, "f_bavail": 0}
NO_INODES = {**ROOMY, "f_favail": 0}
IMAGE = {**FULL, "f_favail": 0, "f_flag": os.ST_RDONLY | os.ST_NOSUID}


def mount(monkeypatch: pytest.MonkeyPatch, **mounted: dict[str, int]) -> None:
    """Let the file systems be these; folders by their path, with C(_) for each C(/) and C(root) for that alone."""
    known = {"/" if name == "root" else f"/{name.replace('_', '/')}": values for name, values in mounted.items()}

    def statvfs(path: str) -> Any:
        if path not in known:
            raise FileNotFoundError(path)
        values = {"f_blocks": 10**6, "f_frsize": 4096, "f_files": 10**6, **known[path]}
        return type("Room", (), values)

    monkeypatch.setattr(os, "statvfs", statvfs)


@pytest.mark.parametrize(
    ("mounted", "full"),
    [
        ({"root": ROOMY, "srv_app": FULL}, ["/srv/app"]),
        ({"root": ROOMY, "srv_app": NO_INODES}, ["/srv/app"]),
        ({"root": ROOMY, "var_log_journal": FULL, "tmp": FULL}, ["/var/log/journal", "/tmp"]),
        ({"root": IMAGE, "var": ROOMY, "srv_app": ROOMY}, []),
        ({"root": ROOMY, "var": ROOMY}, []),
        ({"root": IMAGE}, None),
        ({}, None),
    ],
)
def test_full_is_where_something_is_to_be_written(
    monkeypatch: pytest.MonkeyPatch, mounted: dict[str, dict[str, int]], full: list[str] | None
) -> None:
    mount(monkeypatch, **mounted)
    assert full_folders(UNIT) == full


@pytest.mark.parametrize(
    ("mounted", "disk_full", "told"),
    [
        ({"root": ROOMY, "tmp": FULL}, False, ["no room is left in /tmp now"]),
        ({"root": FULL, "tmp": ROOMY}, True, ["no room is left in / now"]),
        ({"root": IMAGE, "tmp": ROOMY}, False, []),
        ({"root": IMAGE}, None, []),
    ],
)
def test_a_full_scratch_folder_is_told_and_is_no_full_disk(
    monkeypatch: pytest.MonkeyPatch, mounted: dict[str, dict[str, int]], disk_full: bool | None, told: list[str]
) -> None:
    mount(monkeypatch, **mounted)
    record = service.collect({"service_unit": "proto-trainer-next"}, time.monotonic() + 10)
    assert record["signals"]["disk_full"] is disk_full
    assert [limit for limit in record["limits"] if "no room" in limit] == told
