# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a real unit on a real Pi: what the service layer shows, the verdict, and the repair or who refuses it."""

from __future__ import annotations

import json
from typing import Any

from .real_pi_running import limits, signals, until, verdict

UNIT = "proto-trainer-next"
NEVER = {"voiceops_dispatch_probe": "never"}
POLKIT = """\
polkit.addRule(function(action, subject) {
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "guest") {
    return polkit.Result.YES;
  }
});
"""


def state(play) -> tuple[Any, ...]:
    """What the service layer shows of the unit."""
    return tuple(signals(play)[name] for name in ("active_state", "sub_state", "result", "crash_looping"))


def shown(pi, name: str) -> str:
    return pi.run(f"systemctl show --value -p {name} {UNIT}").strip()


def test_a_unit_that_was_stopped_is_started_by_who_may_and_refused_to_who_may_not(boot, meet, play_on):
    pi = boot()
    running = meet(pi)
    pi.run(f"systemctl stop {UNIT}")

    play = running.diagnose(**NEVER)
    assert verdict(play) == ("service_down", "fault")
    assert state(play) == ("inactive", "dead", "success", False)
    assert (signals(play)["port_open"], signals(play)["sudo_without_password"]) == (False, True)

    refused, _nothing = play_on(running, "guest", "systemd_unit", systemd_unit_name=UNIT)
    assert refused.returncode == 2, refused.output
    text = " ".join(refused.output.split())
    assert f"a password is required. What to do: allow guest to run 'systemctl start {UNIT}' without one" in text, text
    assert shown(pi, "ActiveState") == "inactive"

    started, result = play_on(running, "brad", "systemd_unit", systemd_unit_name=UNIT)
    assert started.returncode == 0, started.output
    assert (result["before"]["active_state"], result["after"]["active_state"]) == ("inactive", "active")
    assert [step["what"] for step in result["steps"]] == [f"sudo -n systemctl start {UNIT}"]
    assert running.call() == 201

    # A rule of polkit does as well as one of sudo.
    pi.write("/etc/polkit-1/rules.d/50-guest.rules", POLKIT)
    pid = shown(pi, "MainPID")
    _done, result = play_on(running, "guest", "systemd_unit", systemd_unit_name=UNIT, systemd_unit_state="restarted")
    assert [step["what"] for step in result["steps"]] == [f"systemctl --no-ask-password restart {UNIT}"]
    assert shown(pi, "MainPID") != pid


def test_a_unit_that_crashes_again_and_again(boot, meet):
    pi = boot()
    running = meet(pi)
    pi.drop_in("StartLimitIntervalSec=0", section="Unit")
    pi.drop_in("RestartSec=1", "Environment=PORT=3003", "EnvironmentFile=")
    pi.run(f"systemctl restart {UNIT}")
    until(lambda: int(shown(pi, "NRestarts")) >= 3, "it was restarted thrice")

    play = running.diagnose(**NEVER)

    assert verdict(play) == ("service_crash_loop", "fault")
    found = signals(play)
    # Its result is left out: systemd shows "success" for as long as the next start has not failed yet.
    assert (found["crash_looping"], found["disk_full"]) == (True, False)
    assert (found["first_error"], found["restarts"] >= 3) == ("KeyError: 'DATABASE_URL'", True)
    assert "no earlier successful callback was logged" in limits(play)


def test_a_unit_that_systemd_gave_up_keeps_the_result_of_its_last_run_and_is_started_once_it_is_mended(
    boot, meet, play_on
):
    pi = boot()
    running = meet(pi)
    # However slow a start is here, the fifth is one too many.
    pi.drop_in("StartLimitIntervalSec=600", section="Unit")
    pi.drop_in("Environment=PORT=3003", "EnvironmentFile=")
    pi.run(f"systemctl restart {UNIT}")
    until(lambda: shown(pi, "ActiveState") == "failed", "systemd gave it up")
    # Its restarts are no longer in the journal; only that it may not be started again, since it was so often.
    pi.run("journalctl --rotate --vacuum-time=1us")
    pi.run(f"systemctl start {UNIT}", check=False)

    play = running.diagnose(**NEVER)

    assert verdict(play) == ("service_crash_loop", "fault")
    assert state(play) == ("failed", "failed", "exit-code", True)

    pi.drop_in("Environment=NOTHING=changed")
    done, result = play_on(running, "brad", "systemd_unit", systemd_unit_name=UNIT, systemd_unit_state="reset")
    assert done.returncode == 0, done.output
    assert [step["what"].split()[3] for step in result["steps"]] == ["reset-failed", "start"]
    assert (result["after"]["active_state"], running.call()) == ("active", 201)


def test_a_full_disk(boot, meet):
    pi = boot(size="64m")
    running = meet(pi)
    assert running.call() == 201
    # As on a Pi whose /tmp is no disk in memory: then Ansible has no room to unpack a module either.
    pi.run("umount /tmp")
    pi.run("dd if=/dev/zero of=/var/big bs=1M", check=False)
    assert running.call() == 500

    play = running.diagnose(**NEVER)

    assert verdict(play) == ("disk_full", "fault")
    found = signals(play)
    assert (found["disk_full"], found["active"]) == (True, True)
    assert found["codes"] == ["SQLITE_FULL", "HTTP_500"]


def test_a_unit_that_has_another_name_is_no_silent_service(boot, meet):
    pi = boot()
    running = meet(pi)
    pi.run(f"systemctl disable --now {UNIT}; cd /etc/systemd/system; mv {UNIT}.service trainer.service")
    pi.run("systemctl daemon-reload; systemctl enable --now trainer")
    until(lambda: running.call() == 201, "it runs under its other name")

    play = running.diagnose(**NEVER)

    assert verdict(play) == ("wrong_unit", "inconclusive")
    found = signals(play)
    assert (found["unit_found"], found["load_state"], found["silence_counts"]) == (False, "not-found", None)
    assert "systemd knows no such unit" in limits(play)
    assert json.dumps(play.incident).count(pi.service_key) == 0
