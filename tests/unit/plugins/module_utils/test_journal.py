# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a journal through a stand-in journalctl that writes whatever a test wants, and tells how it was called."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import journal

AMPLE_S = 20.0
SHORT_S = 0.5
NOW = 1770436200.0
EVERYTHING = journal.Query("app", NOW - 600, NOW, "")
HINT = """Hint: You are currently not seeing messages from other users and the system.
      Users in groups 'adm', 'systemd-journal' can see all messages."""

Journalctl = Callable[..., "Called"]


class Called:
    """How the stand-in was called so far: a list of arguments for each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def arguments(self) -> list[list[str]]:
        return [line.split("\x1f")[:-1] for line in self._path.read_text().splitlines()] if self._path.exists() else []


@pytest.fixture
def journalctl(program: Callable[[str, str], Path], tmp_path: Path) -> Journalctl:
    """Put a journalctl on PATH that writes C(stderr), then C(output), then runs C(then), and ends with C(code).

    C(no_grep) is what it says instead if it is called with --grep.
    """

    def install(output: bytes = b"", *, stderr: str = "", code: int = 0, then: str = "", no_grep: str = "") -> Called:
        calls, written = tmp_path / "calls", tmp_path / "output"
        written.write_bytes(output)
        refuse = f'case "$*" in *--grep*) echo {shlex.quote(no_grep)} >&2; exit 1 ;; esac' if no_grep else ""
        program(
            "journalctl",
            "#!/bin/sh\n"
            f"{{ printf '%s\\037' \"$@\"; echo; }} >> {calls}\n"
            f"{refuse}\nprintf %s {shlex.quote(stderr)} >&2\ncat {written}\n{then}\nexit {code}\n",
        )
        return Called(calls)

    return install


def line(message: Any = "hello", at: float = NOW - 60, **fields: Any) -> bytes:
    """Write an entry as journalctl does, the time in no particular place."""
    entry = {"PRIORITY": "6", "MESSAGE": message, "__REALTIME_TIMESTAMP": str(round(at * 1e6)), **fields}
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def read(query: journal.Query = EVERYTHING, seconds: float = AMPLE_S, **options: Any) -> journal.Reading[journal.Entry]:
    return journal.read(query, lambda entry: entry, deadline=time.monotonic() + seconds, **{"greps": True, **options})


def texts(reading: journal.Reading[journal.Entry]) -> list[str]:
    return [entry.text for entry in reading.items]


def test_entries_are_read_in_their_order(journalctl: Journalctl) -> None:
    journalctl(line("one", NOW - 50) + line("two", NOW - 40, PRIORITY="3"))
    reading = read()
    assert reading.items == [journal.Entry(NOW - 50, "one", 6), journal.Entry(NOW - 40, "two", 3)]
    assert (reading.complete, reading.readable, reading.why) == (True, True, "")


def test_journalctl_filters_first(journalctl: Journalctl) -> None:
    called = journalctl()
    read(journal.Query("app.service", NOW - 0.5, NOW + 0.5, "internal|P2003", newest_first=True))
    (arguments,) = called.arguments
    assert {"--output=json", "--all", "--output-fields=MESSAGE,PRIORITY", "--unit=app.service"} < set(arguments)
    assert arguments[-4:] == [
        f"--since=@{NOW - 1:.0f}",
        f"--until=@{NOW + 1:.0f}",
        "--reverse",
        "--grep=(?-i:internal|P2003)",
    ]


def test_without_grep_the_stream_is_filtered_here(journalctl: Journalctl) -> None:
    called = journalctl(line("an Internal Server Error") + line("POST /internal") + line("something else"))
    assert texts(read(EVERYTHING._replace(pattern="internal"), greps=False)) == ["POST /internal"]
    assert not any(argument.startswith("--grep") for argument in called.arguments[0])


@pytest.mark.parametrize(
    "complaint",
    [
        'Bad pattern "(?P<a>": missing terminator',
        "Pattern matching failed: match limit exceeded",
        "Compiled without pattern matching support",
    ],
)
def test_a_pattern_that_journalctl_cannot_search_for_is_searched_here(journalctl: Journalctl, complaint: str) -> None:
    called = journalctl(line("POST /internal"), no_grep=complaint)
    reading = read(EVERYTHING._replace(pattern="(?P<a>internal)"))
    assert (texts(reading), reading.complete, reading.readable) == (["POST /internal"], True, True)
    assert len(called.arguments) == 2


def test_nothing_found_by_grep_is_an_answer(journalctl: Journalctl) -> None:
    journalctl(code=1)
    reading = read()
    assert (reading.items, reading.complete, reading.readable) == ([], True, True)


def test_entries_outside_of_the_window_are_left_out(journalctl: Journalctl) -> None:
    journalctl(line("too old", NOW - 600.5) + line("in time", NOW - 599.5) + line("too new", NOW + 0.5))
    assert texts(read()) == ["in time"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("\x1b[31mError\x1b[39m: {{ lookup('pipe', 'id') }}", "Error: {{ lookup('pipe', 'id') }}"),
        ([80, 79, 83, 84, 32, 255, 254], "POST ��"),
        ([27, 91, 51, 49, 109, 114, 101, 100], "red"),
        (["one", "two"], "one two"),
        (None, "(a message too large to show)"),
        ("<html>\n\t<b>&amp;</b>\r\n", "<html> <b>&amp;</b>"),
        ("half a pair: \ud83d", "half a pair: ?"),
        ("", ""),
        ("a" * 100_000, "a" * journal.TEXT_LIMIT),
        ([97, -1, 300, 10**30, True, None, 98], "ab"),
        ({"odd": 1}, "{'odd': 1}"),
    ],
)
def test_messages_of_any_kind_become_one_harmless_line(journalctl: Journalctl, message: Any, text: str) -> None:
    escaped = json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": str(int(NOW * 1e6))}).encode() + b"\n"
    journalctl(escaped)
    (found,) = texts(read())
    assert found.replace("\x01", "") == text
    found.encode()


def test_lines_that_are_no_entries_are_passed_over(journalctl: Journalctl) -> None:
    odd = b"\n-- No entries --\nnull\n[]\n3\n{}\n\xff\xfe\n" + b"[" * 5000 + b'\n{"__REALTIME_TIMESTAMP":"x"}\n'
    odd += b'{"__REALTIME_TIMESTAMP":"99999999999999999999"}\n{"__REALTIME_TIMESTAMP":5}\n'
    journalctl(odd + line("real"))
    assert texts(read()) == ["real"]


@pytest.mark.parametrize(
    "huge",
    [
        line("P2003 " + "x" * 10_000_000),
        line("P2003 " + '"\\\n' * 3_000_000),
        line([80, 50, 48, 48, 51, 32] + [255] * 2_500_000),
    ],
    ids=["plain", "escaped", "bytes"],
)
def test_ten_megabytes_in_one_line_keep_their_time_and_beginning(journalctl: Journalctl, huge: bytes) -> None:
    journalctl(huge + line("next"))
    reading = read()
    assert len(reading.items) == 2
    assert reading.items[0].text.startswith("P2003 ")
    assert (reading.items[0].at, reading.items[0].priority) == (NOW - 60, 6)
    assert len(reading.items[0].text) <= journal.TEXT_LIMIT


def test_a_message_cannot_pretend_another_time(journalctl: Journalctl) -> None:
    lie = '{"__REALTIME_TIMESTAMP":"1","PRIORITY":"0"}'
    journalctl(line(lie + "x" * 200_000))
    assert [(entry.at, entry.priority) for entry in read().items] == [(NOW - 60, 6)]


def test_there_is_a_most_of_entries(journalctl: Journalctl) -> None:
    journalctl(line("again") * 500)
    reading = read(limit=100)
    assert (len(reading.items), reading.complete, reading.readable) == (100, False, True)
    assert "more than 100" in reading.why


def test_a_journal_without_end_is_left_at_the_limit(journalctl: Journalctl) -> None:
    journalctl(line("x") * 60, then="while echo '{}'; do :; done")
    assert len(read(limit=50).items) == 50


def test_the_deadline_keeps_what_was_read(journalctl: Journalctl) -> None:
    journalctl(line("early"), then="exec sleep 60")
    reading = read(seconds=4)
    assert (texts(reading), reading.complete, reading.readable) == (["early"], False, True)
    assert "too long" in reading.why


def test_a_journal_that_hangs_from_the_beginning_is_not_known_to_be_readable(journalctl: Journalctl) -> None:
    journalctl(then="exec sleep 60")
    reading = read(seconds=SHORT_S)
    assert (reading.items, reading.complete, reading.readable) == ([], False, None)


def test_a_flood_on_stderr_is_bounded(journalctl: Journalctl) -> None:
    journalctl(line("x"), then="head -c 10000000 /dev/zero >&2")
    assert texts(read()) == ["x"]


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        ("No journal files were opened due to insufficient permissions.", "may not read"),
        ("No journal files were found.", "there is no journal"),
    ],
)
def test_who_may_not_read_hears_no_silence(journalctl: Journalctl, stderr: str, why: str) -> None:
    journalctl(line("of my own"), stderr=stderr, code=1)
    reading = read()
    assert (reading.readable, reading.complete, texts(reading)) == (False, False, ["of my own"])
    assert why in reading.why


def test_who_may_read_but_their_own_journal_is_told_by_the_hint_for_people(
    program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "own").write_bytes(line("of my own"))
    hint = f"case $* in *--output=json*) ;; *) echo {shlex.quote(HINT)} >&2 ;; esac"
    program("journalctl", f"#!/bin/sh\n{hint}\ncat {tmp_path}/own\n")
    reading = journal.oldest(time.monotonic() + AMPLE_S)
    assert (reading.readable, reading.items) == (False, [])
    assert "may not read" in reading.why


def test_whether_the_journal_may_be_read_is_not_known_if_journalctl_hangs(journalctl: Journalctl) -> None:
    journalctl(then="exec sleep 60")
    reading = journal.oldest(time.monotonic() + SHORT_S)
    assert (reading.readable, reading.items) == (None, [])


def test_another_failure_is_told(journalctl: Journalctl) -> None:
    journalctl(stderr="journalctl: unrecognized option '--output-fields'\n", code=1)
    reading = read()
    assert (reading.readable, reading.complete) == (None, False)
    assert "unrecognized option" in reading.why


def test_no_journalctl_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reading = read()
    assert (reading.readable, reading.complete, reading.why) == (None, False, "no such program: journalctl")
    assert journal.can_grep(time.monotonic() + AMPLE_S) is False


@pytest.mark.parametrize(
    ("version", "greps"), [(b"systemd 252\n+PAM +PCRE2 -PWQUALITY", True), (b"systemd 252\n-PCRE2", False)]
)
def test_whether_it_can_grep_is_in_the_version(journalctl: Journalctl, version: bytes, greps: bool) -> None:
    journalctl(version)
    assert journal.can_grep(time.monotonic() + AMPLE_S) is greps


def test_an_empty_stretch_of_time_is_not_asked_for(journalctl: Journalctl) -> None:
    called = journalctl()
    assert read(EVERYTHING._replace(since=NOW + 1)).items == []
    assert called.arguments == []


# --- since when, and what was dropped


def test_the_oldest_entry_is_the_first_one_of_whatever_unit(journalctl: Journalctl) -> None:
    called = journalctl(line(at=NOW - 9000) + line(at=NOW - 8000))
    assert journal.oldest(time.monotonic() + AMPLE_S).items == [NOW - 9000]
    assert not any("unit" in argument for argument in called.arguments[0])


def test_an_entry_of_this_boot_is_as_old_as_the_boot_and_not_as_its_stamp(journalctl: Journalctl) -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        pytest.skip("needs Linux")
    # A Pi that lost its power: at first it believes that it is still last week.
    since_boot = round((time.monotonic() - 100) * 1e6)
    this_boot = boot_id.read_text().strip().replace("-", "")
    stamps = {"_BOOT_ID": this_boot, "__MONOTONIC_TIMESTAMP": str(since_boot)}
    journalctl(line(at=time.time() - 604_800, **stamps))
    (oldest,) = journal.oldest(time.monotonic() + AMPLE_S).items
    assert oldest == pytest.approx(time.time() - 100, abs=10)


@pytest.mark.parametrize("boot", ["6c3f0a9be52f4e0c8f1d7a4b2e915d30", None])
def test_whether_the_journal_is_this_machines(journalctl: Journalctl, boot: str | None) -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        pytest.skip("needs Linux")
    called = journalctl(line(_BOOT_ID=boot or boot_id.read_text().strip().replace("-", "")))
    assert journal.is_of_this_boot(time.monotonic() + AMPLE_S) is (boot is None)
    assert "--lines=1" in called.arguments[0]


@pytest.mark.parametrize(("stamped_off_s", "rightly"), [(0, True), (40, True), (-604_800, False), (3600, False)])
def test_whether_the_clock_was_set_by_then(journalctl: Journalctl, stamped_off_s: float, rightly: bool) -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        pytest.skip("needs Linux")
    stamps = {
        "_BOOT_ID": boot_id.read_text().strip().replace("-", ""),
        "__MONOTONIC_TIMESTAMP": str(round((time.monotonic() - 100) * 1e6)),
    }
    called = journalctl(line(at=time.time() - 100 + stamped_off_s, **stamps))
    assert journal.is_stamped_rightly(1234.0, time.monotonic() + AMPLE_S) is rightly
    assert "--until=@1234" in called.arguments[0]
    journalctl(line(at=time.time() - 100, **{**stamps, "_BOOT_ID": "6c3f0a9be52f4e0c8f1d7a4b2e915d30"}))
    assert not journal.is_stamped_rightly(1234.0, time.monotonic() + AMPLE_S)


def test_an_entry_from_beyond_the_calendar_is_passed_over(journalctl: Journalctl) -> None:
    journalctl(line(at=1e13) + line(at=NOW - 9000))
    assert journal.oldest(time.monotonic() + AMPLE_S).items == [NOW - 9000]


def test_an_empty_journal_is_not_readable(journalctl: Journalctl) -> None:
    journalctl()
    reading = journal.oldest(time.monotonic() + AMPLE_S)
    assert (reading.items, reading.readable, reading.why) == ([], False, "the journal is empty")


@pytest.mark.parametrize("unit", ["app", "app.service"])
def test_dropped_messages_of_the_unit_are_counted(journalctl: Journalctl, unit: str) -> None:
    called = journalctl(
        line("Suppressed 12 messages from app.service", N_DROPPED="12")
        + line("Suppressed 30 messages from app.service")
        + line("Suppressed 99 messages from other-app.service", N_DROPPED="99")
        + line("Suppressed 99 messages from app@2.service", N_DROPPED="99")
    )
    assert journal.suppressed(unit, NOW - 600, NOW, time.monotonic() + AMPLE_S).items == [12, 30]
    assert f"MESSAGE_ID={journal.MESSAGE_DROPPED}" in called.arguments[0]
