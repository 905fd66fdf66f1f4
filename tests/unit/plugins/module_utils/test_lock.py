# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time holds an agent, through kills, races, other hosts and clocks that were set back."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    canary,
    canary_metrics,
    canary_store,
    ledger,
    lock,
)

NOW = 1770418152.0
AGENT = "my-project.livekit.cloud/voice"
LOCK = "my-project.livekit.cloud-voice.lock"


def mine(run: str = "run-2", **changes: Any) -> dict[str, Any]:
    return {**lock.holder(run, os.getpid(), NOW), **changes}


def files(agent: str) -> set[Path]:
    """All that is kept of an agent, by the names of its files."""
    kept = (lock._path, lock._guard, ledger.path_of, canary_store.state_path, canary_store.history_path)
    canarys = canary_store.lock_name(agent)
    own = {make(Path(), agent) for make in kept} | {lock._path(Path(), canarys), lock._guard(Path(), canarys)}
    return own | {Path(canary_metrics.file_name(agent))}


def test_no_two_agents_share_a_file() -> None:
    names = ["voice", "voice-canary", "voice.canary", "voice/canary", "my agent", "my-agent", "my_agent", "agent"]
    names += ["", "голос", "音声", "x" * 120, "x" * 121, "-voice"]
    kept = [files(f"my-project.livekit.cloud/{name}") for name in names]
    assert len(set.union(*kept)) == sum(map(len, kept)) == 8 * len(names)


def test_the_lock_names_its_holder_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert lock.take(folder, AGENT, mine(), NOW) == (True, "")
    held = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    assert {"host", "pid", "pid_began", "user", "since", "run"} == set(held)
    assert (held["pid"], held["run"], held["since"]) == (os.getpid(), "run-2", "2026-02-06T22:49:12.000Z")
    assert (folder / LOCK).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o2770, 0o660), (0o755, 0o600)])
def test_what_is_kept_in_a_folder_of_a_group_is_the_groups(tmp_path: Path, folder_mode: int, file_mode: int) -> None:
    tmp_path.chmod(folder_mode)
    before = os.umask(0o077)
    try:
        for _again in range(2):
            lock.take(tmp_path, AGENT, mine(), NOW)
            ledger.write(tmp_path, AGENT, [], NOW)
            canary_store.write(tmp_path, AGENT, canary.new_state())
            canary_store.append(tmp_path, AGENT, {"at": "2026-02-06T22:49:12Z"})
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 5, modes
    assert set(modes.values()) == {file_mode}, modes


def test_a_second_run_is_kept_out_and_told_by_whom_until_it_is_released(tmp_path: Path) -> None:
    lock.take(tmp_path, AGENT, mine("run-1"), NOW)
    ours, sentence = lock.take(tmp_path, AGENT, mine("run-2"), NOW + 1e6)
    assert ours is False
    assert f"Run run-1 of {mine()['user']}@{mine()['host']} (pid {os.getpid()}, since 2026-02-06T22:49" in sentence
    assert lock.release(tmp_path, AGENT, "run-2") is False
    assert lock.release(tmp_path, AGENT, "run-1") is True
    assert lock.take(tmp_path, AGENT, mine("run-2"), NOW).ours is True


def test_two_agents_do_not_wait_for_each_other(tmp_path: Path) -> None:
    assert lock.take(tmp_path, "one", mine("run-1"), NOW).ours is True
    assert lock.take(tmp_path, "two", mine("run-2"), NOW).ours is True


def test_a_run_may_take_its_own_lock_twice(tmp_path: Path) -> None:
    lock.take(tmp_path, AGENT, mine(host="there"), NOW)
    again = mine(host="there", since="2026-02-06T23:49:12.000Z")
    assert lock.take(tmp_path, AGENT, again, NOW + 3600) == (True, "")
    # For another host it is as old as when it was taken last.
    assert lock.take(tmp_path, AGENT, mine("run-3"), NOW + 3700, 3600).ours is False


