# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of the lab without its processes: the real collectors ask the lab's parts in this process.

Time is the scenario's own where a person would wait: the dispatch probe's pauses move a clock instead of taking time.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    agent_via,
    dispatch,
    process,
    room_watch,
    service_host,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import tunnel
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import resolve_attempt
from ansible_collections.voiceops.livekit.plugins.modules.classify import judge
from ansible_collections.voiceops.livekit.plugins.modules.evidence_facts import ARGUMENT_SPEC, collect_one
from bank import programs
from lab import daemon
from lab.scenario import load
from lab.state import LabState, Scenario

RULES = Path(__file__).resolve().parents[2] / "roles/classify/files/rules"
# What the exchange with a Pi is uncertain by in the lab.
UNCERTAINTY_MS = 200
DEADLINE_S = 30.0
# Where something hangs, it is given up after so many seconds, and judged to hang after half of them.
HUNG_S = 2.0
# The collectors that may start lk keep more than that back for its end.
AGENT_HUNG_S = 10.0
# Looks at the probe's room are far apart: the time between them costs nothing, the looks do.
POLL_S = 5.0
# What OpenSSH says of a host that sleeps, and of one that lets nobody in.
AWAY = {
    "asleep": "ssh: connect to host mac.local port 22: Operation timed out",
    "refuses_key": "brad@mac.local: Permission denied (publickey,password,keyboard-interactive).",
}
HOSTS = {
    "client": "localhost",
    "tunnel": "localhost",
    "secrets": "mac",
    "callback": "localhost",
    "service": "pi-hub",
    "agent": "mac",
    "dispatch": "localhost",
}


