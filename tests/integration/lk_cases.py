# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations in which real ones and the stand-in C(lk) are compared: every command that the collection runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from integration.cloud_running import KEY, SECRET
from integration.lk_running import AGENT, ASLEEP


@dataclass(frozen=True)
class Case:
    """A situation: the cloud's C(agent), the rest of its C(spec), the files beside C(lk) (None: removed), variables.

    C(drop) are variables that are not set, C(changed) those that are other than usual.

    With C(answer), a status and a text, there is no cloud but a server that gives this answer to everything.
    """

    agent: dict[str, Any] | None = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    changed: dict[str, str] = field(default_factory=dict)
    answer: tuple[int, str] | None = None


def fails(method: str, code: str = "internal", status: int = 500) -> Case:
    return Case(spec={"faults": {method: {"status": status, "code": code, "msg": "sorry"}}})


def toml(text: str) -> dict[str, str | None]:
    return {"livekit.toml": text}


def projects(*names: str, default: str = "") -> dict[str, str | None]:
    """Give the configuration that C(lk cloud auth) leaves; a project's subdomain is its name."""
    listed = "".join(
        f"    - name: {name}\n      project_id: p_1\n      url: wss://{name}.livekit.cloud\n"
        f"      api_key: {KEY}\n      api_secret: {SECRET}\n"
        for name in names
    )
    text = f"default_project: {default}\nprojects:\n{listed}device_name: here\n"
    return {"../home/.livekit/cli-config.yaml": text}