def test_the_lock_of_a_run_of_this_host_that_was_killed_is_taken_over_and_that_is_said(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from ansible_collections.voiceops.livekit.plugins.module_utils import lock\n"
        "lock.take(Path(sys.argv[1]), sys.argv[2], lock.holder('run-1', os.getpid(), time.time()), time.time())\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, tmp_path, AGENT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -9
    assert (tmp_path / LOCK).exists()

    ours, sentence = lock.take(tmp_path, AGENT, mine("run-2"), NOW)
    assert ours is True
    assert sentence.startswith("The lock was taken over from run run-1 of ")
    assert sentence.endswith("that process is gone.")
    assert lock.read(tmp_path, AGENT) == mine("run-2")


def test_a_process_id_that_belongs_to_another_process_by_now_holds_nothing(tmp_path: Path) -> None:
    lock.take(tmp_path, AGENT, mine("run-1", pid_began="Thu Jan 1 00:00:00 1970"), NOW)
    ours, sentence = lock.take(tmp_path, AGENT, mine("run-2"), NOW)
    assert (ours, "its id belongs to another one" in sentence) == (True, True)


@pytest.mark.parametrize(
    ("age", "ours"),
    [(0.0, False), (3600.0, False), (3601.0, True), (-86400.0, False)],
    ids=["new", "on the edge", "expired", "the clock was set back"],
)
def test_a_lock_of_another_host_expires_after_the_stated_time(tmp_path: Path, age: float, ours: bool) -> None:
    # The process id is dead here, which says nothing of the other host.
    lock.take(tmp_path, AGENT, mine("run-1", host="another-host", pid=2**22 + 1), NOW)
    taken = lock.take(tmp_path, AGENT, mine("run-2"), NOW + age, 3600)
    assert taken.ours is ours
    assert ("is older than 3600 s" if ours else "expires 3600 s after that") in taken.sentence


@pytest.mark.parametrize(("age", "ours"), [(0.0, False), (3600.0, False), (3601.0, True)])
@pytest.mark.parametrize("unknown", ["no ps now", "no ps then"])
def test_where_it_is_not_known_whether_the_holder_lives_its_lock_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str, age: float, ours: bool
) -> None:
    lock.take(tmp_path, AGENT, mine("run-1", pid_began=mine()["pid_began"] if unknown == "no ps now" else None), NOW)
    me = mine("run-2")
    if unknown == "no ps now":
        monkeypatch.setenv("PATH", str(tmp_path))
    taken = lock.take(tmp_path, AGENT, me, NOW + age, 3600)
    assert taken.ours is ours
    assert ("is older than 3600 s" if ours else "expires 3600 s after that") in taken.sentence


def test_a_process_that_is_never_done_with_the_folder_keeps_others_out_for_a_bounded_time(tmp_path: Path) -> None:
    lock.take(tmp_path, AGENT, mine("run-1"), NOW)
    guard = os.open(tmp_path / ".my-project.livekit.cloud-voice.guard", os.O_RDWR)
    fcntl.flock(guard, fcntl.LOCK_EX)
    try:
        ours, sentence = lock.take(tmp_path, AGENT, mine("run-1"), NOW, wait_s=0.1)
    finally:
        os.close(guard)
    assert (ours, sentence.startswith("Another process of this host has kept ")) == (False, True)
    assert lock.take(tmp_path, AGENT, mine("run-1"), NOW).ours is True


def test_a_run_of_another_host_that_was_faster_is_told_as_such(tmp_path: Path) -> None:
    # Nothing to be read, and yet nothing can be made there: as if the file came in between.
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    ours, sentence = lock.take(tmp_path, AGENT, mine(), NOW)
    assert (ours, f"took the lock at the same moment: {tmp_path / LOCK}." in sentence) == (False, True)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_lock_that_cannot_be_read_keeps_out_and_names_its_file(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("{", encoding="utf-8")
    ours, sentence = lock.take(tmp_path, AGENT, mine(), NOW)
    assert ours is False
    assert "its lock cannot be read" in sentence
    assert "It does not expire: if no repair is at work, remove that file." in sentence
    assert str(tmp_path / LOCK) in sentence


def test_a_folder_that_cannot_be_written_raises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        lock.take(tmp_path / "file" / "state", AGENT, mine(), NOW)


def test_of_many_processes_at_once_exactly_one_gets_it_even_from_a_dead_one(tmp_path: Path) -> None:
    lock.take(tmp_path, AGENT, mine("dead", pid=2**22 + 1, pid_began="x"), NOW)
    script = (
        "import os, signal, sys; from pathlib import Path; signal.alarm(60)\n"
        "from ansible_collections.voiceops.livekit.plugins.module_utils import lock\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "mine = lock.holder(sys.argv[3], os.getpid(), 1e9)\n"
        "print(lock.take(Path(sys.argv[1]), sys.argv[2], mine, 1e9).ours, flush=True)\n"
        "sys.stdin.readline()"
    )
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path, AGENT, f"run-{number}"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    pipes = [(rival.stdin, rival.stdout) for rival in rivals]
    assert all(out is not None and out.readline() == "ready\n" for _in, out in pipes)
    for start, _out in pipes:
        assert start is not None
        start.write("go\n")
        start.flush()
    answers = [out.readline().strip() for _in, out in pipes if out is not None]
    for rival in rivals:
        rival.communicate("end\n", timeout=20)
    assert sorted(answers) == ["False", "False", "False", "True"]
