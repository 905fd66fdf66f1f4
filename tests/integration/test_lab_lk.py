# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(lk), the stand-in and the real one, compared with what its sources and documents say: 2.13.2 and 2.18.2."""

from __future__ import annotations

import json
import re
import signal

import pytest
from integration.cloud_running import until, with_cloud
from integration.lk_running import (
    AGENT,
    ASLEEP,
    ENVIRONMENT_LINE,
    INACTIVE,
    LINES,
    SPINNER,
    STAND_IN,
    Lk,
    each_lk,
    environment,
    finish,
    make_project,
    run,
    start,
    status_lines,
)

from lab.lk_cli.output import table

# What the commands print

DEPLOYED = {"deployed_at": "-60h35m30s"}
STATUS = {
    "2.13.2": """\
┌─────────────────┬────────────────┬─────────┬─────────┬─────────────┬────────────┬───────────┬──────────────────────┐
│ ID              │ Version        │ Region  │ Status  │ CPU         │ Mem        │ Replicas  │ Deployed At          │
├─────────────────┼────────────────┼─────────┼─────────┼─────────────┼────────────┼───────────┼──────────────────────┤
│ CA_abc123def456 │ 20260204101112 │ us-east │ Running │ 12m / 2000m │ 0.21 / 4GB │ 1 / 1 / 1 │ 2026-02-04T10:12:30Z │
└─────────────────┴────────────────┴─────────┴─────────┴─────────────┴────────────┴───────────┴──────────────────────┘
""",
    "2.18.2": """\
┌─────────────────┬──────────┬────────────────┬─────────┬────────────┬─────────┬─────────────┬────────────┬───────────┬──────────────────────┬──────────────────────┐
│ ID              │ Name     │ Version        │ Region  │ Deployment │ Status  │ CPU         │ Mem        │ Replicas  │ Deployed At          │ Last Observed        │
├─────────────────┼──────────┼────────────────┼─────────┼────────────┼─────────┼─────────────┼────────────┼───────────┼──────────────────────┼──────────────────────┤
│ CA_abc123def456 │ my-agent │ 20260204101112 │ us-east │ production │ Running │ 12m / 2000m │ 0.21 / 4GB │ 1 / 1 / 1 │ 2026-02-04T10:12:30Z │ OBSERVED             │
└─────────────────┴──────────┴────────────────┴─────────┴────────────┴─────────┴─────────────┴────────────┴───────────┴──────────────────────┴──────────────────────┘
""",  # noqa: E501
}


@each_lk
def test_status(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "status", agent={**DEPLOYED, "name": "my-agent"})
    shown = re.sub(r"Z │ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ │\n", "Z │ OBSERVED             │\n", done.table)
    assert shown == STATUS[lk.version]
    assert status_lines(lk, done) == LINES
    assert done.code == 0
    assert lk.new or done.err == ""


@each_lk
def test_status_shows_every_region_and_deployment(tmp_path, lk):
    entries = [
        {"region": "us-east"},
        {"region": "eu-central", "status": "Sleeping", "replicas": 0, "deployment": "next"},
    ]
    done = run(lk, tmp_path, "agent", "status", agent={"deployments": entries})
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.table.splitlines() if "CA_" in line]
    assert [row[3 if lk.new else 2] for row in rows] == ["us-east", "eu-central"]
    assert "0m / 2000m" in rows[1]
    assert "0 / 4GB" in rows[1]
    assert "0 / 1 / 1" in rows[1]
    assert not lk.new or [row[4] for row in rows] == ["production", "next"]


@each_lk
def test_list(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "list", agent={**DEPLOYED, "name": "my-agent"})
    names = ["ID", "Regions", "Version", "Deployed At"]
    cells = [AGENT, "us-east", "20260204101112", "2026-02-04T10:12:30Z"]
    if lk.new:
        names = ["ID", "Dispatch Name", "Regions", "Deployments", "Version", "Deployed At"]
        cells = [AGENT, "my-agent", "us-east", "production", "20260204101112", "2026-02-04T10:12:30Z"]
    assert done.table == table(names, [cells]) + "\n"
    assert status_lines(lk, done) == [ENVIRONMENT_LINE]


@each_lk
def test_list_without_agents_is_no_error(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "list", spec={"agent": None})
    assert (done.code, status_lines(lk, done)) == (0, [ENVIRONMENT_LINE, "No agents found"])


