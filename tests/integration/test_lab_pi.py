# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pi of a running lab, reached by the real OpenSSH client and by Ansible; and the lab's own coming and going."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD = "title: Some\nexpected: {verdict: healthy, state: healthy}\n"
ENTRIES = """\
    begins_at: -2h
    suppressed: 7
    entries:
      - {at: -1h, message: "POST /api/internal/sessions 201 in 87ms"}
      - {at: -30s, message: "{ code: 'P2003' }", priority: 3}
      - {at: -20s, message: "something else", unit: other}
"""


def run(*command: str | Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def lab_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "lab", *arguments, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")})


def until(reached: Callable[[], bool], seconds: float = 20) -> bool:
    """Ask again until it is so, or the time is up."""
    end = time.monotonic() + seconds
    while not (so := reached()) and time.monotonic() < end:
        time.sleep(0.02)
    return so


def gone(pid: int | str) -> bool:
    """Say whether a process has ended, though its parent may not have asked for its exit code yet."""
    state = run("ps", "-o", "stat=", "-p", str(pid)).stdout.strip()
    return state == "" or state.startswith("Z")


class Reached:
    """A lab that runs, and its Pi through ssh; C(control) is the socket of one shared connection."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.facts = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
        ssh = self.facts["ssh"]
        known = f'UserKnownHostsFile="{ssh["known_hosts"]}"'
        self.options = ["-F", "none", "-i", ssh["private_key"], "-o", known, "-o", "StrictHostKeyChecking=yes"]
        self.options += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", f"Port={ssh['port']}"]
        self.target = f"{ssh['user']}@127.0.0.1"

    def ssh(self, command: str, **options) -> subprocess.CompletedProcess[str]:
        return run("ssh", *self.options, self.target, command, **options)


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Callable[[str], Reached]]:
    """Bring up a lab, once per text of a scenario; all are down when the module ends."""
    labs: dict[str, Reached] = {}

    def bring(more: str = "") -> Reached:
        if more not in labs:
            folder = tmp_path_factory.mktemp("with a space")
            (folder / "some.yml").write_text(f"name: some\n{HEAD}{more}", encoding="utf-8")
            done = lab_command("up", folder / "some.yml", "--dir", folder / "lab")
            assert done.returncode == 0, done.stderr
            labs[more] = Reached(folder / "lab")
        return labs[more]

    yield bring
    for reached in labs.values():
        lab_command("down", "--dir", reached.directory)


@pytest.fixture(scope="module")
def pi(up) -> Reached:
    return up("pi:\n  unit: {started_at: -17m}\n  journal:\n" + ENTRIES)


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("echo out; exit 7", 7, "out\n"),
        ("kill -9 $$", 255, ""),
        ("cat", 0, "given"),
        ("exec 0<&-; echo early", 0, "early\n"),
        ('echo "$USER"', 0, "brad\n"),
        ("command -v ssh-keygen >/dev/null && echo tools", 0, "tools\n"),
        ("python3 -c 'import ansible'", 1, ""),
    ],
)
def test_a_command_has_its_input_output_and_exit_code(pi, command, code, output):
    done = pi.ssh(command, input="given")

    assert (done.returncode, done.stdout) == (code, output)


def test_the_two_outputs_stay_apart(pi):
    done = pi.ssh("echo out; echo err >&2")

    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_megabytes_pass_unchanged_both_ways(pi):
    data = os.urandom(5_000_000)
    command = ["ssh", *pi.options, pi.target, "cat"]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True)

    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_several_sessions_share_one_connection(pi):
    with tempfile.TemporaryDirectory(prefix="cm") as short:
        shared = ["-o", f"ControlPath={short}/s", "-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
        results = [run("ssh", *shared, *pi.options, pi.target, f"echo {number}").stdout for number in range(3)]
        sleeper = subprocess.Popen(
            ["ssh", *shared, *pi.options, pi.target, "read line; echo $line"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        beside = run("ssh", *shared, *pi.options, pi.target, "echo beside").stdout
        last, _unused = sleeper.communicate("last\n", timeout=20)
        run("ssh", "-O", "exit", *shared, *pi.options, pi.target)

    assert (results, beside, last) == (["0\n", "1\n", "2\n"], "beside\n", "last\n")


@pytest.mark.parametrize("legacy", [[], ["-O"]], ids=["sftp", "scp"])
def test_scp_copies_both_ways(pi, tmp_path, legacy):
    (tmp_path / "here").write_text("content")
    there = run("scp", *legacy, *pi.options, tmp_path / "here", f"{pi.target}:there")
    back = run("scp", *legacy, *pi.options, f"{pi.target}:there", tmp_path / "back")

    assert (there.returncode, back.returncode) == (0, 0), there.stderr + back.stderr
    assert (tmp_path / "back").read_text() == "content"
    assert (Path(pi.facts["ssh"]["home"]) / "there").exists()


def test_a_command_whose_client_is_gone_is_ended(pi, tmp_path):
    mark = tmp_path / "pid"
    client = subprocess.Popen(["ssh", *pi.options, pi.target, f"echo $$ >'{mark}'; sleep 600"])
    assert until(lambda: mark.exists() and mark.read_text().strip() != "")
    client.kill()
    client.wait()

    assert until(lambda: gone(mark.read_text().strip()))


def test_a_host_key_that_is_not_the_known_one_is_refused(pi, tmp_path):
    (tmp_path / "known").write_text("")
    done = run("ssh", "-o", f'UserKnownHostsFile="{tmp_path}/known"', *pi.options, pi.target, "true")

    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.parametrize("pipelining", ["1", "0"])
def test_ansible_reaches_it_twice_over_one_connection(pi, pipelining):
    with tempfile.TemporaryDirectory(prefix="an") as short:
        environment = {
            **os.environ,
            "VOICEOPS_LAB_DIR": str(pi.directory),
            "ANSIBLE_HOME": short,
            "ANSIBLE_PIPELINING": pipelining,
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [sys.executable, "-m", "ansible", "adhoc", "-i", ROOT / "inventory" / "lab", "pi-hub", "-m", "ping"]
        answers = [run(*command, env=environment, cwd=ROOT) for _turn in range(2)]

    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert all('"ping": "pong"' in answer.stdout for answer in answers)


def test_the_inventory_passes_on_every_variable_of_the_lab(pi):
    with tempfile.TemporaryDirectory(prefix="an") as short:
        command = [
            sys.executable,
            "-m",
            "ansible",
            "adhoc",
            "-i",
            ROOT / "inventory" / "lab",
            "localhost",
            "-m",
            "debug",
        ]
        environment = {
            **os.environ,
            "VOICEOPS_LAB_DIR": str(pi.directory),
            "ANSIBLE_HOME": short,
            "ANSIBLE_NOCOLOR": "1",
        }
        shown = {name: f"{{{{ {name} }}}}" for name in pi.facts["variables"]}
        done = run(*command, "-a", "var=shown", "-e", json.dumps({"shown": shown}), env=environment, cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.partition("=>")[2])["shown"] == pi.facts["variables"]


def test_systemctl_shows_the_unit_as_the_real_one_would(pi):
    asked = "LoadState,ActiveState,SubState,Result,NRestarts,ActiveEnterTimestamp,ActiveExitTimestamp,NoSuchProperty"
    done = pi.ssh(f"TZ=UTC systemctl show proto-trainer-next -p {asked}; systemctl is-active proto-trainer-next")

    *shown, state = done.stdout.splitlines()
    values = dict(line.split("=", 1) for line in shown)
    started = values.pop("ActiveEnterTimestamp")
    assert values == {
        "Result": "success",
        "NRestarts": "0",
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "ActiveExitTimestamp": "",
    }
    assert time.strptime(started, "%a %Y-%m-%d %H:%M:%S UTC")
    assert (state, done.returncode) == ("active", 0)


def test_systemctl_does_not_find_an_unknown_unit(pi):
    done = pi.ssh("systemctl show nope -p LoadState,ActiveEnterTimestamp; systemctl is-active nope")

    assert (done.stdout, done.returncode) == ("LoadState=not-found\nActiveEnterTimestamp=\ninactive\n", 4)


def messages(pi: Reached, *arguments: str) -> list[str]:
    done = pi.ssh(" ".join(["journalctl", "-o", "json", *arguments]))
    return [json.loads(line)["MESSAGE"] for line in done.stdout.splitlines()]


def test_the_journal_of_the_unit_has_what_pid_1_and_journald_say_of_it(pi):
    assert messages(pi, "-u", "proto-trainer-next")[:4] == [
        "POST /api/internal/sessions 201 in 87ms",
        "Started proto-trainer-next.service - Proto Trainer.",
        "{ code: 'P2003' }",
        "Suppressed 7 messages from proto-trainer-next.service",
    ]


def test_what_the_api_logs_is_in_the_journal_soon(pi):
    request = urllib.request.Request(pi.facts["variables"]["voiceops_callback_url"], method="GET")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)

    assert until(
        lambda: any(
            "GET /api/internal/sessions 405" in text for text in messages(pi, "-n", "1", "-u", "proto-trainer-next")
        )
    )


def test_a_journal_that_the_user_may_not_read_is_empty_and_says_so_unless_quiet(up):
    pi = up("pi:\n  journal:\n    readable: false\n" + ENTRIES)

    loud, quiet = pi.ssh("journalctl -u proto-trainer-next"), pi.ssh("journalctl -q -u proto-trainer-next")

    assert (loud.returncode, loud.stdout) == (0, "-- No entries --\n")
    assert "not seeing messages from other users and the system" in loud.stderr
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_clock_that_is_ahead_shows_in_python_and_in_the_journal(up):
    pi = up("pi:\n  clock_offset: 7200\n  unit: {started_at: -17m}\n")
    before = time.time()
    there = float(pi.ssh("python3 -c 'import time; print(time.time())'").stdout)
    started = int(
        pi.ssh("systemctl show proto-trainer-next -p ActiveEnterTimestamp --value --timestamp=unix").stdout[1:]
    )
    (entry,) = map(json.loads, pi.ssh("journalctl -o json -n 1 -t systemd").stdout.splitlines())

    assert 7200 <= there - before < 7260
    assert abs(there - 17 * 60 - started) < 60
    assert int(entry["__REALTIME_TIMESTAMP"]) // 1_000_000 == started
    assert pi.ssh("timedatectl show -p NTPSynchronized --value").stdout == "no\n"


@pytest.mark.parametrize(
    ("state", "message"), [("refuses_key", "Permission denied (publickey)"), ("unreachable", "Connection refused")]
)
def test_a_pi_that_cannot_be_entered(up, state, message):
    done = up(f"pi: {{state: {state}}}\n").ssh("true")

    assert done.returncode == 255
    assert message in done.stderr


def test_a_pi_that_hangs_lets_us_in_and_never_answers(up):
    pi = up("pi: {state: hangs}\n")
    client = subprocess.Popen(
        ["ssh", "-v", *pi.options, pi.target, "echo never"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert client.stderr
        assert any("Sending command" in line for line in client.stderr)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.5)
    finally:
        client.kill()
        output, _unused = client.communicate()
    assert output == ""


def test_a_pi_without_systemd_has_none_of_its_commands(up):
    done = up("pi: {state: no_systemd}\n").ssh(
        "for c in systemctl journalctl timedatectl; do command -v $c; done; echo end"
    )

    assert done.stdout == "end\n"


def session_of(directory: Path) -> list[str]:
    """Give the commands that run in the session of the lab's process; zombies do not run."""
    pid = json.loads((directory / "lab.json").read_text(encoding="utf-8"))["pid"]
    found = []
    for line in run("ps", "-A", "-o", "stat=,pid=,command=").stdout.splitlines():
        state, number, command = line.split(None, 2)
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(number)) == pid and not state.startswith("Z"):
                found.append(command)
    return found