class Clock:
    """Stands for the module time: it is ahead of the real clock by C(offset) seconds, and sleeping moves it on."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def time(self) -> float:
        return time.time() + self.offset

    def monotonic(self) -> float:
        return time.monotonic() + self.offset

    def sleep(self, seconds: float) -> None:
        self.offset += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class World:
    """A scenario of the lab, or a variant of one, served in this process. Use as a context manager."""

    def __init__(self, path: Path, variant: str = "", **different: Any) -> None:
        """Take the scenario in a file; C(different) are parts of it that are to be others, such as its variables."""
        self._stack = contextlib.ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.now = time.time()
        self.scenario: Scenario = load(path, self.now, variant)
        for part, value in different.items():
            self.scenario[part] = {**self.scenario[part], **value} if isinstance(value, dict) else value
        self.clock = Clock()
        self.pi = programs.Pi(self.scenario, self._folder / "app")
        self.state = LabState(
            now=self.now,
            api_key="APIbank",
            api_secret="secret-of-the-bank-" * 2,
            service_key="key-of-the-bank-0123456789",
            directory=None,
            wall=self.clock.time,
            follow_logs=False,
            journal=lambda message, priority=6: self.pi.log(message, priority, at=self.clock.time()),
        )
        self.variables: dict[str, Any] = {}
        self.params: dict[str, Any] = {}
        """What the module classify was given, once it has judged."""
        self.context: dict[str, Any] = {}
        """What rules may name beside the evidence, once it is judged."""

    def __enter__(self) -> World:
        loop = self._stack.enter_context(_running_loop())
        parts = self._stack.enter_context(_parts(self.scenario, self.state, loop))
        home = self._folder / "lab"
        home.mkdir()
        self.variables = daemon.variables(self.scenario, home, self.state, parts)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def judged(self) -> dict[str, Any]:
        """What the play would find: its gathering, judging, and probing where that would help, in its order."""
        run, records = self._gathered()
        found = self._judged(run, records)
        mode = self.variables["voiceops_dispatch_probe"]
        wanted = mode == "always" or (mode == "auto" and found["probe_would_help"])
        if wanted and records["client"]["signals"].get("waiting") == 0:
            records["dispatch"] = self._probed(run, records["agent"]["signals"].get("name"))
            if records["dispatch"]["signals"]["joined"] is False:
                records["agent_after"] = self._of_livekits_agent("agent", run)
            found = self._judged(run, records)
        return found

    def _gathered(self) -> tuple[dict[str, Any], dict[str, Record]]:
        run: dict[str, Any] = {"started_at": self.now, "probe_id": "bank", "probes": []}
        given = (self.variables["voiceops_attempt_at"], self.variables["voiceops_window"])
        run["attempt"], _problems = resolve_attempt(*given, None, self.now)
        records = {layer: self._collect(layer, run) for layer in ("client", "tunnel", "callback")}
        records.update({layer: self._of_livekits_agent(layer, run) for layer in ("secrets", "agent")})
        waiting_since = records["client"]["signals"].get("waiting_since")
        run["attempt"], _problems = resolve_attempt(*given, waiting_since, self.now)
        records["inspector"] = self._of_ngroks_host(run)
        records["service"] = self._of_the_pi(run)
        return run, records

    def _program(self, argv: Sequence[str], **how: Any) -> process.Result:
        """What runs on the controller, and on ngrok's host."""
        if argv[0] != "ps":
            return programs.lk(argv, **how)
        ngrok = self.scenario["edge"]["inspector"]
        started = {"/usr/local/bin/ngrok": self.now - ngrok["since"]} if ngrok else {}
        return programs.ps({"/sbin/init": 9e5, **started})

    def _of_livekits_agent(self, layer: str, run: dict[str, Any]) -> Record:
        """What the play finds of the agent: by lk, and what that does not tell without it."""
        found = self._collect(layer, run)
        options = self._options()
        if options["agent_via"] != "auto" or not agent_via.untold({layer: found}):
            return found
        straight = self._collect(layer, {**run, "agent_via": agent_via.API})
        return agent_via.fuller(found, straight) if agent_via.can_ask_straight(options) else found

    def _of_ngroks_host(self, run: dict[str, Any]) -> Record:
        said = AWAY.get(self.scenario["edge"]["host"])
        if said:
            why = f"mac could not be reached over ssh: Failed to connect to the host via ssh: {said}"
            return unknown("tunnel", why, signals={"host_reachable": False})
        found = self._collect("inspector", run)
        found["signals"]["host_reachable"] = True
        return found

    def _of_the_pi(self, run: dict[str, Any]) -> Record:
        state = self.scenario["pi"]["state"]
        if state in ("unreachable", "refuses_key"):
            return unknown("service", "pi-hub could not be reached", signals={"host_reachable": False})
        if state == "hangs":
            return unknown("service", "pi-hub did not answer in time")
        with self.pi.in_place(Clock(self.scenario["pi"]["clock_offset"])):
            return self._collect("service", run, self._pi_clock())

    def _pi_clock(self) -> dict[str, float]:
        offset_ms = self.scenario["pi"]["clock_offset"] * 1000
        return {"offset_ms": offset_ms, "uncertainty_ms": UNCERTAINTY_MS}

    def _collect(self, layer: str, run: dict[str, Any], clock: dict[str, float] | None = None) -> Record:
        own = clock or {"offset_ms": 0.0, "uncertainty_ms": 0.0}
        options = {**self._options(), **run, "now": run["started_at"], "clock": own}
        seconds = self._patience(layer)
        edge = mock.patch.object(tunnel, "PATIENCE_S", seconds / 2)
        port = mock.patch.object(service_host, "_ANSWER_S", seconds / 2)
        with edge, port, mock.patch.object(process, "run", self._program):
            return collect_one(layer, options, time.monotonic() + seconds)

    def _patience(self, layer: str) -> float:
        """How many seconds a collector has: many, so that a machine that is busy finds the same, but where it hangs."""
        cloud = self.scenario["cloud"]
        faults = [fault for each in (cloud, *cloud["then"]) for fault in each["faults"].values()]
        if not any(fault["hangs"] for fault in faults) and self.scenario["api"]["state"] != "hung":
            return DEADLINE_S
        return AGENT_HUNG_S if layer in agent_via.TOLD_BY else HUNG_S

    def _options(self) -> dict[str, Any]:
        defaults = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}
        return {**defaults, **{name.removeprefix("voiceops_"): value for name, value in self.variables.items()}}

    def _probed(self, run: dict[str, Any], name: str | None) -> Record:
        options = {**self._options(), **run}
        options["agent_name"] = options["agent_name"] or name
        deadline, cold = self.variables["voiceops_dispatch_deadline"], self.variables["voiceops_dispatch_cold_start"]
        with (
            mock.patch.object(dispatch, "time", self.clock),
            mock.patch.object(room_watch, "time", self.clock),
            mock.patch.object(dispatch, "POLL_S", POLL_S),
        ):
            return dispatch.probe(options, deadline, cold)

    def _judged(self, run: dict[str, Any], records: dict[str, Record]) -> dict[str, Any]:
        reached = self.scenario["pi"]["state"] in ("up", "no_systemd")
        self.params = {
            "evidence": records,
            "attempt": run["attempt"],
            "started_at": run["started_at"],
            "probes": run["probes"],
            "clocks": {"pi-hub": self._pi_clock()} if reached else {},
            "hosts": HOSTS,
            "synthetic_users": self._options()["synthetic_users"],
            "dispatch_deadline": self.variables["voiceops_dispatch_deadline"],
            "settings": self._settings(),
            "rules_dir": str(RULES),
            "extra_rules_dir": None,
        }
        judged = judge(self.params)
        self.context = {"attempt": run["attempt"], "settings": judged["settings"]}
        return judged

    def _settings(self) -> dict[str, Any]:
        known = self._options()
        return {
            "agent_dir": known["agent_dir"],
            "agent_id": known.get("agent_id") or "",
            "agent_name": known["agent_name"],
            "callback_url": known["callback_url"],
            "service_host": "pi-hub",
            "service_unit": known["service_unit"],
            "tunnel_host": "mac",
            "tunnel_unit": "ngrok",
            "database_unit": "postgresql",
        }


@contextlib.contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    """End what a client that gave up has left behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _parts(scenario: Scenario, state: LabState, loop: asyncio.AbstractEventLoop) -> Iterator[dict[str, int]]:
    """Serve the lab's parts but for the Pi; give their ports."""

    async def start() -> tuple[contextlib.AsyncExitStack, dict[str, int]]:
        stack = contextlib.AsyncExitStack()
        return stack, await daemon.start_web(scenario, state, stack)

    stack, ports = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield ports
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