VERSIONS = {
    "versions": [
        {"version": "older", "current": True, "created_at": "-2d", "deployed_at": "-2d"},
        {"version": "newer", "current": False, "created_at": "-1d", "deployed_at": None, "status": "Build Failed"},
    ]
}


@each_lk
def test_versions(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "versions", agent=VERSIONS)
    created, deployed = "2026-02-05T22:48:00Z", "2026-02-04T22:48:00Z"
    if lk.new:
        names = ["Version", "Production", "Draining", "Active", "Status", "Attributes", "Created At", "Deployed At"]
        rows = [
            ["newer", "--", "--", "--", "Build Failed", "--", created, "--"],
            ["older", "✓", "--", "✓", "Running", "--", deployed, deployed],
        ]
    else:
        names = ["Version", "Current", "Status", "Created At", "Deployed At"]
        rows = [
            ["newer", "false", "Build Failed", created, "0001-01-01T00:00:00Z"],
            ["older", "true", "Running", deployed, deployed],
        ]
    assert done.table == table(names, rows) + "\n"
    assert status_lines(lk, done) == LINES


OTHER_VERSIONS = {
    "2.5.6": (["ID", "Regions"], ["Version", "Current", "Created At", "Deployed At"]),
    "2.16.4": (["ID", "Dispatch Name", "Regions"], ["Version", "Current", "Status", "Created At", "Deployed At"]),
}


@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_the_columns_of_a_version_in_between(tmp_path, version):
    lk = Lk(STAND_IN, version)
    listed, shown = (
        run(lk, tmp_path, "agent", command, agent={**DEPLOYED, **VERSIONS}) for command in ("list", "versions")
    )
    status = run(lk, tmp_path, "agent", "status", agent={**DEPLOYED, "name": "my-agent"})

    of_list, of_versions = OTHER_VERSIONS[version]
    assert header(listed) == [*of_list, "Version", "Deployed At"]
    assert header(shown) == of_versions
    assert (status.table, status.err) == (STATUS["2.13.2"], "")
    assert status_lines(lk, status) == LINES


def test_2_16_4_shows_the_digests_of_images(tmp_path):
    done = run(
        Lk(STAND_IN, "2.16.4"),
        tmp_path,
        "agent",
        "versions",
        agent={"versions": [{"attributes": {"image_digest": "sha256:12ab"}}]},
    )
    assert header(done)[-1] == "Digest"
    assert "sha256:12ab" in done.table


def test_2_5_6_passes_errors_on_as_they_come_and_sets_no_secret_without_overwrite(tmp_path):
    lk = Lk(STAND_IN, "2.5.6")
    fault = {"status": 500, "code": "internal", "msg": "out of order"}
    failed = run(lk, tmp_path, "agent", "status", spec={"faults": {"ListAgents": fault}})
    asleep = run(lk, tmp_path, "agent", "logs", agent=ASLEEP)
    unset = run(lk, tmp_path, "agent", "update-secrets", "--secrets", "A=b")
    unknown = run(lk, tmp_path, "agent", "deploy", "--silent")

    assert (failed.code, failed.err) == (1, "twirp error internal: out of order\n")
    assert (asleep.code, asleep.err) == (1, f"failed to get logs: {INACTIVE}\n")
    assert (unset.code, unset.err, unset.out.splitlines()) == (0, "", LINES)
    assert (unknown.code, "flag provided but not defined: -silent" in unknown.err) == (1, True)


def test_2_5_6_takes_an_error_in_the_agents_log_for_its_own(tmp_path):
    done = run(Lk(STAND_IN, "2.5.6"), tmp_path, "agent", "logs", agent={"logs": ["one", "ERROR: two", "three"]})
    assert (done.code, done.out.splitlines()[-1], done.err) == (1, "one", "two\n")


def header(done):
    return [cell.strip() for cell in done.table.splitlines()[1].split("│")[1:-1]]


SECRETS = {
    "secrets": [{"name": name, "created_at": "-2d", "updated_at": "-1d"} for name in ("LIVEKIT_URL", "OPENAI_API_KEY")]
}


@each_lk
def test_secrets(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "secrets", agent=SECRETS)
    assert (
        done.table
        == """\
┌────────────────┬──────────────────────┬──────────────────────┐
│ Name           │ Created At           │ Updated At           │
├────────────────┼──────────────────────┼──────────────────────┤
│ OPENAI_API_KEY │ 2026-02-04T22:48:00Z │ 2026-02-05T22:48:00Z │
└────────────────┴──────────────────────┴──────────────────────┘
"""
    )
    assert status_lines(lk, done) == LINES


