# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal of a million entries, and what it costs the Pi to look into it."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import Cost, run

from lab.journal import REMOTE, Clock, JournalFile, from_unit

COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks/collections"
UNIT = "proto-trainer-next"
BEGINS = 1_770_300_000.0
PER_SECOND = 10
COLLECT = """
import json, sys, time
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service
print(json.dumps(service.collect(json.loads(sys.argv[1]), time.monotonic() + 120)))
"""


def written(entries: int, tell: Callable[[str], None]) -> Path | None:
    """Return the folder of such a journal, written once into the user's cache; None where none can be written."""
    remote = next((path for path in REMOTE if os.access(path, os.X_OK)), None)
    journalctl = shutil.which("journalctl")
    if not remote or not journalctl:
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voiceops-livekit"
    folder = cache / f"journal-{entries}"
    if folder.exists():
        return folder
    tell(f"writing a journal of {entries:,} entries into {folder}, once (a minute for a million)")
    cache.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=cache))
    store, clock = JournalFile(partial, remote, journalctl), Clock(0, BEGINS)
    for number in range(entries):
        # Six of ten entries are the unit's, and each minute has one callback.
        unit = UNIT if number % 5 < 3 else "another"
        callback = number % (60 * PER_SECOND) == 0
        message = "POST /api/internal/sessions 201 in 41ms" if callback else f"tick {number}"
        store.write({**clock.stamp(BEGINS + number / PER_SECOND), **from_unit(unit, message)})
    store.close()
    partial.rename(folder)
    return folder


def rfc3339(at: float) -> str:
    """A moment in seconds since 1970, as the collection writes it."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def costs(folder: Path, entries: int, window_s: float, place: Path) -> tuple[Cost, Cost, int]:
    """Look into a window in the middle of the journal: by the layer service, and by journalctl and grep.

    Returns the two costs, and how many entries the layer read.
    """
    middle = BEGINS + entries / PER_SECOND / 2
    since, until = middle - window_s / 2, middle + window_s / 2
    journalctl = f"{shutil.which('journalctl')} --directory={shlex.quote(str(folder))}"
    stub = place / "bin/journalctl"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(f'#!/bin/sh\nexec {journalctl} "$@"\n', encoding="utf-8")
    stub.chmod(0o755)
    env = {**os.environ, "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(COLLECTIONS)}
    window = {"since": rfc3339(since), "until": rfc3339(until)}
    attempt = {"at": rfc3339(middle), "source": "given", "precision_s": 5, **window}
    options = {"service_unit": UNIT, "service_pattern": "internal", "attempt": attempt, "now": time.time()}

    ours = run([sys.executable, "-c", COLLECT, json.dumps(options)], env, place, place / "record.json")
    signals = json.loads((place / "record.json").read_text(encoding="utf-8"))["signals"]
    grep = f"{journalctl} -u {UNIT} --since=@{since:.0f} --until=@{until:.0f} | grep -c internal"
    theirs = run(["sh", "-c", grep], env, place, place / "grep.log")
    return ours, theirs, signals["entries_seen"]
