# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import (
    KEEP_PROBES_S,
    PROBES_FILE,
    add_probes,
    artifacts_dir,
    read_probes,
)

PROBE = {"since": "2026-02-06T22:48:00.000Z", "until": "2026-02-06T22:48:01.000Z", "what": "callback"}


@pytest.mark.parametrize(
    ("playbook_dir", "expected"),
    [
        ("runbooks/playbooks", "runbooks/artifacts"),
        ("runbooks", "runbooks/artifacts"),
        ("site/ansible_collections/voiceops/livekit/playbooks", "artifacts"),
    ],
)
def test_artifacts_lie_beside_the_project_of_the_playbook(tmp_path, monkeypatch, playbook_dir, expected):
    monkeypatch.chdir(tmp_path)
    assert artifacts_dir(None, str(tmp_path / playbook_dir)) == tmp_path / expected


def test_a_given_folder_is_taken_with_its_home_and_spaces(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert artifacts_dir("~/my incidents", "anywhere") == tmp_path / "my incidents"


def test_probes_are_kept_for_a_day(tmp_path):
    add_probes(tmp_path, [PROBE], 1000.0)
    add_probes(tmp_path, [{**PROBE, "what": "dispatch"}], 1000.0 + KEEP_PROBES_S)
    assert [probe["what"] for probe in read_probes(tmp_path, 1000.0 + KEEP_PROBES_S - 1)] == ["dispatch"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "5",
        '{"since": 1}',
        "[1, null]",
        "[" * 100_000,
        '[{"ended": "x"}]',
        '[{"ended": null}]',
        '[{"ended": 1000}]',
        '[{"ended": 1000, "since": 5, "until": "2026-02-06T22:48:01.000Z", "what": "callback"}]',
        '[{"ended": 1000, "since": "2026-02-06T22:48:01.000Z", "until": "soon", "what": "callback"}]',
    ],
)
def test_a_damaged_file_of_probes_means_that_none_are_known(tmp_path, content):
    (tmp_path / PROBES_FILE).write_text(content, encoding="utf-8")
    assert read_probes(tmp_path, 1000.0) == []


def test_a_damaged_window_costs_itself_alone(tmp_path):
    add_probes(tmp_path, [PROBE, {"since": "2026-02-06T22:48:00.000Z"}], 1000.0)
    add_probes(tmp_path, [PROBE], 1001.0)
    assert [probe["ended"] for probe in read_probes(tmp_path, 1002.0)] == [1000.0, 1001.0]


def test_windows_of_many_processes_at_once_are_all_kept(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import add_probes\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"for number in range(20): add_probes(Path(sys.argv[1]), [{PROBE}], 1000.0 + number)\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _each in range(4)
    ]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 4
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert len(read_probes(tmp_path, 1020.0)) == 80
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [PROBES_FILE]