@each_lk
def test_a_table_without_rows_has_four_lines(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "secrets", agent={"secrets": []})
    assert len(done.table.splitlines()) == 4


JSON = {
    "status": {"agents": [{"agentId": AGENT, "agentDeployments": [{"status": "Sleeping", "minReplicas": 1}]}]},
    "list": {"agents": [{"agentId": AGENT, "deployedAt": "2026-02-04T22:48:00Z"}]},
    "versions": {"versions": [{"version": "20260204101112", "current": True}]},
    "secrets": {"secrets": [{"name": "NEXT_APP_URL", "kind": "AGENT_SECRET_KIND_ENVIRONMENT"}]},
}


def holds(whole, part) -> bool:
    """Whether all of C(part) is somewhere in C(whole), in its place."""
    if isinstance(part, dict):
        return all(name in whole and holds(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return all(holds(item, wanted) for item, wanted in zip(whole, part, strict=False))
    return whole == part


@each_lk
@pytest.mark.parametrize("command", sorted(JSON))
def test_json_is_all_of_stdout_or_not_known(tmp_path, lk, command):
    done = run(lk, tmp_path, "agent", command, "--json", agent=ASLEEP)
    if lk.new:
        answer = json.loads(done.out)
        assert holds(answer, JSON[command])
        assert '"replicas"' not in done.out
        assert done.err.startswith(ENVIRONMENT_LINE)
    else:
        assert (done.code, done.out) == (1, "")
        problem = "flag provided but not defined: -json"
        assert done.err == f"Incorrect Usage: {problem}\n\n{problem}\n"


@each_lk
def test_json_of_nothing(tmp_path, lk):
    if lk.new:
        assert json.loads(run(lk, tmp_path, "agent", "list", "--json", spec={"agent": None}).out) == {}


# Failures

INTERNAL = {"status": 500, "code": "internal", "msg": "sorry"}


@each_lk
@pytest.mark.parametrize(
    ("command", "method", "text"),
    [
        (["status"], "ListAgents", "unable to list agents: sorry"),
        (["list"], "ListAgents", "unable to list agents: sorry"),
        (["versions"], "ListAgentVersions", "unable to list agent versions: sorry"),
        (["secrets"], "ListAgentSecrets", "unable to list agent secrets: sorry"),
        (["restart"], "RestartAgent", "twirp error internal: sorry"),
        (["rollback", "--version", "1"], "RollbackAgent", "unable to rollback agent: sorry"),
        (["update-secrets", "--secrets", "A=b"], "UpdateAgentSecrets", "unable to update agent secrets: sorry"),
        (["logs"], "ListAgents", "twirp error internal: sorry"),
        (["logs"], "logs", "failed to get logs: sorry - map[]"),
    ],
)
def test_a_servers_error_is_told(tmp_path, lk, command, method, text):
    done = run(lk, tmp_path, "agent", *command, spec={"faults": {method: INTERNAL}})
    assert done.code == 1
    assert done.err.splitlines()[-1] == text


@each_lk
@pytest.mark.parametrize(
    ("command", "spec", "text"),
    [
        (["status"], {"agent": None}, "no agents found"),
        (["logs"], {"agent": None}, "no agent deployments found"),
        (["logs"], {"agent": {"id": AGENT, **ASLEEP}}, f"failed to get logs: {INACTIVE} - map[]"),
        (["rollback", "--version", "none"], {}, "failed to rollback agent version not found"),
        (["rollback"], {}, 'Required flag "version" not set'),
        (["status", "--id"], {}, "flag needs an argument: --id"),
        (["status", "--no-such"], {}, "flag provided but not defined: -no-such"),
        (["update-secrets", "--secrets", "LIVEKIT_URL=x"], {}, "no valid secrets provided, LIVEKIT_ secrets are "
         "ignored and injected automatically to your agent"),
        (["update-secrets"], {}, "no secrets provided"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(tmp_path, lk, command, spec, text):
    done = run(lk, tmp_path, "agent", *command, spec=spec)
    assert (done.code, done.err.splitlines()[-1]) == (1, text)


@each_lk
def test_nobody_listens(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "status", LK_AGENTS_URL="http://127.0.0.1:1")
    url = "http://127.0.0.1:1/twirp/livekit.CloudAgent/ListAgents"
    reason = "dial tcp 127.0.0.1:1: connect: connection refused"
    assert done.err.splitlines()[-1] == f'unable to list agents: failed to do request: Post "{url}": {reason}'


@each_lk
def test_an_agent_without_deployments_makes_logs_fall_over(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "logs", agent={"deployments": []})
    assert done.code == 2
    assert "index out of range [0] with length 0" in done.err


@each_lk
def test_an_unknown_command(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "no-such")
    assert (done.code, done.out, done.err) == (3, "", "No help topic for 'no-such'\n")


@each_lk
def test_version(tmp_path, lk):
    done = run(lk, tmp_path, "--version")
    assert (done.code, done.out, done.err) == (0, f"lk version {lk.version}\n", "")


# Acts


@each_lk
@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (["restart"], [f"Restarted agent [{AGENT}]"]),
        (["update-secrets", "--secrets", "A=b"], ["Updated agent secrets"]),
    ],
)
def test_acts_are_confirmed(tmp_path, lk, command, lines):
    done = run(lk, tmp_path, "agent", *command)
    assert (done.code, status_lines(lk, done)) == (0, LINES + lines)


@each_lk
def test_a_rollback_spins_even_into_a_pipe_in_2_13(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "rollback", "--version", "older", agent={
        "versions": [{}, {"version": "older", "current": False}]
    })  # fmt: skip
    assert (done.code, status_lines(lk, done)[-1]) == (0, f"Rolled back agent [{AGENT}] to version [older]")
    assert ("\x1b[" in done.out) is not lk.new
    assert (f"Rolling back agent [{AGENT}]\n" in done.err) is lk.new


@each_lk
def test_deploy(tmp_path, lk):
    project = make_project(tmp_path)
    (project / "requirements.txt").write_text("livekit-agents~=1.3\n", encoding="utf-8")
    done = run(lk, tmp_path, "agent", "deploy", agent=ASLEEP | {"wakes": False}, where=project)
    assert done.code == 0
    told = SPINNER.sub("", done.err if lk.new else done.out).splitlines()
    assert told[:3] == [*LINES, "Detected agent language [python.pip]"]
    assert told[-1] == "Deployed agent"
    assert "[internal] load remote build context" in done.err
    assert not lk.new or done.out == ""


@each_lk
@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, {"2.13.2": "unable to determine agent language: expected", "2.18.2": "no agent project detected"}),
        ({"requirements.txt": "flask"}, "package livekit-agents not found in any project files."),
        ({"package.json": "{}"}, "package @livekit/agents not found in any project files."),
    ],
)
def test_deploy_wants_an_agent(tmp_path, lk, files, text):
    project = make_project(tmp_path)
    for name, content in files.items():
        (project / name).write_text(content, encoding="utf-8")
    done = run(lk, tmp_path, "agent", "deploy", where=project)
    assert done.code == 1
    assert (text if isinstance(text, str) else text[lk.version]) in done.err


