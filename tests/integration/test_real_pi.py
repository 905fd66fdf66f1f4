# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole diagnosis against a real Pi: who may read its journal, and what the silence of a real journal proves."""

from __future__ import annotations

import threading

from .real_pi_running import DORMANT, limits, moment, signals, until, verdict

UNIT = "proto-trainer-next"
NEVER = {"voiceops_dispatch_probe": "never"}


def test_silence_counts_for_who_may_read_the_journal_and_proves_nothing_to_who_may_not(boot, meet):
    running = meet(boot(), cloud={"agent": DORMANT})
    at = moment(running.heard())

    play = running.diagnose("brad", voiceops_attempt_at=at, voiceops_dispatch_deadline=3)

    assert verdict(play) == ("cloud_agent_dormant_no_wake", "fault")
    found = signals(play)
    assert (found["journal_readable"], found["journal_covers"], found["control_heard"]) == (True, True, True)
    assert (found["callbacks"], found["silence_counts"], found["suppressed"]) == (0, True, 0)
    assert (found["up_through_attempt"], found["sudo_without_password"]) == (True, True)
    # The key is in a file that only root may read, so whether it is set is not known.
    assert (found["env_missing"], limits(play)) == (None, "")

    play = running.diagnose("guest", voiceops_attempt_at=at, **NEVER)

    # The journal of a user's own is there to read, and as silent of the service as it always is.
    assert running.pi.run("journalctl --quiet --lines=1", user="guest")
    assert verdict(play) == ("logs_not_covering_window", "inconclusive")
    found = signals(play)
    assert (found["journal_readable"], found["journal_covers"], found["journal_oldest"]) == (False, None, None)
    assert (found["callbacks"], found["control_heard"], found["silence_counts"]) == (None, None, None)
    assert (found["kernel_faults"], found["sudo_without_password"]) == (None, False)
    assert "this user may not read the system's journal" in limits(play)


def test_a_call_of_a_user_that_the_database_does_not_have_is_read_from_the_real_journal(boot, meet):
    running = meet(boot())
    at = moment(running.heard())
    assert running.call("11111111-2222-4333-8444-555555555555") == 500

    play = running.diagnose(voiceops_attempt_at=at, **NEVER)

    assert verdict(play) == ("user_missing_in_db", "fault")
    found = signals(play)
    assert (found["callback_statuses"], found["codes"]) == ([500], ["P2003", "HTTP_500"])


def test_a_journal_that_dropped_messages_and_one_that_was_vacuumed_are_no_witnesses(boot, meet):
    pi = boot()
    running = meet(pi, cloud={"agent": DORMANT})
    # journald lets through a few times that many, by the room on the disk.
    pi.drop_in("LogRateLimitIntervalSec=5s", "LogRateLimitBurst=5")
    pi.run(f"systemctl restart {UNIT}")
    at = moment(running.heard())
    for _turn in range(60):
        assert running.call("no user") == 400
    # journald tells of it with the unit's next message after the interval.
    until(lambda: running.call() == 201 and "Suppressed" in pi.run("journalctl --grep Suppressed; true"), "it is told")

    play = running.diagnose(voiceops_attempt_at=at, **NEVER)

    found = signals(play)
    assert 0 < found["suppressed"] <= 60
    assert (found["silence_counts"], found["control_heard"], found["journal_covers"]) == (None, True, True)
    assert f"journald dropped {found['suppressed']} messages of the unit" in limits(play)

    pi.run("journalctl --rotate --vacuum-time=1us")
    play = running.diagnose(voiceops_attempt_at=at, **NEVER)

    assert verdict(play) == ("logs_not_covering_window", "inconclusive")
    found = signals(play)
    assert (found["journal_readable"], found["journal_covers"], found["silence_counts"]) == (True, False, None)
    assert (found["control_heard"], "the journal starts at" in limits(play)) == (False, True)


def test_a_journal_in_memory_is_gone_with_a_reboot(boot, meet):
    pi = boot()
    pi.write("/etc/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n")
    pi.run("rm -rf /var/log/journal/*; systemctl restart systemd-journald")
    running = meet(pi)
    at = moment(running.heard())
    pi.reboot()
    until(lambda: running.call() == 201, "the API is up again")

    play = running.diagnose(voiceops_attempt_at=at, **NEVER)

    found = signals(play)
    assert (found["journal_readable"], found["journal_covers"], found["control_heard"]) == (True, False, False)
    assert (found["active"], found["up_through_attempt"], found["silence_counts"]) == (True, False, None)
    assert verdict(play)[1] != "healthy"


def test_ssh_that_is_killed_while_the_journal_is_read_is_an_unreachable_host_and_not_silence(boot, meet):
    pi = boot()
    running = meet(pi, cloud={"agent": DORMANT})
    # So that it is read when the session ends.
    pi.write("/usr/local/bin/journalctl", "#!/bin/sh\ntouch /tmp/reading\nexec sleep 60\n")
    pi.run("chmod 755 /usr/local/bin/journalctl")

    def kill() -> None:
        until(lambda: pi.run("ls /tmp/reading", check=False), "the journal is read", 300)
        pi.run("systemctl kill --signal=KILL user-1000.slice")

    killer = threading.Thread(target=kill)
    killer.start()
    play = running.diagnose(**NEVER)
    killer.join()

    assert verdict(play) == ("pi_unreachable", "inconclusive")
    found = signals(play)
    assert (found["host_reachable"], found["calls"]) == (False, None)
    assert "could not be reached over ssh" in limits(play)

    # Nor is a host talked to whose key is another than the known one.
    pi.run("rm /usr/local/bin/journalctl")
    other = (pi.folder / "root_key.pub").read_text(encoding="utf-8")
    (pi.folder / "known_hosts").write_text(f"{pi.address} {other}", encoding="utf-8")
    play = running.diagnose(**NEVER)
    assert (verdict(play), signals(play)["host_reachable"]) == (("pi_unreachable", "inconclusive"), False)


def test_a_clock_that_is_seven_minutes_ahead_hides_no_other_fault(boot, meet):
    """Simulated by libfaketime: services, journald and ssh sessions are ahead; PID 1, whose times these are, is not."""
    pi = boot()
    pi.set_clock(420)
    pi.reboot()
    running = meet(pi, cloud={"agent": DORMANT})
    at = moment(running.heard())

    play = running.diagnose(voiceops_attempt_at=at, voiceops_dispatch_deadline=3)

    assert verdict(play) == ("cloud_agent_dormant_no_wake", "fault")
    assert [cause["id"] for cause in play.incident["causes"] if cause["state"] == "confirmed"][1:] == ["pi_clock_drift"]
    found = signals(play)
    assert 418_000 < found["local_time_offset_ms"] < 422_000
    assert 415_000 < found["clock_error_ms"] < 425_000
    assert (found["silence_counts"], found["control_heard"]) == (True, True)
    # The API's own Date came through the tunnel, and is the Pi's clock, not the edge's.
    assert 415_000 < play.incident["clocks"]["api"]["offset_ms"] < 425_000
