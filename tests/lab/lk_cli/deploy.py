# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(lk agent deploy)."""

from __future__ import annotations

import base64
import io
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

from lab.lk_cli.client import CallError
from lab.lk_cli.output import LkError, Version, ask
from lab.lk_cli.run import Run
from lab.lk_cli.secrets import given_secrets

BY_THE_SDK_SINCE = (2, 12, 1)
_LEFT_OUT = {".git", "node_modules", ".venv", "venv", "livekit.toml"}
_PYTHON = ("requirements.txt", "pyproject.toml", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "setup.py")
_NODE = ("package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml")
_NO_PROJECT = """no agent project detected in the current directory

Make sure you are running this command from an agent project directory
containing one of: pyproject.toml, requirements.txt, uv.lock, package.json, or lock files.

To get started, see: https://docs.livekit.io/agents/quickstart"""


def deploy(run: Run) -> None:
    """Upload the working directory and have it built and put into production."""
    agent_id = run.agent_id()
    given = given_secrets(run.values, False, run.out)
    language = _language(run.directory)
    if not language:
        raise LkError(_NO_PROJECT if run.out.version >= (2, 16, 3) else _unknown_language(run.out.version))
    if run.out.version >= (2, 13):
        run.out.status(f"Detected agent language [{language}]")
    _check_sdk(run, language)
    deployment = run.values.get("deployment", "")
    if deployment:
        run.out.status(f"Using deployment [{deployment}]")
    if run.out.version < BY_THE_SDK_SINCE:
        _deploy_by_itself(run, agent_id, given)
    else:
        try:
            _deploy(run, agent_id, deployment, given)
        except CallError as error:
            raise LkError(f"unable to deploy agent: {error.msg}") from error
        except LkError as error:
            raise LkError(f"unable to deploy agent: {error}") from error
    run.out.status("Deployed agent")
    if run.out.version == (2, 13, 0):
        run.out.status("Build completed - You can view build logs later with `lk agent logs --log-type=build`")
        if not run.values.get("silent") and ask("Agent deploying. Would you like to view logs?"):
            raise LkError("the stand-in shows no logs after a deploy")


def _unknown_language(version: Version) -> str:
    if version < (2, 13):
        return (
            "unable to determine project type: project type could not be identified; expected package.json, "
            "requirements.txt, pyproject.toml, or lock files, please use a supported project type, or create your own "
            "Dockerfile in the current directory"
        )
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
        problem = f"package {package} not found in any project files"
        problem += ". Are you sure this is an agent?" if run.out.version >= (2, 13) else ""
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
    _build(run, agent_id, deployment)


def _deploy_by_itself(run: Run, agent_id: str, given: list[dict[str, Any]]) -> None:
    """Deploy as before 2.12.1: errors are told as they come, and what is sent is shown on stdout, here in outline."""
    answer = run.call("DeployAgent", "unable to deploy agent", agent_id=agent_id, secrets=given)
    if not answer["success"]:
        raise LkError(f"failed to deploy agent: {answer['message']}")
    print(f"\rCompressing files 100% [{'=' * 30}] (1 kB/s)", end="")
    archive = _archive(run.directory)
    print(f"\rUploading 100% [{'=' * 30}] (1 kB/s)")
    run.client.put(answer["presigned_url"], archive)
    if run.out.version < (2, 6, 2):
        run.out.status(f"Updated agent [{agent_id}]")
    _build(run, agent_id, "")


def _build(run: Run, agent_id: str, deployment: str) -> None:
    """Have the source built, and tell of it as BuildKit does without a terminal."""
    numbers: dict[str, int] = {}
    for step in run.client.build(agent_id, deployment):
        for vertex in step.get("vertexes", ()):
            number = numbers.setdefault(vertex["digest"], len(numbers) + 1)
            done = f"#{number} DONE 0.0s\n" if "completed" in vertex else ""
            print(f"{'' if number == 1 else chr(10)}#{number} {vertex['name']}\n{done}", file=sys.stderr, end="")
        for log in step.get("logs", ()):
            text = base64.b64decode(log["data"]).decode(errors="replace").rstrip("\n")
            print(f"#{numbers[log['vertex']]} 0.000 {text}", file=sys.stderr)


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
