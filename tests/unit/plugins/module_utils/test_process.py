# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs that hang, flood, fork and ignore signals."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import process
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, Result, run

FAR = 30.0


def python(code: str, *, seconds: float = FAR, **more: object) -> Result:
    return run([sys.executable, "-c", code], deadline=time.monotonic() + seconds, **more)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_both_outputs_and_the_code_come_back() -> None:
    result = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert result == Result(3, "out\n", "err\n", timed_out=False, truncated=False)


def test_bytes_that_are_no_utf8_do_no_harm() -> None:
    assert python("import os; os.write(1, b'a\\xffb')").stdout == "a\ufffdb"


def test_no_input_and_no_terminal() -> None:
    code = """
import os, sys
print(repr(sys.stdin.read()), os.getsid(0) == os.getpid())
try:
    open('/dev/tty')
except OSError:
    print('no terminal')
"""
    assert python(code).stdout == "'' True\nno terminal\n"


def test_the_environment_and_the_folder_are_the_callers_choice(tmp_path: Path) -> None:
    result = python("import os; print(os.getcwd(), sorted(os.environ))", cwd=str(tmp_path), env={"ONLY": "this"})
    assert str(tmp_path) in result.stdout
    assert "'ONLY'" in result.stdout
    assert "HOME" not in result.stdout


def test_a_late_program_is_ended_and_its_output_kept() -> None:
    result = python("import time; print('partial', flush=True); time.sleep(600)", seconds=5)
    assert result == Result(None, "partial\n", "", timed_out=True, truncated=False)


def test_one_that_ignores_sigterm_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 6.0)
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print('not me', flush=True))
pid = os.fork()
if pid:
    print(os.getpid(), pid, flush=True)
while True:
    time.sleep(1)
"""
    result = python(code, seconds=5)
    parent, child = map(int, result.stdout.split("\n")[0].split())
    assert result.timed_out
    assert "not me" in result.stdout
    assert not alive(parent)
    assert not alive(child)


def test_a_child_that_holds_the_pipes_does_not_hold_us() -> None:
    code = "import os, time; os.fork() or (time.sleep(5), print('late')); print('parent', flush=True)"
    result = python(code)
    assert (result.returncode, result.stdout, result.timed_out) == (0, "parent\n", False)


def test_a_flood_is_cut_and_read_to_its_end() -> None:
    result = python("import os\nfor _ in range(200): os.write(1, b'x' * 65536)", limit_bytes=1000)
    assert result == Result(0, "x" * 1000, "", timed_out=False, truncated=True)


def test_an_endless_flood_ends_at_the_deadline() -> None:
    result = python("import os\nwhile True: os.write(2, b'y' * 65536)", limit_bytes=10, seconds=5)
    assert result == Result(None, "", "y" * 10, timed_out=True, truncated=True)


def test_it_ends_when_the_caller_has_seen_enough() -> None:
    result = python(
        "import time; print('first', flush=True); time.sleep(600)",
        stop_when=lambda output, quiet_s: bool(output) and quiet_s > 0.2,
    )
    assert result == Result(None, "first\n", "", timed_out=False, truncated=False)


def test_a_program_that_closes_its_outputs_is_waited_for() -> None:
    assert python("import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(4)").returncode == 4


def test_what_cannot_be_started_is_said_in_a_sentence(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for argv, cwd, sentence in (
        (["no-such-lk"], None, "no such program: no-such-lk"),
        ([str(plain)], None, f"not allowed to run {plain}"),
        (["true"], str(tmp_path / "gone"), f"no such folder: {tmp_path / 'gone'}"),
        (["a\0b"], None, "cannot run a\0b: embedded null byte"),
    ):
        with pytest.raises(ProgramError) as caught:
            run(argv, deadline=time.monotonic() + FAR, cwd=cwd)
        assert str(caught.value) == sentence


def test_no_descriptor_is_left_open() -> None:
    python("print()")
    before = len(os.listdir("/proc/self/fd"))
    python("import time; time.sleep(600)", seconds=0.2)
    assert len(os.listdir("/proc/self/fd")) == before