@pytest.fixture
def directory(tmp_path) -> Iterator[Path]:
    yield tmp_path / "lab"
    lab_command("down", "--dir", tmp_path / "lab")


def test_up_replaces_what_runs_and_down_leaves_nothing(directory):
    assert lab_command("status", "--dir", directory).returncode == 3
    assert lab_command("up", "tunnel-offline", "--dir", directory).returncode == 0
    first = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
    assert lab_command("up", "user-missing-in-db", "--dir", directory).returncode == 0

    assert until(lambda: gone(first["pid"]))
    assert "user-missing-in-db" in lab_command("status", "--dir", directory).stdout
    assert (directory / "lab.json").stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    pid = json.loads((directory / "lab.json").read_text(encoding="utf-8"))["pid"]
    pi = Reached(directory)
    client = subprocess.Popen(["ssh", *pi.options, pi.target, "sleep 602"])
    assert until(lambda: any("sleep 602" in command for command in session_of(directory)))
    shutil.copy(directory / "lab.json", directory.parent / "lab.json")
    assert lab_command("down", "--dir", directory).stdout == "down\n"
    assert client.wait(20) == 255
    assert until(lambda: not session_of(directory.parent))
    assert lab_command("down", "--dir", directory).stdout == "nothing was running\n"
    assert until(lambda: gone(pid))
    assert not (directory / "lab.json").exists()
    assert (directory / "lab.log").read_text(encoding="utf-8") == ""


