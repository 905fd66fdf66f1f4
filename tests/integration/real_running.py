# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a real livekit-server, real livekit-agents workers and real participants on loopback, as units of one host.

What they log goes into a journal, a real one where this machine can write one, and the host's journalctl and systemctl
tell of them. Whatever is started is ended, at the latest by a deadline of its own.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from livekit import api

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import from_waiting_room
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import resolve_attempt
from ansible_collections.voiceops.livekit.plugins.modules.classify import judge
from ansible_collections.voiceops.livekit.plugins.modules.evidence_facts import ARGUMENT_SPEC, collect_one
from lab.journal import Clock, Store, from_journald, from_manager, from_unit, open_store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEY, SECRET = "APIreal", "secret-of-the-real-server-0123456789abcdef"
CALLBACK_KEY = "key-of-the-callback"
WORKER, SERVER = "livekit-agent", "livekit-server"
EXAMPLE, FAULTY = ROOT / "docs/examples/agent.py", HERE / "real_faulty_agent.py"
REGISTERED = "registered worker"
LIFE = ("starting worker", REGISTERED)
FAR_S = 180.0
# Nothing that is started here outlives this, also if the tests are killed.
LIFE_S = 7200
_HELD: list[socket.socket] = []
DEADLINE_S = 7.0
"""After so many seconds alone a person counts as waiting in vain; a job is listed after five."""


def free_port() -> int:
    """Choose a port for a server that may take it over late: nobody else is given it until the tests end."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 0))
    _HELD.append(taken)
    port: int = taken.getsockname()[1]
    return port


def until(ask: Callable[[], Any], what: str, seconds: float = FAR_S) -> Any:
    """Ask until the answer is true, and give it; fail with C(what) when the time is over."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} within {seconds:g} s"
        time.sleep(0.05)
    return answer


