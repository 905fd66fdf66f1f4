# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's layer on a host whose systemctl, journalctl and timedatectl are small stand-ins on PATH."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import journal, service_host, systemd
from ansible_collections.voiceops.livekit.plugins.module_utils.journal import ENTRY_LIMIT
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339, span

AMPLE_S = 20.0
UNIT = "proto-trainer-next"
# The incident: the service started at 22:31, the user tried at 22:39, our own curl was at 22:48.
NOW = 1770436200.0
STARTED, TRIED, CURLED = NOW - 19 * 60, NOW - 11 * 60, NOW - 2 * 60
ATTEMPT = {
    "at": rfc3339(TRIED),
    "source": "given",
    "since": rfc3339(TRIED - 600),
    "until": rfc3339(TRIED + 600),
    "precision_s": 60.0,
}
SPAN = span(ATTEMPT, NOW, 2.0)
REAL, ZERO = "7d3f1c52-0d8e-4c53-9a55-2f1f6f0c4b11", "00000000-0000-0000-0000-000000000000"
CONTROL = (NOW - 86400, "POST /api/internal/sessions 201 in 87ms")
P2003 = "Invalid `prisma.session.create()`: Foreign key constraint violated (P2003)"

# Knows the few options that are used here: enough to see that the right ones are.
JOURNALCTL = """
import json, re, sys
path, hint, *arguments = sys.argv[1:]
options = dict(argument.partition("=")[::2] for argument in arguments)
if "--version" in options:
    sys.exit(print("systemd 252\\n+PCRE2"))
# As the real one: a hint is for people, a failure for all.
if not hint.startswith("Hint") or options.get("--output") != "json":
    sys.stderr.write(hint)
entries = [json.loads(line) for line in open(path)]
if "--reverse" in options:
    entries.reverse()
for entry in entries:
    at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    if not float(options.get("--since", "@0")[1:]) <= at <= float(options.get("--until", "@9e9")[1:]):
        continue
    if "--unit" in options and options["--unit"] != entry.get("_SYSTEMD_UNIT"):
        continue
    if options.get("_TRANSPORT") != entry.get("_TRANSPORT") and "_TRANSPORT" in options:
        continue
    if "MESSAGE_ID" in options and options["MESSAGE_ID"] != entry.get("MESSAGE_ID"):
        continue
    if re.search(options.get("--grep", ""), entry["MESSAGE"]):
        print(json.dumps(entry))
"""

Pi = Callable[..., None]


@pytest.fixture
def pi(program: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pi:
    """Make this host a Pi with a unit in some state and a journal of C((at, message)); its clock may be ahead."""

    def install(
        *messages: tuple[float, str],
        begins: float = NOW - 7 * 86400,
        hint: str = "",
        suppressed: int = 0,
        ahead: float = 0,
        kernel: Sequence[tuple[float, str]] = (),
        **unit: Any,
    ) -> None:
        lines = [{"at": begins, "MESSAGE": "Journal started"}]
        lines += [{"at": at, "MESSAGE": message, "_SYSTEMD_UNIT": UNIT} for at, message in messages if at >= begins]
        lines += [{"at": at, "MESSAGE": message, "_TRANSPORT": "kernel"} for at, message in kernel]
        if suppressed:
            text = f"Suppressed {suppressed} messages from {UNIT}.service"
            lines.append({"at": TRIED, "MESSAGE": text, "MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e"})
        for line in lines:
            line["__REALTIME_TIMESTAMP"] = str(round((line.pop("at") + ahead) * 1e6))
        path = tmp_path / "journal"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        shown = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "SubState": "running",
            "Result": "success",
            "NRestarts": "0",
            "ExecMainStatus": "0",
            "ActiveEnterTimestamp": stamp(STARTED + ahead),
            "ActiveExitTimestamp": "",
            **unit,
        }
        properties = "".join(f"{name}={value}\n" for name, value in shown.items())
        python = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S -c"
        program("journalctl", f'{python} {shlex.quote(JOURNALCTL)} {path} {shlex.quote(hint)} "$@"\n')
        program("systemctl", f"#!/bin/sh\nprintf %s {shlex.quote(properties)}\n")
        program("timedatectl", "#!/bin/sh\necho NTPSynchronized=yes\n")
        monkeypatch.setattr(time, "time", lambda: NOW + 3 + ahead)

    return install


