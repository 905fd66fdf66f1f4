# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the canary keeps survives killed runs, torn lines and damaged files, and stays small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import canary, canary_store, whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

from ...canary_world import HOUR, MIDNIGHT, STANDARD, asked, probed

AGENT = "proj.livekit.cloud/automatic"
NOW = MIDNIGHT


def entry(at: float = NOW, **changes: Any) -> dict[str, Any]:
    seen = canary.see({**asked(), "dispatch": probed(at, True)}, STANDARD)
    return {**canary.advance(canary.new_state(), seen, STANDARD, at).entry, **changes}


def times(folder: Path) -> list[str]:
    return [item["at"] for item in canary_store.history(folder, AGENT).entries]


def test_a_state_is_read_as_it_was_written_by_its_owner_alone(tmp_path: Path) -> None:
    assert canary_store.read(tmp_path, AGENT, NOW) == (canary.new_state(), "")
    state = canary.begun(canary.new_state(), NOW)
    canary_store.write(tmp_path, AGENT, state)
    assert canary_store.read(tmp_path, AGENT, NOW + HOUR) == (state, "")
    assert canary_store.state_path(tmp_path, AGENT).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["proj.livekit.cloud-automatic.canary.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"test": null}', b"\xff\xfe", b"null"])
def test_a_damaged_state_is_put_aside_and_gives_no_early_probe(tmp_path: Path, content: bytes) -> None:
    path = canary_store.state_path(tmp_path, AGENT)
    path.write_bytes(content)
    state, problem = canary_store.read(tmp_path, AGENT, NOW)
    assert (tmp_path / "proj.livekit.cloud-automatic.canary.damaged").read_bytes() == content
    assert "was damaged and is now" in problem
    seen = canary.see(asked(), STANDARD)
    decisions = [canary.decide(state, seen, STANDARD, NOW + age).probe for age in (0, 6 * HOUR - 1, 6 * HOUR)]
    assert decisions == [False, False, True]


def test_a_run_that_is_killed_while_it_writes_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    script = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.voiceops.livekit.plugins.module_utils import whole_file\n"
        "sys.stdout.write('ready\\n'); sys.stdout.flush()\n"
        "while True:\n"
        "    for letter in 'ab': whole_file.write(Path(sys.argv[1]), letter * 200000)\n"
    )
    whole_file.write(path, "a" * 200000)
    for _time in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, path],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
        writer.stdout.close()
        assert path.read_text() in ("a" * 200000, "b" * 200000)


def test_what_a_killed_run_left_is_no_obstacle_and_a_umask_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / ".file.part").write_text("half", encoding="utf-8")
    before = os.umask(0o077)
    try:
        whole_file.write(tmp_path / "file", "whole", 0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "whole"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        whole_file.write(tmp_path / "file", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_history_is_read_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    assert canary_store.history(tmp_path, AGENT) == ([], 0)
    written = [entry(NOW), {"at": rfc3339(NOW), "opened": "an-id"}, entry(NOW + HOUR)]
    for item in written:
        canary_store.append(tmp_path, AGENT, item)
    assert canary_store.history(tmp_path, AGENT) == (written, 0)
    assert canary_store.history_path(tmp_path, AGENT).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_last_line_costs_itself_alone(tmp_path: Path, cut: int) -> None:
    for hour in range(3):
        canary_store.append(tmp_path, AGENT, entry(NOW + hour * HOUR))
    path = canary_store.history_path(tmp_path, AGENT)
    path.write_bytes(path.read_bytes()[:-cut])
    lost = 1 if cut > 1 else 0
    assert canary_store.history(tmp_path, AGENT).damaged == lost
    canary_store.append(tmp_path, AGENT, entry(NOW + 3 * HOUR))
    assert times(tmp_path) == [rfc3339(NOW + hour * HOUR) for hour in range(4) if not lost or hour != 2]
    assert canary_store.history(tmp_path, AGENT).damaged == lost


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[1]", b"null", b"\xff", b'{"at": "yesterday"}', b'{"at": "2026-03-02T00:00:00Z"}', b"[" * 9999]
    + [json.dumps(entry(**change)).encode() for change in ({"state": "odd"}, {"layers": []}, {"test": {"x": 1}})],
)
def test_a_line_that_is_no_entry_is_counted_and_left_out(tmp_path: Path, line: bytes) -> None:
    canary_store.append(tmp_path, AGENT, entry())
    path = canary_store.history_path(tmp_path, AGENT)
    path.write_bytes(line + b"\n" + path.read_bytes())
    found = canary_store.history(tmp_path, AGENT)
    assert (len(found.entries), found.damaged) == (1, 1)


def test_a_full_history_loses_its_older_half_in_whole_lines(tmp_path: Path) -> None:
    size = len(json.dumps(entry(), separators=(",", ":"))) + 1
    sizes = []
    for hour in range(100):
        said = {"tunnel": "x" * (hour % 7)}
        canary_store.append(tmp_path, AGENT, entry(NOW + hour * HOUR, because=said), most_bytes=20 * size)
        sizes.append(canary_store.history_path(tmp_path, AGENT).stat().st_size)
    assert max(sizes) <= 20 * size
    found = canary_store.history(tmp_path, AGENT)
    assert found.damaged == 0
    assert 9 <= len(found.entries) <= 20
    hours = range(100 - len(found.entries), 100)
    assert times(tmp_path) == [rfc3339(NOW + hour * HOUR) for hour in hours]


def test_thirty_days_of_runs_every_ten_minutes_fit() -> None:
    line = json.dumps(entry(because=dict.fromkeys(canary.LAYERS, "x" * 60)), separators=(",", ":"))
    assert 30 * 144 * len(line) < canary_store.MOST_BYTES
