# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stand-ins for lk, systemd's programs, ps and sudo, called where a collector would start a process.

What they print is what they print as programs.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.voiceops.livekit.plugins.module_utils import journal, process, service_host, systemd
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service
from lab import journal as lab_journal
from lab import pi_host
from lab.bin import journalctl, sudo, systemctl, timedatectl
from lab.lk_cli import app
from lab.state import Scenario

Program = Callable[[list[str]], int]
# Output, environment and current folder are the process' own, and collectors call from several threads.
_ONE_AT_A_TIME = threading.RLock()


def call(program: Program, arguments: list[str]) -> process.Result:
    """Call a stand-in with its output captured."""
    out, err = io.StringIO(), io.StringIO()
    with _ONE_AT_A_TIME, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = program(arguments)
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
    return process.Result(code, out.getvalue(), err.getvalue(), timed_out=False, truncated=False)


def lk(
    argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None, **_: Any
) -> process.Result:
    """Call the stand-in lk as L(process.run) would start it."""
    if os.path.basename(argv[0]) != "lk":
        raise process.ProgramError(f"no such program: {argv[0]}")
    with _ONE_AT_A_TIME, mock.patch.dict(os.environ, dict(env or {}), clear=True), contextlib.chdir(cwd or "."):
        return call(app.answer, list(argv[1:]))


def ps(running: Mapping[str, float]) -> process.Result:
    """Answer C(ps -A -o etime= -o comm=) with these programs and since how many seconds they run."""

    def line(program: str, seconds: float) -> str:
        days, rest = divmod(int(seconds), 86400)
        clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        return f"{f'{days}-{clock}' if days else clock:>12} {program}\n"

    return process.Result(0, "".join(line(*item) for item in running.items()), "", timed_out=False, truncated=False)


class Pi:
    """The programs of the scenario's Pi, and its clock."""

    def __init__(self, scenario: Scenario, app: Path) -> None:
        self._scenario = scenario
        self._app = app
        pi_host.make_app(scenario, app)
        self.entries = list(lab_journal.entries(scenario))
        self._clock = lab_journal.clock_of(scenario)

    def log(self, message: str, priority: int = 6, *, at: float) -> None:
        """Append a line of the scenario's unit to the journal."""
        unit = self._scenario["pi"]["unit"]["name"]
        self.entries.append({**self._clock.stamp(at), **lab_journal.from_unit(unit, message, priority)})

    def run(self, argv: Sequence[str], **_: Any) -> process.Result:
        """Call one of systemd's programs as L(process.run) would start it."""
        if self._scenario["pi"]["state"] == "no_systemd":
            raise process.ProgramError(f"no such program: {argv[0]}")
        known = pi_host.units(self._scenario, self._app)
        synchronized = "no" if self._scenario["pi"]["clock_offset"] else "yes"
        programs: dict[str, Program] = {
            "systemctl": lambda arguments: systemctl.answer(known, arguments),
            "timedatectl": lambda arguments: timedatectl.main(synchronized, arguments),
            "journalctl": lambda arguments: journalctl.answer(self._visible(), arguments),
        }
        if self._scenario["pi"]["sudo"]:
            programs["sudo"] = lambda arguments: sudo.main(self._scenario["pi"]["sudo"], arguments)
        if argv[0] not in programs:
            raise process.ProgramError(f"no such program: {argv[0]}")
        return call(programs[argv[0]], list(argv[1:]))

    def _visible(self) -> list[dict[str, Any]]:
        if self._scenario["pi"]["journal"]["readable"]:
            return self.entries
        login = lab_journal.from_unit("user@1000.service", "Reached target default.target - Main User Target.")
        return [{**self._clock.stamp(self._scenario["attempt"]["at"]), **login, "SYSLOG_IDENTIFIER": "systemd"}]

    def _stream(self, arguments: Sequence[str], deadline: float, end: Any) -> Iterator[bytes]:
        try:
            done = self.run(["journalctl", "--no-pager", "--output=json", *arguments])
        except process.ProgramError as exc:
            end.returncode, end.stderr = 127, str(exc)
            return
        hint = (
            ""
            if self._scenario["pi"]["journal"]["readable"] or re.search(r"^(-q|--quiet)$", "\n".join(arguments), re.M)
            else lab_journal.HINT
        )
        end.stderr = hint + done.stderr
        yield from done.stdout.encode().splitlines()
        end.returncode = done.returncode

    @contextlib.contextmanager
    def in_place(self, clock: Any) -> Iterator[None]:
        """Let the collectors that run on the Pi find these programs, and C(clock) for the time of day."""
        with (
            mock.patch.object(systemd, "run", self.run),
            mock.patch.object(journal, "run", self.run),
            mock.patch.object(service_host, "run", self.run),
            mock.patch.object(journal, "stream", self._stream),
            mock.patch.object(service, "time", clock),
        ):
            yield