def stamp(at: float) -> str:
    """Write a time as systemctl does with TZ=UTC."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def clock(ahead: float = 0) -> dict[str, float]:
    return {"offset_ms": ahead * 1000, "uncertainty_ms": 2000.0}


def collect(seconds: float = AMPLE_S, **options: Any) -> dict[str, Any]:
    given = {
        "service_unit": UNIT,
        "service_pattern": "internal",
        "attempt": ATTEMPT,
        "synthetic_users": [ZERO],
        "probes": [],
        "now": NOW,
        "clock": clock(),
        **options,
    }
    return service.collect(given, time.monotonic() + seconds)


def test_the_incident(pi: Pi) -> None:
    pi(
        CONTROL,
        (STARTED, "ready - started server on 0.0.0.0:3003"),
        (CURLED, P2003),
        (CURLED, "POST /api/internal/sessions 500 in 41ms"),
    )
    record = collect()
    signals = record["signals"]
    assert signals.keys() == service.SIGNALS.keys()
    assert (signals["callbacks"], signals["codes"], signals["first_error"]) == (0, [], None)
    assert signals["other_codes"] == ["P2003", "HTTP_500"]
    assert (signals["up_before_attempt"], signals["up_through_attempt"]) == (True, True)
    assert (signals["control_heard"], signals["control_at"]) == (True, rfc3339(CONTROL[0]))
    assert (signals["journal_readable"], signals["journal_covers"], signals["suppressed"]) == (True, True, 0)
    assert signals["silence_counts"] is True
    assert (record["layer"], record["state"]) == ("service", "healthy")
    assert signals["ntp_synchronized"] is True
    assert [entry["codes"] for entry in record["entries"]] == [["P2003"], ["HTTP_500"]]
    assert record["limits"] == ["the last successful callback was logged before the service was last started"]
    assert f"journalctl -u {UNIT} --since @" in record["repeat"]


def test_a_failed_callback_is_a_fault(pi: Pi) -> None:
    text = f"POST /api/internal/sessions 500 user={REAL}"
    pi(CONTROL, (TRIED + 4, text), (TRIED + 4.1, P2003))
    record = collect()
    signals = record["signals"]
    assert (record["state"], signals["callbacks"], signals["callback_statuses"]) == ("faulty", 1, [500])
    assert (signals["codes"], signals["first_error"]) == (["HTTP_500", "P2003"], text)
    assert record["entries"][0] == {
        "at": rfc3339(TRIED + 4),
        "text": text,
        "priority": 6,
        "codes": ["HTTP_500"],
        "callback": True,
        "status": 500,
        "user": REAL,
        "tool": "",
        "self": False,
    }
    assert [event["at"] for event in record["events"]][-2:] == [rfc3339(TRIED + 4), rfc3339(TRIED + 4.1)]


def test_what_our_probes_cause_is_ours(pi: Pi) -> None:
    pi(CONTROL, (TRIED + 4, "POST /api/internal/sessions 400"), (TRIED + 4, f"POST internal 500 {ZERO} P2003"))
    windows = [{"since": rfc3339(TRIED + 3), "until": rfc3339(TRIED + 5), "what": "probe"}]
    signals = collect(probes=windows)["signals"]
    assert (signals["callbacks"], signals["codes"], signals["self_entries"]) == (0, [], 2)
    assert signals["other_codes"] == ["HTTP_400", "P2003", "HTTP_500"]
    assert collect()["signals"]["self_entries"] == 1


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ({"hint": "Hint: You are currently not seeing messages from other users and the system."}, "may not read"),
        ({"begins": TRIED - 30}, "the journal starts at"),
        ({"ActiveEnterTimestamp": stamp(TRIED + 30)}, "not up all through"),
        ({"suppressed": 7}, "dropped 7 messages"),
    ],
)
def test_silence_does_not_count_if_sound_might_not_have_been_heard(pi: Pi, host: dict[str, Any], why: str) -> None:
    pi(CONTROL, **host)
    record = collect()
    assert record["signals"]["silence_counts"] is None
    assert any(why in limit for limit in record["limits"])


@pytest.mark.parametrize(
    "message",
    [
        "POST /api/internal/sessions 500",
        "Internal Server Error at POST /api/sessions",
        f"POST /api/internal/sessions 201 {ZERO}",
        "warming the internal cache",
        "POST /api/internal/sessions connect ECONNREFUSED",
        "POST /api/internal/sessions Error: something else",
    ],
)
def test_silence_does_not_count_without_a_successful_callback_before(pi: Pi, message: str) -> None:
    pi((NOW - 86400, message))
    record = collect()
    assert (record["signals"]["control_heard"], record["signals"]["silence_counts"]) == (False, None)
    assert any("may leave no line" in limit for limit in record["limits"])


def test_a_request_without_a_status_or_error_is_a_control(pi: Pi) -> None:
    pi((NOW - 86400, "created a session for POST /api/internal/sessions"))
    assert collect()["signals"]["control_heard"] is True


def test_who_may_not_read_gets_no_zero(pi: Pi) -> None:
    pi(hint="No journal files were opened due to insufficient permissions.")
    signals = collect()["signals"]
    assert (signals["journal_readable"], signals["callbacks"], signals["control_heard"]) == (False, None, None)
    assert signals["journal_covers"] is None


def test_a_clock_that_is_ahead_is_reckoned_with(pi: Pi) -> None:
    pi(CONTROL, (TRIED + 4, "POST /api/internal/sessions 201"), ahead=7200)
    record = collect(clock=clock(7200))
    signals = record["signals"]
    assert signals["callbacks"] == 1
    assert (signals["local_time_offset_ms"], signals["local_time_uncertainty_ms"]) == (7_200_000, 2000)
    assert record["entries"][0]["at"] == rfc3339(TRIED + 4)
    assert signals["up_through_attempt"] is True


def test_a_unit_that_does_not_exist(pi: Pi) -> None:
    pi(LoadState="not-found", ActiveState="inactive", SubState="dead", ActiveEnterTimestamp="")
    record = collect()
    assert (record["state"], record["signals"]["unit_found"]) == ("unknown", False)
    assert (record["signals"]["systemd"], record["signals"]["silence_counts"]) == (True, None)
    assert any("no such unit" in limit for limit in record["limits"])


def test_a_unit_that_is_down(pi: Pi) -> None:
    ended = {
        "ActiveState": "failed",
        "SubState": "failed",
        "Result": "oom-kill",
        "ActiveExitTimestamp": stamp(TRIED - 90),
    }
    pi(CONTROL, **ended)
    record = collect()
    signals = record["signals"]
    assert (record["state"], signals["active"], signals["result"]) == ("faulty", False, "oom-kill")
    assert (signals["up_before_attempt"], signals["up_through_attempt"]) == (False, False)


@pytest.mark.parametrize(
    ("unit", "messages", "looping"),
    [
        ({"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "41"}, 0, True),
        ({"ActiveState": "failed", "Result": "start-limit-hit"}, 0, True),
        ({"NRestarts": "3"}, 3, True),
        ({"NRestarts": "41"}, 0, False),
        ({}, 2, False),
    ],
)
def test_a_crash_loop_is_told_from_old_restarts(pi: Pi, unit: dict[str, str], messages: int, looping: bool) -> None:
    restart = f"{UNIT}.service: Scheduled restart job, restart counter is at 7."
    pi(*((TRIED - 200 + i, restart) for i in range(messages)), **unit)
    assert collect()["signals"]["crash_looping"] is looping


@pytest.mark.parametrize(("state", "looping"), [("failed", True), ("active", False)])
def test_a_unit_that_systemd_gave_up_keeps_the_result_of_its_last_run(pi: Pi, state: str, looping: bool) -> None:
    given_up = f"{UNIT}.service: Start request repeated too quickly."
    pi((TRIED - 200, given_up), ActiveState=state, Result="exit-code")
    assert collect()["signals"]["crash_looping"] is looping


def test_a_host_without_systemd_still_tells_of_its_journal(pi: Pi, program: Callable[[str, str], Path]) -> None:
    pi(CONTROL, (TRIED + 4, "POST /api/internal/sessions 500"))
    program("systemctl", "#!/bin/sh\necho 'System has not been booted with systemd as init system.' >&2\nexit 1\n")
    record = collect()
    signals = record["signals"]
    assert (signals["systemd"], signals["unit_found"], signals["active"]) == (False, None, None)
    assert (signals["callbacks"], signals["codes"]) == (1, ["HTTP_500"])
    assert "has not been booted with systemd" in record["limits"][0]


def test_a_host_with_nothing_of_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    record = collect()
    signals = record["signals"]
    assert record["state"] == "unknown"
    assert (signals["systemd"], signals["journal_readable"], signals["callbacks"]) == (False, None, None)
    assert (signals["suppressed"], signals["control_heard"], signals["ntp_synchronized"]) == (None, None, None)
    assert {"journal: no such program: journalctl"} < set(record["limits"])


def test_programs_that_hang_end_with_the_deadline(program: Callable[[str, str], Path]) -> None:
    for name in ("systemctl", "journalctl", "timedatectl"):
        program(name, "#!/bin/sh\nexec sleep 60\n")
    record = collect(service._RESERVE_S + 0.4)
    assert record["state"] == "unknown"
    assert "systemctl took too long" in record["limits"]
    assert "journal: reading the journal took too long" in record["limits"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"service_unit": ""}, "voiceops_service_unit: expected"),
        ({"service_unit": "--help"}, "voiceops_service_unit: expected"),
        ({"service_unit": "a b;c"}, "voiceops_service_unit: expected"),
        ({"service_pattern": "("}, "voiceops_service_pattern: expected"),
    ],
)
def test_bad_options_are_unknown_and_name_the_variable(options: dict[str, Any], expected: str) -> None:
    record = collect(**options)
    assert record["state"] == "unknown"
    assert record["summary"].startswith(expected)


def test_secrets_stay_in_the_journal(pi: Pi) -> None:
    pi((TRIED + 1, "POST /api/internal/sessions 401 got s3cr3t-key-4711 DATABASE_URL=postgres://u:hunter22@h/d"))
    record = collect(callback_key="s3cr3t-key-4711")
    assert "POST /api/internal/sessions 401" in record["signals"]["first_error"]
    assert "s3cr3t-key" not in str(record)
    assert "hunter22" not in str(record)


def test_a_flood_of_errors_hides_no_callback(pi: Pi) -> None:
    flood = [(TRIED + i / 1000, "Error: ECONNREFUSED") for i in range(ENTRY_LIMIT + 100)]
    pi(CONTROL, *flood, (TRIED + 9, "POST /api/internal/sessions 201"))
    record = collect()
    assert (record["signals"]["callbacks"], record["signals"]["callback_statuses"]) == (1, [201])
    assert f"journal: there are more than {ENTRY_LIMIT} entries to look at" in record["limits"]


@pytest.mark.parametrize("source", ["now", "waiting_session"])
def test_an_attempt_that_goes_on_is_looked_at_until_the_run_began(pi: Pi, source: str) -> None:
    pi(CONTROL, (NOW - 30, "POST /api/internal/sessions 201"), (NOW + 1, "POST /api/internal/sessions 400"))
    attempt = {**ATTEMPT, "source": source, "since": rfc3339(NOW - 600), "until": rfc3339(NOW)}
    assert collect(attempt=attempt)["signals"]["callback_statuses"] == [201]


def test_a_narrow_window_is_widened_to_the_span(pi: Pi) -> None:
    pi(suppressed=7)
    narrow = {**ATTEMPT, "since": rfc3339(TRIED + 100), "until": rfc3339(TRIED + 101)}
    assert collect(attempt=narrow)["signals"]["suppressed"] == 7


def test_silence_counts_only_if_everything_speaks_for_it() -> None:
    proof = {
        "journal_readable": True,
        "journal_covers": True,
        "up_through_attempt": True,
        "control_heard": True,
        "local_time_offset_ms": 0,
        "suppressed": 0,
        "callbacks": 0,
    }
    assert service.silence_counts(proof) is True
    for name in proof:
        for doubt in (None, False) if proof[name] is True else (None,):
            assert service.silence_counts({**proof, name: doubt}) is None, name
    assert service.silence_counts({**proof, "suppressed": 3}) is None


def test_of_a_clock_that_nobody_measured_silence_proves_nothing(pi: Pi) -> None:
    pi(CONTROL)
    measured, unmeasured = collect(), collect(clock=None)
    assert measured["signals"]["silence_counts"] is True
    assert (unmeasured["signals"]["silence_counts"], unmeasured["signals"]["local_time_offset_ms"]) == (None, None)
    assert "this host's clock could not be read, so nobody knows how far its times are off" in unmeasured["limits"]


def test_what_an_unsure_clock_may_have_moved_out_of_the_attempt_still_counts(pi: Pi) -> None:
    pi(CONTROL, (TRIED - 70, "POST /api/internal/sessions 500"))
    sure, unsure = collect(), collect(clock={"offset_ms": 0, "uncertainty_ms": 60_000})
    assert (sure["signals"]["callbacks"], unsure["signals"]["callbacks"]) == (0, 1)


def test_of_the_units_environment_no_value_leaves_the_host(pi: Pi, tmp_path: Path) -> None:
    env_file = tmp_path / "service.env"
    env_file.write_text("DATABASE_URL=postgres://u:hunter22@h/d\n")
    pi(CONTROL, Environment="OPENAI_API_KEY=hunter22 PORT=1", EnvironmentFiles=f"{env_file} (ignore_errors=no)")
    record = collect(service_required_env=["DATABASE_URL", "OPENAI_API_KEY"])
    assert (record["signals"]["port"], record["signals"]["env_missing"]) == (1, [])
    assert "hunter22" not in str(record)


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("hwmon hwmon1: Undervoltage detected!", ["under_voltage"]),
        ("Under-voltage detected! (0x00050005)", ["under_voltage"]),
        ("Out of memory: Killed process 812 (node) total-vm:1kB", ["out_of_memory"]),
        ("Memory cgroup out of memory: Killed process 812 (node)", ["out_of_memory"]),
        ("hwmon hwmon1: Voltage normalised", []),
    ],
)
def test_what_the_kernel_complains_of(pi: Pi, line: str, faults: list[str]) -> None:
    said = (TRIED, "Undervoltage detected! Out of memory: Killed process 1 (said by the service, not the kernel)")
    kernel = [(TRIED - 90000, "Undervoltage detected!"), (TRIED - 300, line)]
    pi(CONTROL, said, kernel=kernel, ahead=7200, ActiveEnterTimestamp=stamp(TRIED - 200 + 7200))
    signals = collect(clock=clock(7200))["signals"]
    assert (signals["kernel_faults"], signals["kernel_first"]) == (faults, line if faults else None)


@pytest.mark.parametrize(
    "host",
    [
        {"hint": "Hint: You are currently not seeing messages from other users and the system."},
        {"begins": TRIED - 30},
    ],
)
def test_a_kernel_that_might_not_have_been_heard_is_not_silent(pi: Pi, host: dict[str, Any]) -> None:
    pi(CONTROL, **host)
    assert collect()["signals"]["kernel_faults"] is None


def test_a_kernel_log_that_is_read_too_slowly_is_not_silent(pi: Pi) -> None:
    pi(CONTROL)
    frame = service._frame({"now": NOW, "attempt": ATTEMPT}, UNIT, "internal")
    asked: Future[systemd.Shown] = Future()
    asked.set_result(systemd.Shown({}))
    assert service_host.kernel_signals(frame, asked, time.monotonic() + AMPLE_S)["kernel_faults"] == []
    assert service_host.kernel_signals(frame, asked, time.monotonic())["kernel_faults"] is None


@pytest.mark.parametrize(
    ("said", "unit", "counts"),
    [
        (-400, {"ActiveExitTimestamp": stamp(TRIED - 300), "ActiveEnterTimestamp": stamp(TRIED + 100)}, True),
        (-430, {"ActiveExitTimestamp": stamp(TRIED - 300), "ActiveEnterTimestamp": stamp(TRIED + 100)}, False),
        (110, {"ActiveExitTimestamp": stamp(TRIED - 300), "ActiveEnterTimestamp": stamp(TRIED + 100)}, False),
        (110, {"ActiveExitTimestamp": stamp(TRIED - 300), "ActiveState": "failed"}, True),
        (-150, {"ActiveEnterTimestamp": ""}, True),
        (-190, {"ActiveEnterTimestamp": ""}, False),
        # It booted 300 s before the attempt; after which boot it was down is not known.
        (-400, {"ActiveEnterTimestamp": stamp(TRIED), "ActiveEnterTimestampMonotonic": "300000000"}, True),
        (-430, {"ActiveEnterTimestamp": stamp(TRIED), "ActiveEnterTimestampMonotonic": "300000000"}, False),
        (-170, {"ActiveEnterTimestamp": stamp(TRIED + 300), "ActiveEnterTimestampMonotonic": "100000000"}, True),
    ],
)
def test_the_kernel_explains_only_the_downtime_that_it_complained_before(
    pi: Pi, said: int, unit: dict[str, str], counts: bool
) -> None:
    pi(CONTROL, kernel=[(TRIED + said, "Undervoltage detected!")], **unit)
    assert collect()["signals"]["kernel_faults"] == (["under_voltage"] if counts else [])


def test_a_start_from_before_the_clock_was_set_proves_no_silence(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pi without a clock of its own lost its power: by its stamp, the service ran when the user tried."""
    pi(CONTROL, ActiveEnterTimestamp=stamp(TRIED - 300), ActiveEnterTimestampMonotonic="20000000")
    assert collect()["signals"]["silence_counts"] is True
    monkeypatch.setattr(journal, "is_of_this_boot", lambda deadline: True)
    monkeypatch.setattr(systemd, "uptime", lambda: (500.0, 0.0))
    record = collect()
    signals = record["signals"]
    assert signals["started_at"] == rfc3339(NOW + 3 - 480)
    assert (signals["up_before_attempt"], signals["silence_counts"]) == (None, None)
    assert any("clock was set" in limit for limit in record["limits"])


