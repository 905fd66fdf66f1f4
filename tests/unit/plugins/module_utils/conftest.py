# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers on loopback for the tests of whatever speaks HTTP, and programs on PATH for those of whatever runs some."""

from __future__ import annotations

import contextlib
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class Request:
    """What a server was asked; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Server:
    """A running server: its base URL, and what it was asked so far."""

    url: str
    requests: list[Request]


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Answer]], Server]]:
    """Start HTTP servers; each answers by a function of the request."""
    with contextlib.ExitStack() as stack:

        def start(answer: Callable[[Request], Answer]) -> Server:
            asked: list[Request] = []

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    asked.append(Request(self.command, self.path, headers, body))
                    status, fields, content = answer(asked[-1])
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(content)), **fields}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

                def do_POST(self) -> None:
                    self.do_GET()

                def log_message(self, *_args: object) -> None:
                    """Keep quiet."""

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return Server(f"http://127.0.0.1:{server.server_address[1]}", asked)

        yield start


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Start TCP servers; each hands every connection to a function, and closes it afterwards. Returns the port."""
    with contextlib.ExitStack() as stack:

        def start(talk: Callable[[socket.socket], None]) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def accept() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        threading.Thread(target=one, args=[listener.accept()[0]], daemon=True).start()

            def one(connection: socket.socket) -> None:
                with connection, contextlib.suppress(OSError):
                    talk(connection)

            threading.Thread(target=accept, daemon=True).start()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return int(listener.getsockname()[1])

        yield start


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put programs first on PATH: C(program(name, script)) writes an executable."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write
