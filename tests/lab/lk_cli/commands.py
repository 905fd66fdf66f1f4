# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of C(lk agent)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lab.lk_cli.client import CanceledError
from lab.lk_cli.deploy import deploy
from lab.lk_cli.output import (
    SKIPS_PROMPTS_SINCE,
    LkError,
    PanicError,
    Version,
    ask,
    cpu,
    memory,
    moment,
    protojson,
    table,
)
from lab.lk_cli.project import skip_prompts
from lab.lk_cli.run import Run
from lab.lk_cli.secrets import HIDDEN, given_secrets

MERGES_SINCE = (2, 6, 3)
LOGS_OF_A_DEPLOYMENT_SINCE = (2, 6, 3)


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
        named = run.out.version >= (2, 16, 1)
        rows = [
            [
                agent["agent_id"],
                *([agent["agent_name"]] if named else []),
                ",".join(entry["region"] for entry in agent["agent_deployments"]),
                agent["version"],
                moment(agent.get("deployed_at"), False),
            ]
            for agent in agents
        ]
        headers = ["ID", *(["Dispatch Name"] if named else []), "Regions", "Version", "Deployed At"]
        run.out.result(table(headers, rows))


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
        run.out.result(_old_versions(found, run.out.version))


def _old_versions(found: list[dict[str, Any]], version: Version) -> str:
    """Draw the table of 2.5.1 to 2.16.7: 2.6.3 adds the status, 2.16.3 the digest if a version has one."""
    with_status = version >= (2, 6, 3)
    with_digest = version >= (2, 16, 3) and any("image_digest" in item["attributes"] for item in found)
    rows = [
        [
            item["version"],
            str(item["current"]).lower(),
            *([item["status"]] if with_status else []),
            *_times(item, "deployed_at", False),
            *([item["attributes"].get("image_digest", "")] if with_digest else []),
        ]
        for item in found
    ]
    status, digest = ["Status"] if with_status else [], ["Digest"] if with_digest else []
    return table(["Version", "Current", *status, "Created At", "Deployed At", *digest], rows)


def _new_version(version: dict[str, Any]) -> list[str]:
    attributes = json.dumps(version["attributes"], sort_keys=True, separators=(",", ":"))
    for sign in "<>&":  # as Go writes them
        attributes = attributes.replace(sign, f"\\u{ord(sign):04x}")
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
    """Merge or replace the agent's secrets; before 2.6.3, nothing is done and nothing said without C(--overwrite)."""
    agent_id = run.agent_id()
    given = given_secrets(run.values, True, run.out)
    overwrite = bool(run.values.get("overwrite"))
    if not overwrite and run.out.version < MERGES_SINCE:
        return
    if overwrite and not (run.out.version >= SKIPS_PROMPTS_SINCE and skip_prompts(run.values)):
        title = f"This will remove all existing secrets. Are you sure you want to proceed [{agent_id}]?"
        if not ask(title):
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


def _region(run: Run, agent_id: str) -> str:
    """Find the region whose server has the agent's log."""
    agents = run.client.call("ListAgents", {"agent_id": agent_id})["agents"]
    if not agents:
        raise LkError("no agent deployments found")
    if not agents[0]["agent_deployments"]:
        raise PanicError("runtime error: index out of range [0] with length 0")
    return str(agents[0]["agent_deployments"][0]["server_region"])


def logs(run: Run) -> None:
    """Follow a log of the agent until the server closes it."""
    agent_id = run.agent_id("--" if run.out.new else "---")
    region = _region(run, agent_id) if run.out.version >= LOGS_OF_A_DEPLOYMENT_SINCE else ""
    log_type, deployment = run.values.get("log-type", ""), run.values.get("deployment", "")
    lines = run.client.logs(agent_id, log_type, deployment, region)
    try:
        for line in lines:
            print(line, flush=True)
    except CanceledError as error:
        lines.throw(error)  # a signal between two lines ends the reading, too


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