def test_down_ends_what_a_killed_lab_left(directory):
    assert lab_command("up", "tunnel-offline", "--dir", directory).returncode == 0
    pi = Reached(directory)
    client = subprocess.Popen(["ssh", *pi.options, pi.target, "sleep 601"])
    assert until(lambda: any("sleep 601" in command for command in session_of(directory)))
    os.kill(pi.facts["pid"], signal.SIGKILL)
    client.wait(20)
    assert until(lambda: gone(pi.facts["pid"]))
    assert any("sleep 601" in command for command in session_of(directory))

    assert "down: no lab runs" in lab_command("status", "--dir", directory).stdout
    shutil.copy(directory / "lab.json", directory.parent / "lab.json")
    assert lab_command("down", "--dir", directory).returncode == 0
    assert until(lambda: not session_of(directory.parent))


def test_up_of_a_bad_scenario_says_why_and_leaves_what_runs(directory, tmp_path):
    (tmp_path / "bad.yml").write_text("name: bad\ntitle: Bad\n", encoding="utf-8")
    lab_command("up", "tunnel-offline", "--dir", directory)

    done = lab_command("up", tmp_path / "bad.yml", "--dir", directory)

    assert done.returncode == 1
    assert "'expected' is a required property" in done.stderr
    assert lab_command("status", "--dir", directory).returncode == 0
