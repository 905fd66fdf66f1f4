# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches LiveKit's agent after something was done to it, until it is observed in the new state.

C(lk) returns when LiveKit has taken a change on. That new containers serve is seen in C(lk agent status) and
C(versions) alone, and these lag: one look proves little, and a status that is not known proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via, lk
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_log import agent_lines, line_time
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_status import (
    PRODUCTION,
    WORST_FIRST,
    condition_of,
    deployments_of,
    events_of,
    versions_of,
)

POLL_S = 2.0
# One look is two calls of lk, which take parts of a second each.
LOOK_S = 20.0
# Running is believed when it is seen so often in a row: a program that crashes at its start is Running before.
LOOKS = 2
LOG_S, LOG_QUIET_S = 6.0, 1.0
STARTED = (b"registered worker", b"starting worker")
# What may pass while one waits; the rest will not.
PASSING = ("network", "rate_limited", "unavailable", "timeout", "output", "failed")


class Look(NamedTuple):
    """What LiveKit said of the agent at one time; C(rows) are production's, one for each region."""

    rows: list[dict[str, Any]]
    versions: list[dict[str, Any]]
    crashes: int | None

    @property
    def current(self) -> dict[str, Any]:
        """The version that serves, as C(versions_of) has it; empty if there is none."""
        return next((item for item in self.versions if item["current"]), {})

    @property
    def version(self) -> str | None:
        """The version that serves; None if LiveKit does not say."""
        return self.current.get("version") or next((row["version"] for row in self.rows if row["version"]), None)

    @property
    def worst(self) -> dict[str, Any]:
        """The region that is worst off; empty if there is none."""
        return min(self.rows, key=lambda row: WORST_FIRST.index(condition_of(row["status"])), default={})

    @property
    def conditions(self) -> set[str | None]:
        """What the regions' statuses mean."""
        return {condition_of(row["status"]) for row in self.rows}

    def facts(self) -> dict[str, Any]:
        """Sum it up for the record."""
        replicas = [row["replicas"] for row in self.rows if row["replicas"] is not None]
        return {
            "version": self.version,
            "commit": self.current.get("commit"),
            "status": self.worst.get("status"),
            "replicas": sum(replicas) if replicas else None,
            "deployed_at": self.worst.get("deployed_at"),
            "crashes": self.crashes,
        }


class Ending(NamedTuple):
    """How the watch ended: C(state) is running, asleep, failed or late; C(seen) whether the change itself was seen."""

    state: str
    why: str
    seen: bool


def look(session: lk.Session, deadline: float) -> Look:
    """Ask LiveKit for the agent's status and versions; raise LkError if it does not tell."""
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(agent_via.read, session, what, deadline) for what in ("status", "versions")]
        status, versions = (each.result() for each in asked)
    deployments = deployments_of(status, session.agent_id)
    if deployments is None:
        raise lk.LkError("no_agent", f"the project has no agent {session.agent_id}")
    happenings = events_of(status, session.agent_id)
    crashes = None if happenings is None else sum(e["count"] for e in happenings if e["type"] == "APPLICATION_CRASHED")
    rows = [row for row in deployments if row["deployment"] in (None, PRODUCTION)]
    return Look(rows, versions_of(versions), crashes)


def log_started_at(session: lk.Session, deadline: float) -> float | None:
    """Return when the newest container's worker started, by its log and LiveKit's clock; None if it does not tell."""
    try:
        until = min(deadline, time.monotonic() + LOG_S)
        result = agent_via.logs(session, until, quiet_s=LOG_QUIET_S, until=STARTED[0])
    except lk.LkError:
        return None
    starts = [line for line in agent_lines(result.stdout) if any(text.decode() in line for text in STARTED)]
    return max((moment for moment in map(line_time, starts) if moment is not None), default=None)


