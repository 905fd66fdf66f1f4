# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's background process: serves every part of one scenario until it gets SIGTERM.

Run as C(python -m lab.daemon SCENARIO_FILE DIRECTORY); C(lab.json) in the directory appears when everything answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from lab import api, cloud, cloud_jwt, edge, inspector, pi_host
from lab.lock import take_lock
from lab.pi import ADDRESS, Pi, closed_port, start_pi
from lab.scenario import load
from lab.state import LabState, Scenario

UNRESOLVED = "https://proto-trainer.ngrok.invalid"
KEPT = {"lab.log", "lock", "pid"}


def clear(directory: Path) -> None:
    """Remove what an earlier run left in C(directory)."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in KEPT:
            path.unlink()


async def serve(app: web.Application, stack: contextlib.AsyncExitStack) -> int:
    """Serve C(app) on a free loopback port until the stack closes; give the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    taken = socket.create_server((ADDRESS, 0))
    await web.SockSite(runner, taken).start()
    port: int = taken.getsockname()[1]
    return port


async def start_edge(scenario: Scenario, state: LabState, stack: contextlib.AsyncExitStack) -> tuple[int, str]:
    """Start the edge; give its port and its public base URL."""
    kind = scenario["edge"]["state"]
    if kind == "tls_error":
        server = await stack.enter_async_context(await asyncio.start_server(edge.garbage, ADDRESS, 0))
        port: int = server.sockets[0].getsockname()[1]
        return port, f"https://{ADDRESS}:{port}"
    port = await serve(edge.make_app(scenario, state), stack)
    return port, UNRESOLVED if kind == "dns" else f"http://{ADDRESS}:{port}"


async def start_parts(
    scenario: Scenario, directory: Path, state: LabState, stack: contextlib.AsyncExitStack
) -> tuple[dict[str, int], Pi]:
    """Start every part, the Pi first since the API logs there; give the ports by part, and the Pi."""
    pi = await start_pi(scenario, directory, state)
    stack.push_async_callback(pi.close)
    return {"ssh": pi.port, **await start_web(scenario, state, stack, pi.root / "units.json")}, pi


