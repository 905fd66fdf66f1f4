# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's host tells beside its unit and its log."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import service_host

AMPLE_S = 20.0


def exec_start(*commands: str) -> str:
    """Write ExecStart as C(systemctl show) does, one line for each command."""
    shown = "{{ path=/usr/bin/npm ; argv[]={} ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) }}"
    return "\n".join(shown.format(command) for command in commands)


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("/usr/bin/npm start -- -p 3003", 3003),
        ("/usr/bin/npm start -- --port 3003", 3003),
        ("node_modules/.bin/next start --port=3003", 3003),
        ("node_modules/.bin/next start -p3003 -H 0.0.0.0", 3003),
        ("next start -p 3003 -p 3003", 3003),
        ("next start -p 3003 -p 3004", None),
        ("mkdir -p /run/app", None),
        ("next start -p 0", None),
        ("next start -p 65536", None),
        ("next start -p", None),
        ("sh -c 'next start -p 3003", 3003),
        ("next start --inspect 9229", None),
        ("", None),
    ],
)
def test_the_port_that_a_command_names(command: str, port: int | None) -> None:
    assert service_host.port_of_command(exec_start(command)) == port


def test_commands_of_one_unit_may_not_contradict_each_other() -> None:
    assert service_host.port_of_command(exec_start("next start -p 3003", "next start -p 3004")) is None
    assert service_host.port_of_command("garbage -p 3003") is None


@pytest.mark.parametrize(
    ("given", "unit", "port"),
    [
        (3003, {"ExecStart": exec_start("next start -p 3004")}, 3003),
        (None, {"ExecStart": exec_start("next start -p 3004"), "Environment": "PORT=3005"}, 3004),
        (None, {"Environment": 'NODE_ENV=production "MOTTO=a b" PORT=3005'}, 3005),
        (None, {"Environment": "PORT=none"}, None),
        (0, {}, None),
        (None, {}, None),
    ],
)
def test_what_names_the_port(given: int | None, unit: dict[str, str], port: int | None) -> None:
    told = service_host.port_signals(given, unit, "/", time.monotonic() - 1)
    assert told == {"port": port, "port_open": None, "port_answers": None}


def test_a_port_that_accepts_connections(listen: Callable[[Callable[[Any], None]], int]) -> None:
    port = listen(lambda connection: None)
    told = service_host.port_signals(port, {}, "/", time.monotonic() + AMPLE_S)
    # It hangs up, which is no answer, and no silence either.
    assert told == {"port": port, "port_open": True, "port_answers": None}


def test_a_server_that_answers(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (405, {}, b""))
    port = int(server.url.rsplit(":", maxsplit=1)[-1])
    told = service_host.port_signals(port, {}, "/api/internal/sessions", time.monotonic() + AMPLE_S)
    assert told == {"port": port, "port_open": True, "port_answers": True}
    assert [(asked.method, asked.path) for asked in server.requests] == [("GET", "/api/internal/sessions")]


def test_a_server_that_accepts_and_says_nothing(listen: Callable[[Callable[[Any], None]], int]) -> None:
    port = listen(lambda connection: connection.recv(65536) and connection.recv(1))
    assert service_host.answers(port, "/", time.monotonic() + AMPLE_S) is False
    assert service_host.answers(port, "/", time.monotonic() + 0.2) is None


def test_a_port_on_which_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert service_host.is_open(taken.getsockname()[1], time.monotonic() + AMPLE_S) is False
