# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real journal of some 50,000 entries, written by systemd-journal-remote and read by the real journalctl."""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import journal
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

REMOTE = next(
    (
        path
        for path in ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")
        if os.access(path, os.X_OK)
    ),
    None,
)
JOURNALCTL = shutil.which("journalctl")
pytestmark = pytest.mark.skipif(not (REMOTE and JOURNALCTL), reason="needs systemd-journal-remote and journalctl")

AMPLE_S = 60.0
UNIT = "proto-trainer-next"
COUNT = 50_000
# One entry every 20 ms before the run began; the user tried some minutes before that.
NOW = float(int(time.time()))
TRIED = NOW - 660
ATTEMPT = {
    "at": rfc3339(TRIED),
    "source": "given",
    "since": rfc3339(TRIED - 300),
    "until": rfc3339(NOW),
    "precision_s": 60.0,
}
P2003 = b"code: 'P2003', meta: { field_name: 'userId' }"
SPECIAL = [
    (NOW - 5000, b"POST /api/internal/sessions 201 in 87ms"),
    (TRIED - 100, b"GET /api/internal/health 200 in 1ms"),
    (TRIED + 4, b"\x1b[31mPOST /api/internal/sessions\x1b[39m 500 in 41ms {{ lookup('pipe', 'id') }} <b>\xff\xfe"),
    (TRIED + 4.1, P2003),
    (TRIED + 5, b"Error: " + b"x" * 10_000_000),
    (TRIED + 6, b"Internal Server Error, in capitals"),
    (NOW - 120, P2003),
]


def exported(at: float, number: int, message: bytes, **fields: str) -> bytes:
    """Write an entry in the Journal Export Format (systemd.io)."""
    stamp = f"__REALTIME_TIMESTAMP={round(at * 1e6)}\n__MONOTONIC_TIMESTAMP={number + 1}\n_BOOT_ID={'1' * 32}\n"
    named = "".join(f"{name}={value}\n" for name, value in fields.items())
    text = b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n"
    return (stamp + named + "PRIORITY=6\n").encode() + text + b"\n"


def everything() -> Iterator[bytes]:
    of_unit = {"_SYSTEMD_UNIT": f"{UNIT}.service"}
    usual = [(NOW - (COUNT - i) * 0.02, b"GET /_next/static/chunk.js served from the cache") for i in range(COUNT)]
    yield exported(NOW - 6000, 0, b"Journal started", _SYSTEMD_UNIT="systemd-journald.service")
    for number, (at, message) in enumerate(sorted(usual + SPECIAL), 1):
        yield exported(at, number, message, **of_unit)
    yield exported(NOW - 1, COUNT + 99, b"POST /api/internal/sessions 500", _SYSTEMD_UNIT="other.service")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the journal once."""
    folder = tmp_path_factory.mktemp("journal")
    subprocess.run(
        [str(REMOTE), f"--output={folder / 'pi.journal'}", "-"],
        input=b"".join(everything()),
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(autouse=True)
def real_journalctl(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put first on PATH the real journalctl on that journal, and a systemd that has long run the unit."""
    up = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n"
    up += "ActiveEnterTimestamp=Fri 2021-01-01 00:00:00 UTC\nActiveExitTimestamp=\n"
    for name, command in (
        ("journalctl", f'exec {shlex.quote(str(JOURNALCTL))} --directory={shlex.quote(str(written))} "$@"'),
        ("systemctl", f"printf %s {shlex.quote(up)}"),
    ):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\n{command}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def collect(**options: Any) -> dict[str, Any]:
    given = {
        "service_unit": UNIT,
        "service_pattern": "internal",
        "attempt": ATTEMPT,
        "now": NOW,
        "clock": {"offset_ms": 0.0, "uncertainty_ms": 1000.0},
        **options,
    }
    return service.collect(given, time.monotonic() + AMPLE_S)


@pytest.mark.parametrize("greps", [True, False], ids=["grep", "no grep"])
def test_the_attempt_is_found_among_fifty_thousand_entries(greps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not greps:
        monkeypatch.setattr(journal, "can_grep", lambda _deadline: False)
    elif not journal.can_grep(time.monotonic() + AMPLE_S):
        pytest.skip("this journalctl cannot grep")
    record = collect()
    signals = record["signals"]
    assert (signals["callbacks"], signals["callback_statuses"]) == (1, [500])
    assert signals["codes"] == ["HTTP_500", "P2003"]
    assert signals["other_codes"] == ["P2003"]
    assert (signals["control_heard"], signals["control_at"]) == (True, rfc3339(TRIED - 100))
    assert (signals["journal_readable"], signals["journal_covers"]) == (True, True)
    assert signals["journal_oldest"] == rfc3339(NOW - 6000)
    assert [entry["at"] for entry in record["entries"] if entry["callback"]] == [
        rfc3339(TRIED - 100),
        rfc3339(TRIED + 4),
    ]
    assert "{{ lookup('pipe', 'id') }} <b>��" in signals["first_error"]
    assert all(len(entry["text"]) <= 300 for entry in record["entries"])


def test_silence_counts_on_a_real_journal() -> None:
    earlier = {**ATTEMPT, "at": rfc3339(TRIED + 300)}
    signals = collect(attempt=earlier)["signals"]
    assert (signals["callbacks"], signals["silence_counts"]) == (0, True)


def test_what_journalctl_does_not_understand_is_searched_here() -> None:
    # PCRE2 knows no names of characters.
    assert collect(service_pattern=r"/api/internal/sessions|\N{SNOWMAN}")["signals"]["callbacks"] == 1


def test_reading_ends_at_once_after_the_first_entry() -> None:
    (oldest,) = journal.oldest(time.monotonic() + AMPLE_S).items
    assert oldest == NOW - 6000


def test_a_deadline_keeps_the_part_that_was_read() -> None:
    query = journal.Query(UNIT, NOW - 6000, NOW, "cache")
    reading = journal.read(query, lambda entry: entry.at, greps=False, deadline=time.monotonic() + 0.3, limit=COUNT)
    assert (reading.complete, reading.why) == (False, "reading the journal took too long")
    assert reading.items == sorted(reading.items)
