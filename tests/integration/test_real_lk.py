# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in C(lk) held to the real ones: what it prints, where, and its exit code.

Not compared are the pages of help, of which the stand-in's are short, the traces of a panic, log lines about quantities
that are none, how BuildKit numbers what it prints, in what order regions are told, and moments of now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from integration.cloud_running import KEY, SECRET, with_answer, with_cloud
from integration.lk_running import (
    AGENT,
    ASLEEP,
    SPINNER,
    STAND_IN,
    Done,
    Lk,
    each_real_lk,
    environment,
    finish,
    make_project,
    start,
)


@dataclass(frozen=True)
class Case:
    """A situation: the cloud's C(agent), the rest of its C(spec), the files beside C(lk) (None: removed), variables.

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
    "--quiet agent status",
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
FILES = {"one.env": "A=1\nB='two # 2'\nLIVEKIT_URL=x\n", "empty.env": "A=1\nEMPTY=\n"}
LOGS: dict[str, tuple[str, Case]] = {
    "agent logs: asleep": ("agent logs", Case(ASLEEP)),
    "agent logs: lines": ("agent logs", Case({"logs": ["one", "ERROR: two", "", "\x1b[31mthree\r"]}, {})),
    "agent logs: a line too long": ("agent logs", Case({"logs": ["short", "x" * 70000]})),
    "agent logs: no deployments": ("agent logs", Case({"deployments": []})),
    "agent logs: fails": ("agent logs", fails("logs")),
    "agent logs: of the build": ("agent logs --log-type build", Case()),
    "agent tail": ("agent tail", Case({"logs": ["one"]})),
}
SOURCE: dict[str, str | None] = {"requirements.txt": "livekit-agents~=1.3\n", "agent.py": "print()\n"}
DEPLOYS: dict[str, tuple[str, Case]] = {
    "agent deploy": ("agent deploy", Case(files=SOURCE)),
    "agent deploy --yes": ("agent deploy --yes", Case(files=SOURCE)),
    "agent deploy --silent": ("agent deploy --silent", Case(files=SOURCE)),
    "agent deploy --id": (f"agent deploy --id {AGENT}", Case(files=SOURCE)),
    "agent deploy: the build fails": ("agent deploy", Case({"next": "build-fails"}, files=SOURCE)),
    "agent deploy: the build's server fails": ("agent deploy", Case(files=SOURCE, spec=fails("build").spec)),
    "agent deploy: no settings": ("agent deploy", Case(files=SOURCE, spec=fails("GetClientSettings").spec)),
    "agent deploy: refused": (
        "agent deploy",
        Case(
            files=SOURCE,
            spec={
                "faults": {
                    name: {"status": 403, "code": "permission_denied", "msg": "sorry"}
                    for name in ("DeployAgent", "DeployAgentV2")
                }
            },
        ),
    ),
    "agent deploy: the server fails": ("agent deploy", Case(files=SOURCE, spec=fails("*").spec)),
    "agent deploy: the key is refused": ("agent deploy", Case(files=SOURCE, spec={"credentials": "refused"})),
    "agent deploy: nobody listens": ("agent deploy", Case(files=SOURCE, changed={"LK_AGENTS_URL": "http://127.0.0.1:1"})),
    "agent deploy: no such agent": ("agent deploy", Case(None, files=SOURCE)),
    "agent deploy: nothing to deploy": ("agent deploy", Case()),
    "agent deploy: another program": ("agent deploy", Case(files={"requirements.txt": "flask\n"})),
    "agent deploy: of Node": ("agent deploy", Case(files={"package.json": '{"dependencies":{"@livekit/agents":"^1.0.0"}}'})),
    "agent deploy: another program of Node": ("agent deploy", Case(files={"package.json": "{}"})),
    "agent deploy: of uv": (
        "agent deploy",
        Case(files={"pyproject.toml": '[project]\ndependencies = ["livekit-agents>=1.3"]\n', "uv.lock": "version = 1\n"}),
    ),
    "agent deploy: with secrets": ("agent deploy --secrets-file one.env", Case(files={**SOURCE, **FILES})),
    **{
        f"agent deploy: {name}": ("agent deploy", Case(case.agent, case.spec, {**SOURCE, **case.files}, case.drop, case.changed))
        for name, case in PROJECTS.items()
    },
}
CASES: dict[str, tuple[str, Case]] = {
    **{
        f"agent {words}: {name}": (f"agent {words}", case)
        for words in (*READS, *CHANGES, "logs")
        for name, case in SITUATIONS.items()
        if words != "logs" or name != "all is well"
    },
    **{f"agent {words} as JSON": (f"agent {words} --json", Case(RICH)) for words in READS},
    **{
        f"agent {words} as JSON: {name}": (f"agent {words} --json", SITUATIONS[name])
        for words in ("status", "list")
        for name in ("no such agent", "the server fails")
    },
    **{f"agent {words}: nothing there": (f"agent {words}", Case({"deployments": [], "versions": [], "secrets": []}))
       for words in READS},
    **{f"agent {words}: {name}": (f"agent {words}", case) for words in ("secrets", "list") for name, case in PROJECTS.items()},
    **{words: (words, Case(RICH, files={**FILES})) for words in OPTIONS},
    **LOGS,
    **DEPLOYS,
}  # fmt: skip


def run_case(lk: Lk, folder: Path, command: str, case: Case) -> Done:
    project = make_project(folder)
    for name, text in case.files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)

    async def act(base: str) -> Done:
        variables = {**environment(lk, folder / "home", base), **case.changed}
        chosen = {name: value for name, value in variables.items() if name not in case.drop}
        return await finish(await start(lk, project, chosen, *command.split()))

    if case.answer:
        return with_answer(*case.answer, act)
    agent = None if case.agent is None else {"id": AGENT, **case.agent}
    return with_cloud(folder, {"agent": agent, **case.spec}, act, follow_logs=False)


def plain(text: str, folder: Path) -> list[str]:
    """Give the lines that are to be the same."""
    text = text.replace(str(folder), "/folder")
    for pattern, instead in (
        (r"(?ms)^NAME:$.*?(?=^\S[^\n]*[^:\n]$|\Z)", "(help)\n"),
        (r"(?s)goroutine \d+ \[.*", "(trace)\n"),
        (r"127\.0\.0\.1:\d{4,}", "127.0.0.1:PORT"),
        (r"(?m)(?<=Z │ )[\d-]{10}T[\d:]{8}Z(?= │$)", "(now)"),
        (r'": +', '": '),
        (r'(?<="lastScrapedAt": )"[^"]+"', "(now)"),
        (r"(?m)^toml: .*", "toml: (why)"),
        ("eu-central,us-east", "us-east,eu-central"),
    ):
        text = re.sub(pattern, instead, text)
    lines = re.sub(r"(?m)^#\d+ ", "#N ", text).splitlines()
    # Steps of a build that end at once are told in any order.
    built = [index for index, line in enumerate(lines) if line.startswith("#N ")]
    if built:
        lines[built[0] : built[-1] + 1] = sorted(lines[built[0] : built[-1] + 1])
    return lines


@each_real_lk
@pytest.mark.parametrize("name", CASES)
def test_the_stand_in_does_what_the_real_one_does(tmp_path: Path, lk: Lk, name: str) -> None:
    command, case = CASES[name]
    seen = []
    for one in (lk, Lk(STAND_IN, lk.version)):
        folder = tmp_path / str(one)
        folder.mkdir()
        done = run_case(one, folder, command, case)
        seen.append([f"exit {done.code}", *plain(done.out, folder), "on stderr:", *plain(done.err, folder)])
    real, stand_in = seen
    assert stand_in == real
