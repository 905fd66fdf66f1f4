# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, restarts or resets a systemd unit without ever being asked something, and waits until it stays up.

Runs C(sudo -n) where there is a sudo, and systemctl alone where there is none, or where it does not let this user: then
a rule of polkit may. Who may not do it is told what is missing.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.journal_stream import environment
from ansible_collections.voiceops.livekit.plugins.module_utils.process import ProgramError, Result, run
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.systemd import show
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

STATES = ("started", "restarted", "reset")
# A unit that is up counts as staying up when it has been so for as long as one that dies at once takes to die.
STEADY_S, POLL_S = 2.0, 0.2
LAST_LINES = 10
_VERBS = {"started": ("start",), "restarted": ("restart",), "reset": ("reset-failed", "start")}
# What ran to its end and counts as active: to start it does nothing, though what it had started may be down.
_ENDED = "exited"
# What a host says, and what is to be done about it.
_REFUSALS = (
    (
        r"interactive authentication required|access denied|not authorized|permission denied",
        "polkit wants a person to log in: allow this user to manage the unit, by a polkit rule or by a line in sudoers",
    ),
    (
        r"a (?:password|terminal) is required|authentication is required",
        # Worded so that masking does not take what follows the word for a secret.
        "allow {user} to run '{command}' without one, by a line with NOPASSWD in sudoers",
    ),
    (r"not allowed to execute|not in the sudoers file", "sudo does not allow this user that command"),
    (r"not found|not loaded|no such unit", "systemd knows no unit {unit}: check its name"),
    (r"is masked", "the unit is masked: systemctl unmask {unit} first, if that is not on purpose"),
    (r"not been booted with systemd|failed to connect to bus", "this host is not run by systemd"),
)


_SUDO_REFUSES = re.compile(
    r"(?:a password|a terminal|authentication) is required|not allowed to execute|not in the sudoers file", re.I
)


class UnitError(Exception):
    """The unit could not be changed; the text names it, what was said, and what to do about it."""


class UnitRefusedError(UnitError):
    """The unit could not be changed, and it is certain that nothing was done."""


def change(unit: str, state: str, deadline: float, *, user: str = "USER", dry: bool = False) -> dict[str, Any]:
    """Bring C(unit) into C(state) (L(STATES)) by C(deadline), an absolute C(time.monotonic()); return what was done.

    The result has C(changed), C(summary), C(steps), C(before) and C(after). C(started) and C(reset) change nothing
    where the unit is up, and restart one that is active and has ended; C(dry) only predicts. Raises UnitError.
    """
    try:
        before = _look(unit, deadline)
    except UnitError as error:
        raise UnitRefusedError(f"{error} Nothing was done; where it is no unit of systemd, start it by hand.") from None
    active = before["active_state"] in ("active", "reloading")
    ended = active and before["sub_state"] == _ENDED
    if state != "restarted" and active and not ended:
        return _result(False, f"{unit} is up already ({before['sub_state']}).", [], before, before)
    verbs = ["restart" if ended and verb == "start" else verb for verb in _VERBS[state]]
    commands = [[verb, unit] for verb in verbs]
    if dry:
        what = " && ".join(shlex.join(["sudo", "-n", "systemctl", *command]) for command in commands)
        doing = " and ".join(verb.removesuffix("-failed") for verb in verbs)
        return _result(True, f"Would {doing} {unit}: {what}.", [], before, before)
    steps: list[dict[str, Any]] = []
    for command in commands:
        try:
            steps.append(_systemctl(command, unit, user, deadline))
        except UnitRefusedError as error:
            # By then something was done.
            raise UnitError(str(error)) if steps else error from None
    after = _wait_until_steady(unit, deadline)
    return _result(True, f"{unit} is {after['active_state']} ({after['sub_state']}) now.", steps, before, after)


def _result(
    changed: bool, summary: str, steps: list[dict[str, Any]], before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    return {"changed": changed, "summary": summary, "steps": steps, "before": before, "after": after}


def _look(unit: str, deadline: float) -> dict[str, Any]:
    properties, why = show(unit, deadline)
    if why:
        raise UnitError(f"{unit}: {why}.")
    if properties["LoadState"] == "not-found":
        raise UnitError(f"{unit}: systemd knows no such unit: check its name.")
    names = {"active_state": "ActiveState", "sub_state": "SubState", "result": "Result", "restarts": "NRestarts"}
    return {name: properties.get(source, "") for name, source in names.items()}


def _systemctl(command: list[str], unit: str, user: str, deadline: float) -> dict[str, Any]:
    """Run one systemctl command and return it as a step."""
    at, began = time.time(), time.monotonic()
    argv = ["sudo", "-n", "systemctl", *command]
    done = _run(argv, unit, deadline)
    if done is None or (done.returncode != 0 and _SUDO_REFUSES.search(done.stderr)):
        # Where sudo does not let this user, a rule of polkit may.
        alone = ["systemctl", "--no-ask-password", *command]
        tried = _run(alone, unit, deadline)
        if tried is None:
            raise UnitRefusedError(f"{unit}: no such program: systemctl: is this a host with systemd?")
        if done is None or tried.returncode == 0:
            argv, done = alone, tried
    if done.returncode != 0:
        raise _refusal(argv, unit, user, done)
    output = [redact(line) for line in (done.stdout + done.stderr).splitlines() if line.strip()][-LAST_LINES:]
    return {"at": rfc3339(at), "what": shlex.join(argv), "took_s": round(time.monotonic() - began, 1), "output": output}


def _run(argv: list[str], unit: str, deadline: float) -> Result | None:
    """Run a command to its end; None where there is no such program."""
    try:
        done = run(argv, deadline=deadline, env=environment())
    except ProgramError:
        return None
    if done.timed_out:
        raise UnitError(f"{unit}: '{shlex.join(argv)}' did not end in time: look at systemctl status {unit}.")
    return done


def _refusal(argv: list[str], unit: str, user: str, done: Result) -> UnitError:
    """What a command that failed said; refused if it is one of L(_REFUSALS), since a job that fails says otherwise."""
    said = " ".join(redact(done.stderr or done.stdout).split()) or f"it ended with {done.returncode}"
    known = next((text for pattern, text in _REFUSALS if re.search(pattern, said, re.I)), "")
    command = shlex.join(argv[argv.index("systemctl") :])
    advice = known.format(unit=unit, user=user, command=command) or f"see systemctl status {unit}"
    told = f"{unit}: '{shlex.join(argv)}' was refused: {clip(said, 300).rstrip('.')}. What to do: {advice}."
    return UnitRefusedError(told) if known else UnitError(told)


def _wait_until_steady(unit: str, deadline: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Wait until the unit has been up for L(STEADY_S) without a restart; raise UnitError where it does not stay up."""
    up_since: float | None = None
    restarts = ""
    while True:
        now = _look(unit, deadline)
        if now["active_state"] == "failed":
            raise UnitError(f"{unit} failed again at once ({now['result']}): read journalctl -u {unit} -n 50.")
        steady = now["active_state"] in ("active", "reloading") and now["restarts"] == (restarts or now["restarts"])
        if not steady:
            up_since = None
        elif up_since is None:
            up_since = time.monotonic()
        elif time.monotonic() - up_since >= STEADY_S:
            return now
        restarts = now["restarts"]
        if time.monotonic() + POLL_S >= deadline:
            state = f"{now['active_state']} ({now['sub_state']}, {now['restarts']} restarts)"
            raise UnitError(f"{unit} did not stay up in time, it is {state}: read journalctl -u {unit} -n 50.")
        sleep(POLL_S)
