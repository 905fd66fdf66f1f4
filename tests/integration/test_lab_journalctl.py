# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in journalctl beside the real one, over the same entries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from lab.journal import REMOTE, JournalFile, JournalLines, Store, entries
from lab.scenario import load

REAL_JOURNAL = bool(shutil.which("journalctl")) and any(os.access(path, os.X_OK) for path in REMOTE)
SCENARIO = """\
name: some
title: Some
expected: {verdict: healthy, state: healthy}
pi:
  journal:
    begins_at: -2h
    suppressed: 7
    entries:
      - {at: -1h, message: "POST /api/internal/sessions 201 in 87ms"}
      - {at: -30s, message: "{ code: 'P2003' }", priority: 3}
      - {at: -20s, message: "something else", unit: other}
"""
JOURNALCTL = [
    "",
    "-u proto-trainer-next",
    "-u nope",
    "-u nope -q",
    "-u nope -o json",
    "-u other -u proto-trainer-next -n 2",
    "-n 2",
    "-n 2 -r",
    "-n 0",
    "-n bad",
    "-n 2 --since @{early}",
    "-n 1 -r --since @{early}",
    "--since @{early} --until @{late}",
    "--since @{early} --until @{late} -n 1",
    "--since -10min",
    "--since bogus",
    "--grep p2003",
    "--grep P2003 -o cat",
    "--grep post -n 1",
    "--grep nope",
    "-p err",
    "-p bogus",
    "-t systemd",
    "_PID=1 -o cat",
    "-o short-iso-precise --utc",
    "-o short-unix --no-hostname",
    "-o bogus",
    "-b",
    "--list-boots",
]


def read(store: Store, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([*store.command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not REAL_JOURNAL, reason="needs journalctl and systemd-journal-remote")
def test_the_stand_in_journalctl_answers_as_the_real_one(tmp_path):
    now = time.time()
    (tmp_path / "some.yml").write_text(SCENARIO, encoding="utf-8")
    scenario = load(tmp_path / "some.yml", now)
    long = {"at": now - 10, "message": "two\nlines " + "x" * 5000, "priority": 4, "unit": None}
    scenario["pi"]["journal"]["entries"].append(long)
    remote = next(path for path in REMOTE if os.access(path, os.X_OK))
    real, ours = JournalFile(tmp_path / "real", remote, "journalctl"), JournalLines(tmp_path / "lines", sys.executable)
    for store in (real, ours):
        for entry in entries(scenario):
            store.write(entry)
        store.close()

    for line in JOURNALCTL:
        arguments = line.format(early=int(now - 1100), late=int(now - 15)).split()
        assert read(ours, "--no-pager", *arguments) == read(real, "--no-pager", *arguments), line
    for line in ("", "--all", "--output-fields=MESSAGE,PRIORITY"):
        shown = [read(store, "-o", "json", *line.split())[1].splitlines() for store in (ours, real)]
        first, second = ([{**json.loads(text), "__CURSOR": ""} for text in lines] for lines in shown)
        assert first == second, line