async def start_api_with_its_unit(
    scenario: Scenario, state: LabState, taken: socket.socket, units: Path, stack: contextlib.AsyncExitStack
) -> None:
    """Serve the API on the port C(taken) as soon as the Pi's unit is active."""
    while not any(unit["ActiveState"] == "active" for unit in json.loads(units.read_text()).values()):
        await asyncio.sleep(0.1)
    runner = web.AppRunner(api.make_app(scenario, state), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    taken.listen()
    await web.SockSite(runner, taken).start()


async def start_web(
    scenario: Scenario, state: LabState, stack: contextlib.AsyncExitStack, units: Path | None = None
) -> dict[str, int]:
    """Start the API, the edge with its inspector, and the cloud; give the ports by part.

    An API elsewhere is left as it is. One that is down comes up with the Pi's unit, of which the file C(units) tells;
    without one it stays down.
    """
    ports: dict[str, Any] = {}
    elsewhere = scenario["api"]["elsewhere"]
    if elsewhere:
        ports["api"] = urlsplit(elsewhere["url"]).port
    elif scenario["api"]["state"] == "down":
        taken = stack.enter_context(closed_port())
        ports["api"] = taken.getsockname()[1]
        if units and units.exists() and scenario["pi"]["unit"]["active"] != "active":
            starting = asyncio.create_task(start_api_with_its_unit(scenario, state, taken, units, stack))
            stack.callback(starting.cancel)
    else:
        ports["api"] = await serve(api.make_app(scenario, state), stack)
    state.urls["api"] = elsewhere["url"] if elsewhere else f"http://{ADDRESS}:{ports['api']}"
    ports["edge"], state.urls["edge"] = await start_edge(scenario, state, stack)
    if scenario["edge"]["inspector"] is None:
        ports["inspector"] = stack.enter_context(closed_port()).getsockname()[1]
    else:
        ports["inspector"] = await serve(inspector.make_app(scenario, state), stack)
    ports["cloud"] = await serve(cloud.make_app(scenario, state), stack)
    state.urls["cloud"] = f"http://{ADDRESS}:{ports['cloud']}"
    return ports


def make_agent_dir(scenario: Scenario, directory: Path) -> Path:
    """Make the agent's source folder with the C(livekit.toml) that lk reads; give its path.

    lk compares C(subdomain) with the first label of the project's URL, which is 127 for http://127.0.0.1.
    """
    path = directory / "livekit-agent"
    path.mkdir()
    agent = (scenario["cloud"]["agent"] or {}).get("id", "CA_gone00000001")
    toml = f'[project]\n  subdomain = "127"\n\n[agent]\n  id = "{agent}"\n'
    (path / "livekit.toml").write_text(toml, encoding="utf-8")
    (path / "requirements.txt").write_text("livekit-agents~=1.3\n", encoding="utf-8")
    commit = (scenario["cloud"]["agent"] or {}).get("source_commit")
    if commit:
        (path / ".git").mkdir()
        (path / ".git" / "HEAD").write_text(f"{commit}\n", encoding="utf-8")
    return path


def variables(scenario: Scenario, directory: Path, state: LabState, ports: dict[str, int]) -> dict[str, Any]:
    """Give the inventory's variables of a run, with the scenario's own on top."""
    home = directory / "control-home"
    home.mkdir()
    attempt = scenario["attempt"]
    at = datetime.datetime.fromtimestamp(attempt["at"], datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "voiceops_livekit_url": state.urls["cloud"],
        "voiceops_livekit_api_key": state.api_key,
        "voiceops_livekit_api_secret": state.api_secret,
        "voiceops_agent_dir": str(make_agent_dir(scenario, directory)),
        "voiceops_agent_name": (scenario["cloud"]["agent"] or {}).get("name", ""),
        "voiceops_lk": os.environ.get("LAB_LK") or str(Path(__file__).with_name("lk")),
        "voiceops_lk_environment": {
            "HOME": str(home),
            "LK_AGENTS_URL": state.urls["cloud"],
            "LAB_LK_VERSION": scenario["lk_version"],
        },
        "voiceops_required_secrets": ["NEXT_APP_URL", "INTERNAL_SERVICE_KEY", "OPENAI_API_KEY"],
        "voiceops_callback_url": state.urls["edge"] + cloud.ROUTE,
        "voiceops_callback_key": state.service_key,
        "voiceops_callback_probe": "validate",
        "voiceops_service_unit": scenario["pi"]["unit"]["name"],
        "voiceops_service_pattern": "internal",
        "voiceops_service_port": ports["api"],
        "voiceops_inspector_url": f"http://{ADDRESS}:{ports['inspector']}",
        "voiceops_attempt_at": at if attempt["given"] else "",
        "voiceops_window": "10m",
        "voiceops_deadline": 20,
        "voiceops_dispatch_probe": "auto",
        "voiceops_dispatch_deadline": 6,
        "voiceops_dispatch_cold_start": 4.5,
        **({"voiceops_client_token": client_token(scenario, state)} if scenario["client"]["token"] else {}),
        **scenario["variables"],
    }


def client_token(scenario: Scenario, state: LabState) -> str:
    """Make the token that the person's browser used, as the app's server would."""
    token = scenario["client"]["token"]
    claims = {
        "iss": state.api_key if token["key"] == "right" else "APIofanotherproject",
        "sub": token["identity"],
        "nbf": int(token["issued_at"]),
        "exp": int(token["issued_at"] + token["valid_for"]),
        "video": {"roomJoin": True, "room": token["room"], "canPublish": token["may_publish"]},
        "roomConfig": {"agents": [{"agentName": name} for name in token["agents"]]},
    }
    return cloud_jwt.sign(claims, state.api_secret if token["secret"] == "right" else state.api_secret[::-1])


async def run(path: Path, directory: Path) -> None:
    """Serve the scenario in the file C(path) until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    now = time.time()
    scenario = load(path, now)
    state = LabState(
        now=now,
        api_key=f"API{secrets.token_hex(6)}",
        api_secret=secrets.token_urlsafe(32),
        service_key=(scenario["api"]["elsewhere"] or {}).get("key") or secrets.token_urlsafe(24),
        directory=directory,
    )
    async with contextlib.AsyncExitStack() as stack:
        ports, pi = await start_parts(scenario, directory, state, stack)
        chosen = variables(scenario, directory, state, ports)
        write_lab(
            directory / "lab.json",
            {
                "pid": os.getpid(),
                "scenario": scenario["name"],
                "ports": ports,
                "variables": chosen,
                "ssh": {
                    "port": pi.port,
                    "user": pi_host.USER,
                    "private_key": str(pi.private_key),
                    "known_hosts": str(pi.known_hosts),
                    "home": str(pi_host.home_of(pi.root)),
                },
                "lk": chosen["voiceops_lk"],
                "agent_dir": chosen["voiceops_agent_dir"],
            },
        )
        stack.callback((directory / "lab.json").unlink, missing_ok=True)
        await stopped.wait()


def write_lab(path: Path, lab: dict[str, Any]) -> None:
    """Write C(lab.json) at once, readable by its owner only."""
    temporary = path.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(lab, file, indent=2)
    temporary.replace(path)


def main(path: Path, directory: Path) -> None:
    """Take the directory's lock, which is held until the process ends, and serve."""
    take_lock(directory)
    clear(directory)
    asyncio.run(run(path, directory))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