class Unit:
    """A running program whose output goes line by line to C(note), and is kept."""

    def __init__(self, argv: list[Any], env: Mapping[str, str], note: Callable[[str], None]) -> None:
        self.lines: list[str] = []
        limit = ["timeout", "--signal=KILL", str(LIFE_S)] if shutil.which("timeout") else []
        self._process = subprocess.Popen(
            [*limit, *map(str, argv)],
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(note,), daemon=True)
        self._reader.start()

    def _read(self, note: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.rstrip("\n")
            note(text)
            self.lines.append(text)

    def logged(self, text: str, times: int = 1) -> bool:
        return sum(text in line for line in list(self.lines)) >= times

    def await_line(self, text: str, times: int = 1) -> None:
        """Wait until it has logged C(text); what it logged instead shows if it does not."""
        try:
            until(lambda: self.logged(text, times) or self._process.poll() is not None, "")
        finally:
            assert self.logged(text, times), "\n".join([f"expected: {text}", *self.lines[-40:]])

    def kill(self) -> None:
        """End it and all its children at once, as a crash or the lack of memory would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(FAR_S)
        self._reader.join(FAR_S)


class Host:
    """One machine: its units, and in C(bin) the journalctl and the systemctl that tell of them."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self._folder, self._units = folder, folder / "units"
        self.bin.mkdir(parents=True)
        self._units.mkdir()
        self._clock = Clock(0.0, time.time() - 86400)
        self._lock = threading.Lock()
        self._closed = False
        self._running: list[tuple[str, Unit]] = []
        self._kept = [self._stamped(from_journald("Journal started"), time.time() - 86400)]
        self._journals = 0
        self._store = self._new_journal()
        self._script("systemctl", f'cat {shlex.quote(str(self._units))}/"$2" 2>/dev/null || echo LoadState=not-found')

    def _script(self, name: str, command: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{command}\n")
        (self.bin / name).chmod(0o755)

    def _new_journal(self) -> Store:
        self._journals += 1
        store = open_store(self._folder / f"journal-{self._journals}", sys.executable)
        for entry in self._kept:
            store.write(entry)
        self._script("journalctl", f'exec {shlex.join(store.command)} "$@"')
        return store

    def _stamped(self, entry: dict[str, str], at: float) -> dict[str, str]:
        return {**self._clock.stamp(at), **entry}

    def note(self, entry: dict[str, str]) -> None:
        """Log it, now; a host that has been shut down takes no more, from the server neither."""
        with self._lock:
            if self._closed:
                return
            stamped = self._stamped(entry, time.time())
            self._store.write(stamped)
            if "UNIT" in entry or any(line in entry["MESSAGE"] for line in LIFE):
                self._kept.append(stamped)

    def forget_jobs(self) -> None:
        """Go on with a journal that knows only of the units' lives, so that nothing is taken for a later test's."""
        with self._lock:
            self._store.close()
            self._store = self._new_journal()

    def start(self, unit: str, argv: list[Any], env: Mapping[str, str]) -> Unit:
        """Start a program as a unit."""
        state = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"
        (self._units / unit).write_text(f"{state}ActiveEnterTimestamp=@{time.time():.6f}\nActiveExitTimestamp=\n")
        self.note(from_manager(unit, f"Started {unit}.service.", "39f53479d3a045ac8e11786248231fbf"))
        running = Unit(argv, env, lambda line: self.note(from_unit(unit, line)))
        self._running.append((unit, running))
        return running

    def kill(self, unit: str) -> None:
        """Kill a unit, and let systemd say so."""
        for name, running in self._running:
            if name == unit:
                running.kill()
        state = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=signal\nExecMainStatus=9\n"
        (self._units / unit).write_text(f"{state}ActiveEnterTimestamp=\nActiveExitTimestamp=@{time.time():.6f}\n")
        died = f"{unit}.service: Main process exited, code=killed, status=9/KILL"
        self.note(from_manager(unit, died, "98e322203f7a4ed290d09fe03c09fe15"))

    def settle(self) -> None:
        """Wait until all that was logged so far can be read."""
        with self._lock:
            self._store.settle()

    def close(self) -> None:
        for _unit, running in self._running:
            running.kill()
        with self._lock:
            self._closed = True
            self._store.close()


class Receiver:
    """Takes what is posted to it: (body, headers), as it came."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str]]] = []
        taken = self.taken

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                taken.append((body, dict(self.headers)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Real:
    """A livekit-server, and what is started against it. C(python) is that of the environment with livekit-agents."""

    def __init__(self, folder: Path, server: Path, python: Path) -> None:
        self.python = python
        self.webhooks, self.callbacks = Receiver(), Receiver()
        self._folder = folder
        self._server_program = server
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        # Each worker has a host of its own, for each is the unit livekit-agent there; the server logs on all of them.
        self.hosts: dict[str, Host] = {}
        self._health: dict[str, int] = {}
        self.server = self._start_server()

    def _start_server(self) -> Unit:
        settings = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {KEY: SECRET},
            "rtc": {
                "tcp_port": free_port(),
                "udp_port": free_port(),
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "ips": {"includes": ["127.0.0.0/8"]},
            },
            "logging": {"json": True, "level": "info"},
            "webhook": {"api_key": KEY, "urls": [f"http://127.0.0.1:{self.webhooks.port}/"]},
        }
        config = self._folder / "livekit.yaml"
        config.touch(0o600)
        config.write_text(json.dumps(settings))  # YAML reads JSON

        def note(line: str) -> None:
            for host in list(self.hosts.values()):
                host.note(from_unit(SERVER, line))

        server = Unit([self._server_program, "--config", config], {}, note)
        try:
            server.await_line("starting LiveKit server")
            until(self._answers, "livekit-server answers")
        except BaseException:
            server.kill()
            raise
        return server

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def close(self) -> None:
        self.server.kill()
        self.webhooks.close()
        self.callbacks.close()

    def options(self, name: str = "", **more: Any) -> dict[str, Any]:
        """What a collector or a probe is given, to ask of the agent C(name)."""
        defaults = {option: spec.get("default") for option, spec in ARGUMENT_SPEC.items()}
        known = {"livekit_url": self.url, "livekit_api_key": KEY, "livekit_api_secret": SECRET, "agent_name": name}
        return {**defaults, **known, "server_unit": SERVER, **more}

    @contextlib.contextmanager
    def worker(self, name: str, program: Path, **env: str) -> Iterator[Unit]:
        """A worker on a host of its own until the block ends; it is not waited for until it is registered."""
        host = self.hosts[name] = Host(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder)))
        self._health[name] = free_port()
        known = {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "AGENT_NAME": name,
            "AGENT_HEALTH_PORT": str(self._health[name]),
            "CALLBACK_URL": f"http://127.0.0.1:{self.callbacks.port}/",
            "CALLBACK_KEY": CALLBACK_KEY,
            "PYTHONUNBUFFERED": "1",
        }
        try:
            yield host.start(WORKER, [self.python, program, "start"], {**known, **env})
        finally:
            del self.hosts[name]
            host.close()

    def worker_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._health[name]}"

    def worker_says(self, name: str) -> dict[str, Any]:
        """What the worker's own HTTP server tells of it."""
        with urllib.request.urlopen(f"{self.worker_url(name)}/worker", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def token(self, room: str, identity: str, agents: list[str]) -> str:
        """The token of a person; if that makes the room, C(agents) are dispatched into it."""
        token = api.AccessToken(KEY, SECRET).with_identity(identity)
        token = token.with_grants(api.VideoGrants(room_join=True, room=room))
        wanted = [api.RoomAgentDispatch(agent_name=name) for name in agents]
        return token.with_room_config(api.RoomConfiguration(agents=wanted)).to_jwt()

    @contextlib.contextmanager
    def person(self, room: str, agents: list[str], identity: str = "ada") -> Iterator[Unit]:
        """A real participant who publishes a microphone in the room until the block ends."""
        env = {"LIVEKIT_URL": self.url, "LIVEKIT_TOKEN": self.token(room, identity, agents)}
        unit = Unit([self.python, HERE / "real_person.py"], env, lambda _line: None)
        try:
            unit.await_line("microphone published")
            yield unit
        finally:
            unit.kill()
            self._forget(room)

    def _forget(self, room: str) -> None:
        """Close the room, so that nobody in it is anybody's evidence later."""
        with Api(self.options()) as asking, contextlib.suppress(LiveKitError):
            asking.delete_room(room, time.monotonic() + FAR_S)

    def client(self, name: str) -> dict[str, Any]:
        """The record of the layer client as it is now."""
        return collect_one("client", self.options(name, now=time.time(), attempt=None), time.monotonic() + FAR_S)

    def await_waiting(self, name: str) -> None:
        """Wait until a person has waited for what was asked for so long that it counts as in vain."""

        def waited() -> float:
            return float(from_waiting_room(self.client(name), DEADLINE_S)["signals"]["wait_s"] or 0.0)

        until(lambda: waited() >= DEADLINE_S, "a person waits")

    def diagnosed(self, name: str, **more: Any) -> dict[str, Any]:
        """What the playbook would make of how things are now: the evidence of client and worker, and the verdict.

        C(more) holds further records by their layers.
        """
        now = time.time()
        records = {"client": self.client(name), **more}
        attempt, _problems = resolve_attempt(None, None, records["client"]["signals"]["waiting_since"], now)
        if name in self.hosts:
            clock = {"offset_ms": 0.0, "uncertainty_ms": 0.0}
            given = self.options(name, now=now, attempt=attempt, clock=clock, worker_unit=WORKER)
            given["worker_url"] = self.worker_url(name)
            self.hosts[name].settle()
            with path_first(self.hosts[name].bin):
                records["worker"] = collect_one("worker", given, time.monotonic() + FAR_S)
        return judge(
            {
                "evidence": records,
                "attempt": attempt,
                "started_at": now,
                "probes": [],
                "clocks": {},
                "hosts": {},
                "synthetic_users": [],
                "dispatch_deadline": DEADLINE_S,
                "settings": {"agent_name": name, "worker_unit": WORKER},
                "rules_dir": str(ROOT / "roles/classify/files/rules"),
                "extra_rules_dir": None,
            }
        )


@contextlib.contextmanager
def path_first(folder: Path) -> Iterator[None]:
    """Put a host's own programs first on PATH."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