class Watch:
    """Judges one look after the other.

    C(wanted) says which version is to serve; None is any. C(settle) are the seconds for which a failure, or sleep, must
    last before it counts. C(restarted) is asked whether the containers are new when nothing else has shown it.
    """

    def __init__(
        self,
        before: Look,
        settle: float,
        began: float,
        *,
        wanted: Callable[[str], bool] | None = None,
        restarted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._before = before
        self._settle = settle
        self._began = began
        self._wanted = wanted
        self._restarted = restarted
        self._seen = False
        self._ready = 0
        self._crashes: int | None = None
        self._failing_since: float | None = None
        self._asleep_since: float | None = None

    def take(self, seen: Look, now: float) -> Ending | None:
        """Take in a look made at C(now), an absolute C(time.monotonic()); return how it ends, None to go on."""
        if not self._serves(seen):
            self._ready, self._asleep_since = 0, None
            return self._version_failed(seen, now)
        conditions = seen.conditions
        crashed = seen.crashes is not None and self._crashes is not None and seen.crashes > self._crashes
        self._crashes = seen.crashes
        self._seen = self._seen or bool(self._wanted) or conditions != self._before.conditions
        self._ready = self._ready + 1 if conditions == {"ready"} and not crashed else 0
        if crashed or "failed" in conditions:
            self._failing_since = self._failing_since or now
        elif self._ready >= LOOKS:
            self._failing_since = None
        asleep = "asleep" in conditions and conditions <= {"asleep", "ready"}
        self._asleep_since = (self._asleep_since or now) if asleep else None
        return self._ending(seen, now)

    def _ending(self, seen: Look, now: float) -> Ending | None:
        if self._failing_since is not None:
            if now - self._failing_since < self._settle:
                return None
            counted = f", and counts {seen.crashes} crashes" if seen.crashes else ""
            return Ending("failed", _status_of(seen) + counted, self._seen)
        if self._asleep_since is not None and now - self._asleep_since >= self._settle:
            return Ending("asleep", _status_of(seen), self._seen)
        if self._ready < LOOKS:
            return None
        self._seen = self._seen or self._restarted()
        if self._seen or now - self._began >= self._settle:
            return Ending("running", _status_of(seen), self._seen)
        return None

    def _serves(self, seen: Look) -> bool:
        """Whether a wanted version is in production, in every region that tells its version."""
        told = [seen.current.get("version"), *(row["version"] for row in seen.rows)]
        named = [version for version in told if version]
        wanted = self._wanted
        return wanted is None or (bool(named) and all(wanted(version) for version in named))

    def _version_failed(self, seen: Look, now: float) -> Ending | None:
        """Say of a version that does not serve yet that it never will; a failed build is final, all else may pass."""
        wanted = [item for item in seen.versions if self._wanted and self._wanted(str(item["version"]))]
        if not wanted and now - self._began >= self._settle:
            return Ending("failed", f"LiveKit lists no new version, and {seen.version} serves", False)
        failed = next((item for item in wanted if condition_of(item["status"]) == "failed"), None)
        if failed is None:
            self._failing_since = None
            return None
        self._failing_since = self._failing_since or now
        final = str(failed["status"]).strip().lower() == "build failed"
        if not final and now - self._failing_since < self._settle:
            return None
        return Ending("failed", f"LiveKit says {failed['status']} of version {failed['version']}", False)


def _status_of(seen: Look) -> str:
    return f"LiveKit says {seen.worst.get('status') or 'nothing'} of version {seen.version}"


def follow(session: lk.Session, watch: Watch, deadline: float, last: Look) -> tuple[Ending, Look]:
    """Look again and again until the watch ends; return its ending and the last look. None begins after C(deadline).

    A look that fails for what may pass, such as a network that is gone for a while, is left out.
    """
    trouble = ""
    while True:
        pause = POLL_S
        try:
            last = look(session, time.monotonic() + LOOK_S)
        except lk.LkError as error:
            if error.reason not in PASSING:
                raise
            trouble = f"; the last look failed: {error}"
            pause = 5 * POLL_S if error.reason == "rate_limited" else POLL_S
        else:
            trouble = ""
            ending = watch.take(last, time.monotonic())
            if ending:
                return ending, last
        if time.monotonic() + pause >= deadline:
            return Ending("late", _status_of(last) + trouble, False), last
        time.sleep(pause)
