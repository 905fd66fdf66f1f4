# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the stand-in cloud's agent: it sleeps, wakes, takes jobs, crashes, and is restarted or deployed anew.

LiveKit's hosting of agents is closed; this is a model of what its users and documentation report:

- A dispatch reaches the workers of the deployment that it names: a sleeping one wakes, a crashing one gets no job.
- C(wakes: false) is the stale container: nothing wakes it, no job is accepted; a new container (restart, deploy,
  rollback, new secrets) registers again.
- C(wakes: never-joins) accepts the job and stays out of the room; C(crashes: true) crashes over it.
- C(restart_helps: false) starts containers by a restart that are as stale as those before.
- C(next) is what comes of the next deployment: C(build-fails) leaves the old version serving, C(crashes) goes into
  production and crashes, C(sleeps) goes into production and gets no container.
- New containers run C(start_delay) seconds after they were asked for; until then the status is C(Scheduling).
- C(Error) without replicas sleeps: LiveKit has called idle agents on the free plan so (livekit/livekit#4394).
- The container's log lives as long as the container.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from lab.cloud_clock import Clock

INACTIVE = "The agent has shut down due to inactivity. It will automatically start again when a new session begins."
WARM_DELAY = 0.1
"""Seconds that an awake agent needs to join a room; it never takes longer than it would to wake."""
_AWAKE = {"Running", "Updating", "Building", "Scheduling"}
_CRASHED = "AGENT_EVENT_TYPE_APPLICATION_CRASHED"


class CloudAgent:
    """One agent with its deployments, versions, secrets and log: the scenario's data, changed by what happens to it.

    C(spec) is the scenario's C(cloud.agent), complete; it is not changed.
    """

    def __init__(self, spec: dict[str, Any], clock: Clock) -> None:
        self.id: str = spec["id"]
        self.name: str = spec["name"]
        self.deployed_at: float = spec["deployed_at"]
        self.deployments: list[dict[str, Any]] = [
            {**item, "events": list(item["events"])} for item in spec["deployments"]
        ]
        self.versions: list[dict[str, Any]] = [dict(item) for item in spec["versions"]]
        self.secrets: list[dict[str, Any]] = [dict(item) for item in spec["secrets"]]
        self.logs: list[str] = list(spec["logs"])
        self._wakes: bool | str = spec["wakes"]
        self._wake_delay: float = spec["wake_delay"]
        self._crashes: bool = spec["crashes"]
        self.next: str = spec["next"]
        self._restart_helps: bool = spec["restart_helps"]
        self._start_delay: float = spec["start_delay"]
        self._clock = clock

    def asleep(self, deployment: str = "") -> bool:
        """Whether a deployment (C('') is production) has no container, and so no log."""
        entries = list(self._entries(deployment))
        return bool(entries) and all(_sleeps(entry) for entry in entries)

    def take(
        self, deployment: str, room: str, at: float, accept: Callable[[float], None], join: Callable[[float], None]
    ) -> None:
        """Offer a job to a worker: C(accept) and C(join) are called when, and only if, it gets that far."""
        serving = (item for item in self._entries(deployment) if _sleeps(item) or item["status"] in _AWAKE)
        entry = next(serving, None)
        if entry is None or self._wakes is False:
            return
        asleep = _sleeps(entry)
        if asleep:
            entry["status"] = "Waking"

        def work(moment: float) -> None:
            if entry["status"] == "Waking":
                self._start(entry, moment)
            self._log(moment, "received job request", room=room, agent_name=self.name)
            accept(moment)
            if self._crashes:
                self._crash(entry, moment)
            elif self._wakes is True:
                join(moment)

        self._clock.plan(at + (self._wake_delay if asleep else min(self._wake_delay, WARM_DELAY)), work)

    def restart(self, at: float) -> None:
        """Replace production's containers by others of the same version."""
        self._wakes = self._wakes or self._restart_helps
        self._renew(at)

    def _renew(self, at: float) -> None:

        def start(moment: float) -> None:
            for entry in self._entries(""):
                self._start(entry, moment)
                if self._crashes:
                    self._crash(entry, moment)

        for entry in self._entries("") if self._start_delay else ():
            entry["status"] = "Scheduling"
        self._clock.plan(at + self._start_delay, start)
        self._clock.advance()

    def begin_deploy(self, at: float) -> None:
        """Take note of a version that is to be built."""
        self.versions.append(
            {
                "version": time.strftime("%Y%m%d%H%M%S", time.gmtime(at)),
                "current": False,
                "status": "Building",
                "draining": False,
                "attributes": {},
                "created_at": at,
                "deployed_at": None,
            }
        )

    def building(self) -> bool:
        """Whether a version waits for its build."""
        return any(version["status"] == "Building" for version in self.versions)

    def fail_build(self) -> None:
        """Give up the version that was to be built; the one before serves on."""
        self.versions[-1]["status"] = "Build Failed"

    def finish_deploy(self, at: float) -> None:
        """Put the version that was built last into production; every secret counts as updated by that."""
        self._crashes = self._crashes or self.next == "crashes"
        if self.next == "sleeps":
            self._wakes = False
            self._serve(self.versions[-1], at)
            for entry in self._entries(""):
                entry.update(status="Sleeping", replicas=0)
        else:
            self._promote(self.versions[-1], at)
        for secret in self.secrets:
            secret["updated_at"] = at

    def rollback(self, version: str, at: float) -> bool:
        """Put an earlier version into production, the newest for C(latest); give whether there is such a version."""
        earlier = [item for item in self.versions if not item["current"] and item["deployed_at"] is not None]
        earlier.sort(key=lambda item: float(item["created_at"]))
        chosen = [item for item in earlier if version in ("latest", item["version"])]
        if chosen:
            self._crashes = False
            self._promote(chosen[-1], at)
        return bool(chosen)

    def update_secrets(self, names: list[str], overwrite: bool, at: float) -> None:
        """Merge or replace the set of secrets, and restart with it."""
        known = {secret["name"]: secret for secret in self.secrets}
        given = {name: {"name": name, "created_at": at, **known.get(name, {}), "updated_at": at} for name in names}
        self.secrets = list((given if overwrite else known | given).values())
        self.restart(at)

    def _promote(self, chosen: dict[str, Any], at: float) -> None:
        self._serve(chosen, at)
        self._wakes = self._wakes or True
        self._renew(at)

    def _serve(self, chosen: dict[str, Any], at: float) -> None:
        for version in self.versions:
            version["current"] = version is chosen
        chosen.update(status="Running", deployed_at=at)
        self.deployed_at = at
        for entry in self._entries(""):
            entry["version"] = chosen["version"]

    def _entries(self, deployment: str) -> Iterator[dict[str, Any]]:
        return (entry for entry in self.deployments if entry["deployment"] == deployment)

    def _start(self, entry: dict[str, Any], at: float) -> None:
        """Give the deployment a new container, with a log of its own."""
        entry.update(status="Running", replicas=max(1, entry["min"]))
        self.logs = []
        self._log(at, "starting worker")
        self._log(at, "registered worker", agent_name=self.name)

    def _crash(self, entry: dict[str, Any], at: float) -> None:
        entry["status"] = "CrashLoop"
        entry["events"].append({"type": _CRASHED, "count": 1, "at": at})
        self._log(at, "unhandled exception while running the job task", level="ERROR")

    def _log(self, at: float, message: str, level: str = "INFO", **extra: str) -> None:
        """Write a line as livekit-agents does in production: JSON."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d}+00:00"
        self.logs.append(
            json.dumps({"message": message, "level": level, "name": "livekit.agents", **extra, "timestamp": moment})
        )


def _sleeps(entry: dict[str, Any]) -> bool:
    """Whether a deployment has no container, but gets one for the next session."""
    status = entry["status"].lower()
    return status in ("sleeping", "waking") or (status == "error" and not entry["replicas"])