CREDENTIALS = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
RICH: dict[str, Any] = {
    "name": "my-agent",
    "deployed_at": "-60h35m30s",
    "versions": [
        {"version": "old", "created_at": "-2d", "deployed_at": "-2d", "attributes": {"git_commit": "29c2", "a": "<b>"}},
        {"version": "new", "current": False, "created_at": "-1d", "deployed_at": None, "status": "Build Failed"},
        {"version": "drained", "current": False, "created_at": "-3d", "deployed_at": "-3d", "draining": True},
    ],
    "secrets": [{"name": name, "created_at": "-2d", "updated_at": "-1d"} for name in ("LIVEKIT_URL", "OPENAI_API_KEY")],
    "deployments": [
        {"region": "us-east", "events": [{"type": "AGENT_EVENT_TYPE_APPLICATION_CRASHED", "count": 3, "at": "-1h"}]},
        {"region": "eu-central", "status": "Sleeping", "replicas": 0, "deployment": "next"},
    ],
}
READS = ("status", "list", "versions", "secrets")
CHANGES = ("restart", "rollback --version drained", "update-secrets --secrets A=b")
SITUATIONS: dict[str, Case] = {
    "all is well": Case(RICH),
    "the server fails": fails("*"),
    "the server has had enough": fails("*", "resource_exhausted", 429),
    "the key is refused": Case(spec={"credentials": "refused"}),
    "the secret is wrong": Case(changed={"LIVEKIT_API_SECRET": "another"}),
    "nobody listens": Case(changed={"LK_AGENTS_URL": "http://127.0.0.1:1"}),
    "a page of a gateway's": Case(answer=(502, "<html>Bad Gateway</html>")),
    "a gateway has had enough": Case(answer=(429, "slow down")),
    "a gateway refuses": Case(answer=(403, '{"error": "no"}')),
    "no such agent": Case(None),
}
PROJECTS: dict[str, Case] = {
    "another project's folder": Case(files=toml('[project]\nsubdomain = "other"\n[agent]\nid = "CA_1"\n')),
    "a URL without a dot": Case(changed={"LIVEKIT_URL": "http://localhost:1"}),
    "a file that is no TOML": Case(files=toml("[project\n")),
    "a file of the old form": Case(files=toml('project_subdomain = "my-project"\n')),
    "a file without an agent": Case(files=toml('[project]\nsubdomain = "my-project"\n')),
    "no file": Case(files={"livekit.toml": None}),
    "no file, and no agent": Case(None, files={"livekit.toml": None}),
    "no credentials": Case(drop=CREDENTIALS),
    "no credentials, one project": Case(drop=CREDENTIALS, files=projects("my-project")),
    "no credentials, a default": Case(
        drop=CREDENTIALS, files={**projects("a", "my-project", default="my-project"), "livekit.toml": None}
    ),
    "no credentials, several projects": Case(drop=CREDENTIALS, files=projects("one", "two")),
    "credentials in part": Case(drop=("LIVEKIT_API_SECRET",)),
    "credentials without a URL": Case(drop=("LIVEKIT_URL",)),
    "no home": Case(drop=("HOME",)),
}
OPTIONS = (
    "--version",
    "agent status --id CA_other",
    "agent status --no-such",
    "agent status --id",
    "agent status --id CA_other --json --yes",
    "agent status --quiet",
    "agent secrets --silent",
    "agent no-such",
    "agent list --id CA_other",
    f"agent list --id {AGENT} --id CA_other",
    "agent rollback",
    "agent rollback --version none",
    "agent rollback --version latest --yes",
    "agent restart --yes",
    "agent update-secrets",
    "agent update-secrets --secrets LIVEKIT_URL=x",
    "agent update-secrets --secrets no",
    "agent update-secrets --secrets a!b=c",
    "agent update-secrets --overwrite --secrets A=b",
    "agent update-secrets --overwrite --secrets A=b --yes",
    "agent update-secrets --secrets-file one.env",
    "agent update-secrets --secrets-file empty.env",
    "agent update-secrets --secrets-file empty.env --ignore-empty-secrets",
    "agent update-secrets --secrets-file missing.env",
    "agent update-secrets --secret-mount one.env",
    "agent update-secrets --secret-mount missing.env",
)
FILES: dict[str, str | None] = {"one.env": "A=1\nB='two # 2'\nLIVEKIT_URL=x\n", "empty.env": "A=1\nEMPTY=\n"}
LOGS: dict[str, Case] = {
    "asleep": Case(ASLEEP),
    "lines": Case({"logs": ["one", "ERROR: two", "", "\x1b[31mthree\r"]}),
    "a line too long": Case({"logs": ["short", "x" * 70000]}),
    "no deployments": Case({"deployments": []}),
    "the log fails": fails("logs"),
}
SOURCE: dict[str, str | None] = {"requirements.txt": "livekit-agents~=1.3\n", "agent.py": "print()\n"}
SOURCES: dict[str, dict[str, str | None]] = {
    "nothing": {},
    "another program": {"requirements.txt": "flask\n"},
    "another program of Node": {"package.json": "{}"},
    "an agent of Node": {"package.json": '{"dependencies": {"@livekit/agents": "^1.0.0"}}'},
    "an agent of uv": {
        "pyproject.toml": '[project]\ndependencies = ["livekit-agents>=1.3"]\n',
        "uv.lock": "version = 1\n",
    },
}
DEPLOYS: dict[str, Case] = {
    **SITUATIONS,
    **PROJECTS,
    "the build fails": Case({"next": "build-fails"}),
    "the build's server fails": fails("build"),
    "no settings": fails("GetClientSettings"),
    "not allowed": Case(
        spec={
            "faults": {
                method: {"status": 403, "code": "permission_denied", "msg": "sorry"}
                for method in ("DeployAgent", "DeployAgentV2")
            }
        }
    ),
}
NOTHING_THERE = Case({"deployments": [], "versions": [], "secrets": []})
CASES: dict[str, tuple[str, Case]] = {
    f"{command}: {name}": (command, case)
    for commands, cases in (
        ([f"agent {words}" for words in (*READS, *CHANGES)], SITUATIONS),
        (["agent logs"], {name: case for name, case in SITUATIONS.items() if name != "all is well"} | LOGS),
        (["agent logs --log-type build", "agent tail"], {"lines": Case({"logs": ["one"]})}),
        ([f"agent {words} --json" for words in READS], {"all is well": Case(RICH)}),
        (
            ["agent status --json", "agent list --json"],
            {name: SITUATIONS[name] for name in ("no such agent", "the server fails")},
        ),
        ([f"agent {words}" for words in READS], {"nothing there": NOTHING_THERE}),
        (["agent secrets", "agent list"], PROJECTS),
        (OPTIONS, {"options": Case(RICH, files=FILES)}),
        (["agent deploy"], {name: replace(case, files={**SOURCE, **case.files}) for name, case in DEPLOYS.items()}),
        (["agent deploy"], {name: Case(files=files) for name, files in SOURCES.items()}),
        (
            [
                "agent deploy --yes",
                "agent deploy --silent",
                f"agent deploy --id {AGENT}",
                "agent deploy --secrets-file one.env",
            ],
            {"options": Case(files={**SOURCE, **FILES})},
        ),
    )
    for command in commands
    for name, case in cases.items()
}
