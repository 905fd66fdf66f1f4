# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which project and which C(livekit.toml) a command of C(lk) works with."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.lk_cli.options import Values
from lab.lk_cli.output import SKIPS_PROMPTS_SINCE, LkError, Output, ask

_SUBDOMAIN = re.compile(r"^(?:https?|wss?)://([^.]+)\.")
_ENVIRONMENT = {"url": "LIVEKIT_URL", "api-key": "LIVEKIT_API_KEY", "api-secret": "LIVEKIT_API_SECRET"}


@dataclass(frozen=True)
class Project:
    """Credentials; C(name) is empty when they come from options or the environment."""

    name: str
    url: str
    api_key: str
    api_secret: str


class Toml:
    """The C(livekit.toml) of the run: the first one found stays, wherever it was looked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.content: dict[str, Any] | None = None

    def find(self, directory: Path) -> bool:
        """Whether there is a file; raises C(LkError) for one that is no TOML."""
        path = directory / self.name.lstrip("/")
        if self.content is None and path.exists():
            try:
                self.content = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise LkError(f"toml: {error}") from error
        return self.content is not None

    @property
    def subdomain(self) -> str:
        content = self.content or {}
        return str(
            content["project"].get("subdomain", "") if "project" in content else content.get("project_subdomain", "")
        )

    @property
    def agent_id(self) -> str | None:
        """None when the file has no agent; a file of the old form has one without an id."""
        content = self.content or {}
        agent = content.get("agent", None if "project" in content else {})
        return None if agent is None else str(agent.get("id", ""))


def skip_prompts(values: Values) -> bool:
    """Whether a lk that knows C(--yes) takes every confirmation as given."""
    return bool(values.get("yes")) or not sys.stdin.isatty()


def resolve(values: Values, toml: Toml, out: Output) -> Project:
    """Find the project's credentials and say where they come from; raises C(LkError) if there are none."""
    configured, default = _configured()
    try:
        project, notices = _resolve(values, toml, configured, default, out)
    except _NoProjectError:
        project, notices = _select(values, configured, out)
    for notice in notices:
        out.status(notice)
    return project


def check_subdomain(project: Project, toml: Toml) -> None:
    """Raise C(LkError) unless the project's URL begins with the subdomain that C(livekit.toml) names."""
    match = _SUBDOMAIN.match(project.url)
    if match is None:
        raise LkError(f"invalid project URL [{project.url}]")
    if match[1] != toml.subdomain:
        raise LkError(f"project does not match agent subdomain [{toml.subdomain}]")


class _NoProjectError(Exception):
    """Nothing names a project."""


def _resolve(
    values: Values, toml: Toml, configured: list[Project], default: str, out: Output
) -> tuple[Project, list[str]]:
    """Give the project and the lines that tell of it; raises C(_NoProjectError)."""
    if values.get("dev") and any(_value(values, name) for name in ("project", "subdomain", "api-key", "api-secret")):
        raise _NoProjectError
    if values.get("project"):
        return _named(item for item in configured if item.name == values["project"])
    if values.get("subdomain"):
        project, notices = _by_subdomain(configured, values["subdomain"])
        # Up to 2.16.4 it is said where the project is looked up, and again where it is used.
        return project, notices if out.new else notices * 2
    url, key, secret = (_value(values, name) for name in _ENVIRONMENT)
    url = url or "http://localhost:7880"
    if key and secret:
        given = {"url": url, "api-key": key, "api-secret": secret}
        used = [name for name, variable in _ENVIRONMENT.items() if os.environ.get(variable) == given[name]]
        return Project("", url, key, secret), [f"Using {', '.join(used)} from environment"] if used else []
    if values.get("dev"):
        return Project("", url, "devkey", "secret"), ["Using dev credentials"]
    if _readable(toml):
        return _by_subdomain(configured, toml.subdomain)
    project, notices = _named(item for item in configured if default and item.name == default)
    if out.new:
        return project, notices
    quiet = values.get("silent") or (out.version >= SKIPS_PROMPTS_SINCE and skip_prompts(values))
    return project, [] if quiet else [f"Using default project [{project.name}]"]


def _readable(toml: Toml) -> bool:
    try:
        return toml.find(Path())
    except LkError:
        return False


def _select(values: Values, configured: list[Project], out: Output) -> tuple[Project, list[str]]:
    """Let the user choose; from 2.14 on, without a terminal, take the only project, whatever C(--project) said."""
    if out.version < SKIPS_PROMPTS_SINCE:
        try:
            ask(
                "Select a project to use for this action"
                if configured
                else "No local projects found. Authenticate one?"
            )
        except LkError as error:
            raise LkError(f"no project selected: {error}" if out.version >= (2, 6, 3) else str(error)) from error
        raise LkError("no project selected")
    if not configured:
        raise LkError("no projects configured; run `lk cloud auth` in an interactive terminal or set --project")
    if len(configured) > 1:
        raise LkError("multiple projects configured; set --project in non-interactive mode")
    return configured[0], [f"Using project [{configured[0].name}]"]


def _value(values: Values, name: str) -> str:
    return str(values.get(name) or os.environ.get(_ENVIRONMENT.get(name, ""), ""))


def _named(found: Iterable[Project]) -> tuple[Project, list[str]]:
    project = next(iter(found), None)
    if project is None:
        raise _NoProjectError
    return project, [f"Using project [{project.name}]"]


def _by_subdomain(configured: list[Project], subdomain: str) -> tuple[Project, list[str]]:
    matches = ((item, _SUBDOMAIN.match(item.url)) for item in configured)
    return _named(item for item, match in matches if subdomain and match and match[1] == subdomain)


def _configured() -> tuple[list[Project], str]:
    """Read the projects and the default's name from C(~/.livekit/cli-config.yaml), in the form that C(lk) writes."""
    if not os.environ.get("HOME"):
        raise LkError("$HOME is not defined")
    path = Path(os.environ["HOME"], ".livekit", "cli-config.yaml")
    if not path.exists():
        return [], ""
    if path.stat().st_mode & 0o077:
        print(f"WARNING: config file {path} should have permissions 600", file=sys.stderr)
    default, projects = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(\s*)(- +)?(\w+): *(.*?)\s*", line)
        if match is None:
            continue
        value = match[4].strip("\"'")
        if match[2]:
            projects.append({match[3]: value})
        elif match[1] and projects:
            projects[-1][match[3]] = value
        elif match[3] == "default_project":
            default = value
    return [
        Project(*(item.get(key, "") for key in ("name", "url", "api_key", "api_secret"))) for item in projects
    ], default
