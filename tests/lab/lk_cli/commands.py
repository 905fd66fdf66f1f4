# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of C(lk agent)."""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.lk_cli.client import CallError, Client
from lab.lk_cli.options import Values
from lab.lk_cli.output import LkError, Output, PanicError, ask, cpu, memory, moment, protojson, table
from lab.lk_cli.project import Toml, skip_prompts
from lab.lk_cli.secrets import HIDDEN, given_secrets

_LEFT_OUT = {".git", "node_modules", ".venv", "venv", "livekit.toml"}
_PYTHON = ("requirements.txt", "pyproject.toml", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "setup.py")
_NODE = ("package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml")
_NO_PROJECT = """no agent project detected in the current directory

Make sure you are running this command from an agent project directory
containing one of: pyproject.toml, requirements.txt, uv.lock, package.json, or lock files.

To get started, see: https://docs.livekit.io/agents/quickstart"""


@dataclass
class Run:
    """What a command works with."""

    values: Values
    directory: Path
    toml: Toml
    client: Client
    out: Output
    version: str

    def call(self, method: str, failure: str, **message: Any) -> dict[str, Any]:
        """Call the service; an error is told as C(failure) and the server's message."""
        try:
            return self.client.call(method, message)
        except CallError as error:
            raise LkError(f"{failure}: {error.msg}") from error

    def agents(self, agent_id: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("ListAgents", "unable to list agents", agent_id=agent_id)["agents"]
        return found

    def agent_id(self, never: str = "") -> str:
        """Find out which agent is meant, and say so; C(never) is the version that rules an agent out."""
        agent_id = self.values.get("id") or ""
        if not agent_id and self.toml.find(self.directory):
            if self.toml.agent_id is None:
                raise LkError(f"no agent config found in [{self.toml.name}]")
            agent_id = self.toml.agent_id
        elif not agent_id:
            agent_id = self._choose(never)
        if not agent_id:
            raise LkError(f"agent ID or [{self.toml.name}] required")
        self.out.status(f"Using agent [{agent_id}]")
        return str(agent_id)

    def _choose(self, never: str) -> str:
        agents = self.out.wait("No agent ID provided, selecting from available agents...", self.agents)
        if not agents:
            raise LkError("no agents found")
        candidates = [str(agent["agent_id"]) for agent in agents if not never or agent["version"] != never]
        if not self.out.new or not skip_prompts(self.values):
            ask("Select an agent")
        elif len(candidates) != 1:
            raise LkError("non-interactive mode: set --id when multiple agents exist")
        return candidates[0]


def status(run: Run) -> None:
    """Show the agent's deployments, one a line."""
    agents = run.agents(run.agent_id())
    if not agents:
        raise LkError("no agents found")
    if run.values.get("json"):
        run.out.result(protojson({"agents": agents}))
        return
    cells = _new_status if run.out.new else _old_status
    rows = [cells(agent, deployment) for agent in agents for deployment in agent["agent_deployments"]]
    old = ["ID", "Version", "Region", "Status", "CPU", "Mem", "Replicas", "Deployed At"]
    new = ["ID", "Name", *old[1:3], "Deployment", *old[3:], "Last Observed"]
    run.out.result(table(new if run.out.new else old, rows))


def _old_status(agent: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    load = [f"{cpu(entry['cur_cpu'])} / {entry['cpu_limit']}", f"{memory(entry['cur_mem'])} / {_limit(entry)}"]
    deployed_at = moment(agent.get("deployed_at"), False)
    return [agent["agent_id"], agent["version"], entry["region"], entry["status"], *load, _replicas(entry), deployed_at]


def _new_status(agent: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    scraped = entry.get("last_scraped_at")
    name, cur_cpu, cur_mem = (
        (entry["agent_name"], cpu(entry["cur_cpu"]), memory(entry["cur_mem"])) if scraped else ("--", "-", "-")
    )
    return [
        agent["agent_id"],
        name,
        entry["version"] or agent["version"],
        entry["region"],
        (entry["deployment"] or "production") if entry["deployment_enabled"] else "--",
        entry["status"],
        f"{cur_cpu} / {entry['cpu_limit']}",
        f"{cur_mem} / {_limit(entry)}",
        _replicas(entry),
        moment(agent.get("deployed_at"), True),
        moment(scraped, True) if scraped else "--",
    ]


def _limit(entry: dict[str, Any]) -> str:
    return memory(entry["mem_limit"], "GB")


def _replicas(entry: dict[str, Any]) -> str:
    return f"{entry['replicas']} / {entry['min_replicas']} / {entry['max_replicas']}"


def list_agents(run: Run) -> None:
    """Show the project's agents, one a line."""
    ids = [agent_id for agent_id in run.values.get("id", ()) if agent_id]
    agents = [agent for agent_id in ids for agent in run.agents(agent_id)] if "id" in run.values else run.agents()
    agents.sort(key=lambda agent: moment(agent.get("deployed_at"), False), reverse=True)
    if run.values.get("json"):
        run.out.result(protojson({"agents": agents}))
    elif not agents:
        run.out.status("No agents found")
    elif run.out.new:
        headers = ["ID", "Dispatch Name", "Regions", "Deployments", "Version", "Deployed At"]
        run.out.result(table(headers, [_new_agent(agent) for agent in agents]))
    else:
        rows = [
            [
                agent["agent_id"],
                ",".join(entry["region"] for entry in agent["agent_deployments"]),
                agent["version"],
                moment(agent.get("deployed_at"), False),
            ]
            for agent in agents
        ]
        run.out.result(table(["ID", "Regions", "Version", "Deployed At"], rows))


def _new_agent(agent: dict[str, Any]) -> list[str]:
    deployments = {entry["deployment"] or "production" for entry in agent["agent_deployments"]}
    return [
        agent["agent_id"],
        agent["agent_name"],
        ",".join({entry["region"] for entry in agent["agent_deployments"]}),
        ",".join(sorted(deployments, key=lambda name: (name != "production", name))),
        agent["version"],
        moment(agent.get("deployed_at"), True),
    ]


def versions(run: Run) -> None:
    """Show the agent's versions, newest first."""
    agent_id = run.agent_id()
    found = run.call("ListAgentVersions", "unable to list agent versions", agent_id=agent_id)["versions"]
    found.sort(key=lambda version: version["created_at"], reverse=True)
    if run.values.get("json"):
        run.out.result(protojson({"versions": found}))
    elif run.out.new:
        headers = ["Version", "Production", "Draining", "Active", "Status", "Attributes", "Created At", "Deployed At"]
        run.out.result(table(headers, [_new_version(version) for version in found]))
    else:
        rows = [
            [item["version"], str(item["current"]).lower(), item["status"], *_times(item, "deployed_at", False)]
            for item in found
        ]
        headers = ["Version", "Current", "Status", "Created At", "Deployed At"]
        if run.version == "2.6.2":
            headers, rows = [*headers[:2], *headers[3:]], [[*row[:2], *row[3:]] for row in rows]
        run.out.result(table(headers, rows))


def _new_version(version: dict[str, Any]) -> list[str]:
    attributes = json.dumps(version["attributes"], sort_keys=True, separators=(",", ":"))
    return [
        version["version"],
        *("✓" if version[name] else "--" for name in ("current", "draining", "active")),
        version["status"],
        attributes if version["attributes"] else "--",
        *_times(version, "deployed_at", True),
    ]


def secrets(run: Run) -> None:
    """Show the names of the agent's secrets."""
    found = run.call("ListAgentSecrets", "unable to list agent secrets", agent_id=run.agent_id())["secrets"]
    visible = [secret for secret in found if secret["name"] not in HIDDEN]
    if run.values.get("json"):
        run.out.result(protojson({"secrets": visible}))
        return
    rows = [[secret["name"], *_times(secret, "updated_at", run.out.new)] for secret in visible]
    run.out.result(table(["Name", "Created At", "Updated At"], rows))


def _times(item: dict[str, Any], second: str, new: bool) -> list[str]:
    return [moment(item.get("created_at"), new), moment(item.get(second), new)]


def update_secrets(run: Run) -> None:
    """Merge or replace the agent's secrets."""
    agent_id = run.agent_id()
    given = given_secrets(run.values, True, run.out)
    overwrite = bool(run.values.get("overwrite"))
    if overwrite and not (run.out.new and skip_prompts(run.values)):
        title = f"This will remove all existing secrets. Are you sure you want to proceed [{agent_id}]?"
        if not ask(title):
            return
    if run.version == "2.6.2" and not overwrite:
        # 2.5.2 to 2.6.2 do nothing here, and do not say so.
        return
    message = {"agent_id": agent_id, "secrets": given, "overwrite": overwrite}
    answer = run.call("UpdateAgentSecrets", "unable to update agent secrets", **message)
    if not answer["success"]:
        raise LkError(f"failed to update agent secrets: {answer['message']}")
    run.out.status("Updated agent secrets")


def restart(run: Run) -> None:
    """Restart the agent; errors are told as they come."""
    agent_id = run.agent_id()
    answer = run.client.call("RestartAgent", {"agent_id": agent_id})
    if not answer["success"]:
        raise LkError(f"failed to restart agent: {answer['message']}")
    run.out.status(f"Restarted agent [{agent_id}]")


def rollback(run: Run) -> None:
    """Put an earlier version into production."""
    agent_id, version = run.agent_id(), run.values["version"]
    answer = run.out.wait(
        f"Rolling back agent [{agent_id}]",
        lambda: run.call("RollbackAgent", "unable to rollback agent", agent_id=agent_id, version=version),
    )
    if not answer["success"]:
        raise LkError(f"failed to rollback agent {answer['message']}")
    run.out.status(f"Rolled back agent [{agent_id}] to version [{version}]")


def logs(run: Run) -> None:
    """Follow a log of the agent until the server closes it."""
    agent_id = run.agent_id("--" if run.out.new else "---")
    agents = run.client.call("ListAgents", {"agent_id": agent_id})["agents"]
    if not agents:
        raise LkError("no agent deployments found")
    if not agents[0]["agent_deployments"]:
        raise PanicError("runtime error: index out of range [0] with length 0")
    region = agents[0]["agent_deployments"][0]["server_region"]
    log_type, deployment = run.values.get("log-type", ""), run.values.get("deployment", "")
    for line in run.client.logs(agent_id, log_type, deployment, region):
        print(line, flush=True)


def deploy(run: Run) -> None:
    """Upload the working directory and have it built and put into production."""
    agent_id = run.agent_id()
    given = given_secrets(run.values, False, run.out)
    language = _language(run.directory)
    if not language:
        raise LkError(_NO_PROJECT if run.out.new else _unknown_language())
    run.out.status(f"Detected agent language [{language}]")
    _check_sdk(run, language)
    deployment = run.values.get("deployment", "")
    if deployment:
        run.out.status(f"Using deployment [{deployment}]")
    try:
        _deploy(run, agent_id, deployment, given)
    except CallError as error:
        raise LkError(f"unable to deploy agent: {error.msg}") from error
    except LkError as error:
        raise LkError(f"unable to deploy agent: {error}") from error
    run.out.status("Deployed agent")
    if run.version == "2.13.0" and ask("Agent deploying. Would you like to view logs?"):
        logs(run)


def _unknown_language() -> str:
    return (
        "unable to determine agent language: expected package.json, requirements.txt, pyproject.toml, or lock files,"
        " please make sure you are inside a directory containing an agent written in a supported language"
    )


def _check_sdk(run: Run, language: str) -> None:
    """Fetch the settings for clients and look for LiveKit's SDK among the dependencies."""

    def load() -> dict[str, Any]:
        return run.call("GetClientSettings", "unable to get client settings")

    quiet = bool(run.values.get("silent")) and not run.out.new
    settings = load() if quiet else run.out.wait("Loading client settings...", load)
    known = {param["name"] for param in settings["params"]}
    package, files = ("@livekit/agents", _NODE) if language == "node" else ("livekit-agents", _PYTHON)
    texts = ((run.directory / name).read_text(encoding="utf-8") for name in files if (run.directory / name).exists())
    problem = ""
    if not {"python-min-sdk-version", "node-min-sdk-version"} <= known:
        problem = "unable to fetch client settings from server, please try again later"
    elif not any(package in text for text in texts):
        problem = f"package {package} not found in any project files. Are you sure this is an agent?"
    if problem and not run.values.get("skip-sdk-check"):
        raise LkError(problem)
    if problem:
        run.out.status(f"Error checking SDK version: {problem}, skipping...")


def _deploy(run: Run, agent_id: str, deployment: str, given: list[dict[str, Any]]) -> None:
    method, upload = ("DeployAgentV2", "presigned_req") if run.out.new else ("DeployAgent", "presigned_post_request")
    message = {"agent_id": agent_id, "secrets": given, **({"deployment": deployment} if deployment else {})}
    answer = run.client.call(method, message)
    if not answer["success"]:
        raise LkError(f"failed to deploy agent: {answer['message']}")
    run.client.upload(answer[upload], _archive(run.directory))
    numbers: dict[str, int] = {}
    for step in run.client.build(agent_id, deployment):
        for vertex in step.get("vertexes", ()):
            number = numbers.setdefault(vertex["digest"], len(numbers) + 1)
            done = f"#{number} DONE 0.0s\n" if "completed" in vertex else ""
            print(f"#{number} {vertex['name']}\n{done}", file=sys.stderr, end="\n" if done else "")
        for log in step.get("logs", ()):
            text = base64.b64decode(log["data"]).decode(errors="replace").rstrip("\n")
            print(f"#{numbers[log['vertex']]} 0.1 {text}", file=sys.stderr)


def _language(directory: Path) -> str:
    """Name the kind of project, C('') for none."""
    kinds = {"package.json": "node", "uv.lock": "python.uv", "poetry.lock": "python.pip", "Pipfile.lock": "python.pip"}
    for name, kind in {**kinds, "requirements.txt": "python.pip"}.items():
        if (directory / name).exists():
            return kind
    project = directory / "pyproject.toml"
    if not project.exists():
        return ""
    try:
        tools = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    except ValueError:
        tools = {}
    return "python.uv" if "uv" in tools and not {"poetry", "pdm", "hatch"} & set(tools) else "python.pip"


def _archive(directory: Path) -> bytes:
    """Pack the directory without what never belongs into an image."""

    def chosen(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(entry.name).name
        return None if name in _LEFT_OUT or name.startswith(".env") else entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(directory, arcname=".", filter=chosen)
    return buffer.getvalue()


ACTIONS: dict[str, Callable[[Run], None]] = {
    "deploy": deploy,
    "list": list_agents,
    "logs": logs,
    "restart": restart,
    "rollback": rollback,
    "secrets": secrets,
    "status": status,
    "update-secrets": update_secrets,
    "versions": versions,
}