@pytest.mark.parametrize("set_by_then", [True, False])
def test_a_clock_that_was_set_long_before_the_attempt_leaves_silence_as_it_is(
    pi: Pi, monkeypatch: pytest.MonkeyPatch, set_by_then: bool
) -> None:
    pi(CONTROL, ActiveEnterTimestamp=stamp(TRIED - 90000), ActiveEnterTimestampMonotonic="20000000")
    asked_before = []
    monkeypatch.setattr(journal, "is_of_this_boot", lambda deadline: True)
    monkeypatch.setattr(systemd, "uptime", lambda: (5000.0, 0.0))
    monkeypatch.setattr(
        journal, "is_stamped_rightly", lambda before, deadline: asked_before.append(before) or set_by_then
    )
    record = collect()
    assert record["signals"]["started_at"] == rfc3339(NOW + 3 - 4980)
    assert record["signals"]["silence_counts"] is (True if set_by_then else None)
    assert any("clock was set" in limit for limit in record["limits"]) is not set_by_then
    assert asked_before == [pytest.approx(TRIED, abs=120)]


@pytest.mark.parametrize(
    ("script", "free"),
    [
        ("echo 'sudo: a password is required' >&2; exit 1", False),
        ("echo 'sudo: interactive authentication is required' >&2; exit 1", False),
        ("echo '    Options: !authenticate'", True),
        ("echo /usr/bin/systemctl", None),
        ("echo 'sudo: unable to resolve host' >&2; exit 1", None),
        ("echo 'sudo: a password is required' >&2", None),
    ],
)
def test_what_sudo_says(pi: Pi, program: Callable[[str, str], Path], script: str, free: bool | None) -> None:
    pi(CONTROL)
    wanted = f"-n -ll systemctl start {UNIT}"
    program("sudo", f'#!/bin/sh\ntest "$*" = {shlex.quote(wanted)} || exit 9\n{script}\n')
    assert collect()["signals"]["sudo_without_password"] is free
