# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's files tell: its environment without any secret, and what its frontend was built for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import service_files
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

AMPLE_S = 20.0
NOW = 1770436200.0
SECRET = "hunter22"


def write(path: Path, text: str, at: float = NOW - 9000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def environment(unit: dict[str, str], *required: str, started: float | None = NOW) -> dict[str, Any]:
    return service_files.environment_signals(unit, required, started, 100.0)


def frontend(folder: Path, seconds: float = AMPLE_S, **unit: str) -> dict[str, Any]:
    shown = {"WorkingDirectory": str(folder), **unit}
    return service_files.frontend_signals(shown, 100.0, time.monotonic() + seconds)


def built(folder: Path, script: str = 'let a="wss://old.livekit.cloud"', at: float = NOW - 5000) -> None:
    write(folder / ".next/BUILD_ID", "4Vq1", at)
    write(folder / ".next/static/chunks/app/page.js", script)


def test_every_place_that_sets_a_variable_counts(tmp_path: Path) -> None:
    write(tmp_path / ".env", f"A={SECRET}\n")
    write(tmp_path / ".env.production.local", f" export B = '{SECRET}' \n")
    file = write(tmp_path / "my service.env", f"C={SECRET}\n")
    unit = {
        "WorkingDirectory": f"!{tmp_path}",
        "Environment": f'D={SECRET} "E={SECRET} and more"',
        "EnvironmentFiles": f"{file} (ignore_errors=no)\n{tmp_path}/gone (ignore_errors=yes)",
    }
    assert environment(unit, "A", "B", "C", "D", "E", "F")["env_missing"] == ["F"]
    assert SECRET not in str(list(service_files.sources(unit)))


@pytest.mark.parametrize("line", ["", "#A=x", "A=", 'A=""', "A", "A x", "AB=x", "1A=x", "\x00\ufffd="])
def test_a_variable_without_a_value_is_missing(tmp_path: Path, line: str) -> None:
    write(tmp_path / ".env", f"{line}\nZ=1\n")
    assert environment({"WorkingDirectory": str(tmp_path)}, "A")["env_missing"] == ["A"]


@pytest.mark.parametrize("unreadable", [".env", "service.env"])
def test_what_may_be_in_a_file_that_cannot_be_read_is_not_missing(tmp_path: Path, unreadable: str) -> None:
    (tmp_path / unreadable).mkdir()
    unit = {"WorkingDirectory": str(tmp_path), "EnvironmentFiles": f"{tmp_path}/service.env", "Environment": "A=1"}
    assert environment(unit, "A", "B")["env_missing"] is None
    assert environment(unit, "A")["env_missing"] == []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    assert service_files.read_source(tmp_path / ".env") == (None, None)


def test_without_a_folder_or_a_required_name_nothing_is_known_to_be_missing(tmp_path: Path) -> None:
    assert environment({}, "A")["env_missing"] is None
    assert environment({"WorkingDirectory": "~"}, "A")["env_missing"] is None
    assert environment({"WorkingDirectory": str(tmp_path)})["env_missing"] is None


@pytest.mark.parametrize(
    ("before_start", "changed"),
    [(-1, "after_start"), (0, "before_start"), (600, "before_start"), (601, None)],
)
def test_when_the_newest_file_was_written(tmp_path: Path, before_start: float, changed: str | None) -> None:
    write(tmp_path / ".env", "A=1", NOW - before_start)
    write(tmp_path / ".env.local", "A=1", NOW - 9000)
    unit = {"WorkingDirectory": str(tmp_path)}
    signals = environment(unit, "A")
    assert (signals["env_changed"], signals["env_changed_at"]) == (changed, rfc3339(NOW - before_start - 100))
    assert environment(unit, "A", started=None)["env_changed"] is None


def test_a_frontend_that_was_built_before_its_url_was_set(tmp_path: Path) -> None:
    built(tmp_path)
    write(tmp_path / ".env", "NEXT_PUBLIC_LIVEKIT_URL=wss://older.livekit.cloud", NOW - 9000)
    write(tmp_path / ".env.local", 'NEXT_PUBLIC_LIVEKIT_URL="wss://New.livekit.cloud:443/"', NOW - 60)
    assert frontend(tmp_path) == {
        "frontend_built_at": rfc3339(NOW - 5100),
        "frontend_hosts": ["old.livekit.cloud"],
        "frontend_host_set": "new.livekit.cloud",
        "frontend_url_newer": True,
    }


def test_a_url_that_the_unit_sets_has_no_time(tmp_path: Path) -> None:
    built(tmp_path)
    write(tmp_path / ".env", "NEXT_PUBLIC_LIVEKIT_URL=wss://a.livekit.cloud", NOW)
    signals = frontend(tmp_path, Environment="NEXT_PUBLIC_LIVEKIT_URL=wss://b.livekit.cloud")
    assert (signals["frontend_host_set"], signals["frontend_url_newer"]) == ("b.livekit.cloud", None)


def test_a_file_that_cannot_be_read_may_set_another_url(tmp_path: Path) -> None:
    built(tmp_path)
    write(tmp_path / ".env", "NEXT_PUBLIC_LIVEKIT_URL=wss://a.livekit.cloud", NOW)
    (tmp_path / ".env.local").mkdir()
    signals = frontend(tmp_path)
    assert (signals["frontend_host_set"], signals["frontend_url_newer"]) == (None, None)


@pytest.mark.parametrize("url", ["", "wss://[", "no-url", "wss://"])
def test_a_url_without_a_host(tmp_path: Path, url: str) -> None:
    built(tmp_path)
    write(tmp_path / ".env", f"NEXT_PUBLIC_LIVEKIT_URL={url}")
    assert frontend(tmp_path)["frontend_host_set"] is None


@pytest.mark.parametrize(
    ("script", "hosts"),
    [
        ('"wss://A.livekit.cloud/rtc"', ["a.livekit.cloud"]),
        ("'ws://192.0.2.7:7880'", ["192.0.2.7"]),
        ("`wss://${host}` + 'ws://localhost:7880'", []),
        (f'"wss://token-{SECRET}@a.livekit.cloud"', []),
        (f'"wss://key:{SECRET}@a.livekit.cloud"', []),
        ('"https://a.livekit.cloud"', []),
    ],
)
def test_the_hosts_in_scripts(tmp_path: Path, script: str, hosts: list[str]) -> None:
    built(tmp_path, script)
    assert frontend(tmp_path)["frontend_hosts"] == hosts


def test_no_host_is_absent_from_scripts_that_were_not_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path)
    assert frontend(tmp_path, seconds=-1)["frontend_hosts"] is None
    monkeypatch.setattr(service_files, "_MOST_BYTES", 8)
    assert frontend(tmp_path)["frontend_hosts"] is None
    monkeypatch.undo()
    (tmp_path / ".next/static/chunks/broken.js").symlink_to(tmp_path / "gone")
    assert frontend(tmp_path)["frontend_hosts"] is None


def test_scripts_that_are_not_there_name_no_host_for_certain(tmp_path: Path) -> None:
    write(tmp_path / ".next/BUILD_ID", "4Vq1")
    assert frontend(tmp_path)["frontend_hosts"] is None


def test_a_service_without_a_build_has_no_frontend(tmp_path: Path) -> None:
    write(tmp_path / ".env", "NEXT_PUBLIC_LIVEKIT_URL=wss://a.livekit.cloud")
    for signals in (frontend(tmp_path), service_files.frontend_signals({}, 0.0, time.monotonic() + AMPLE_S)):
        assert set(signals.values()) == {None}
    assert frontend(tmp_path).keys() == {name for name in service_files.SIGNALS if name.startswith("frontend_")}