# Logs


@each_lk
@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupt")])
def test_logs_follow_until_a_signal_comes(tmp_path, lk, number, name):
    async def act(base):
        process = await start(lk, make_project(tmp_path), environment(lk, tmp_path / "home", base), "agent", "logs")
        seen: list[bytes] = []

        async def read():
            seen.append(await process.stdout.readline())
            return seen[-1]

        await until(read, lambda line: line == b"two\n")
        process.send_signal(number)
        done = await finish(process)
        return b"".join(seen).decode(), done

    seen, done = with_cloud(tmp_path, {"agent": {"id": AGENT, "logs": ["one", "two"]}}, act)
    assert seen.splitlines()[-2:] == ["one", "two"]
    assert done.code == 1
    # Go 1.26 names the signal; whoever builds an old lk may do so with any Go.
    named, unnamed = f"scanner error: {name} signal received", "scanner error: context canceled"
    expected = {"stand-in-2.13.2": {unnamed}, "real-2.13.2": {named, unnamed}}.get(str(lk), {named})
    assert done.err.splitlines()[-1] in expected


@each_lk
def test_the_builds_log_ends(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "logs", "--log-type", "build")
    assert done.code == 0
    assert "load remote build context" in done.out


@each_lk
def test_a_line_that_is_too_long_ends_the_log(tmp_path, lk):
    done = run(lk, tmp_path, "agent", "logs", agent={"logs": ["short", "x" * 70000]})
    assert done.out.splitlines()[-1] == "short"
    assert (done.code, done.err.splitlines()[-1]) == (1, "scanner error: bufio.Scanner: token too long")
