# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer C(agent): what LiveKit Cloud says of the agent: its status, versions and log, by C(lk agent) or without it.

A sleeping agent is healthy, and status strings that are not known mean nothing. The log is asked for first, since it
vanishes with the container.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via, git_head, lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_log import (
    INACTIVE,
    agent_lines,
    read_log,
    registered_name,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_status import (
    PRODUCTION,
    WORST_FIRST,
    condition_of,
    deployments_of,
    events_of,
    name_of,
    versions_of,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, span, window

SIGNALS: dict[str, str] = {
    "via": "str: how LiveKit was asked: lk, or api, straight from the controller; None if it could not be asked.",
    "lk_version": "str: the version of lk; None if it does not say, or was not asked.",
    "found": "bool: the project has the agent; None if it could not be asked.",
    "id": "str: the cloud agent's id.",
    "name": "str: its dispatch name, '' for automatic dispatch, by lk or else by its log; None if neither tells.",
    "deployments": "list: one dict per region and deployment: region, deployment, status, replicas, min, max, version, "
    "deployed_at, last_observed; None if unknown.",
    "status": "str: the production deployment's status as LiveKit documents it, the worst if regions differ; None if "
    "this lk does not tell which of two deployments in a region it is.",
    "condition": "str: what the status means: ready, asleep, waking, progressing, failed or gone; None for a status "
    "that is not known, or not to be trusted.",
    "replicas": "int: running replicas of the production deployment, over all regions.",
    "version": "str: the production deployment's version.",
    "deployed_at": "str: when the agent was last deployed, RFC 3339; None if never or unknown.",
    "crashes": "int: crashes that LiveKit counts for the production deployment, none of them known to be older than "
    "the attempt's window; None if this lk shows no events.",
    "recent_events": "list: kinds of events of the attempt's window or later, such as RESTARTED_HIGH_MEMORY_USAGE; "
    "None if this lk shows no events.",
    "versions": "list: one dict per version, newest first: version, current, status, created_at, deployed_at, "
    "draining, active, commit; None if unknown.",
    "draining": "list: versions that finish their sessions and take no new ones; None where lk does not tell.",
    "newest_version_stuck": "bool: the newest version is still on its way to serve, more than 5 minutes after it was "
    "made; None if unknown.",
    "source_is_deployed": "bool: the version that serves was deployed from the commit that is checked out in the "
    "agent's folder; None if lk or the folder does not tell.",
    "newest_version_failed": "bool: the newest version's status is a failure; None if there is none or it is unknown.",
    "newest_is_current": "bool: the newest version is the one that serves.",
    "logs": "str: 'read', 'asleep' (there are none while the agent sleeps), 'empty' or 'unavailable'.",
    "log_lines": "int: lines of the agent's log that were read; None if none could be.",
    "log_registered": "bool: the worker registered after its newest start; None if no line says so or otherwise.",
    "log_job_received": "bool: a job request arrived in the span of the attempt; None if no timed line says so.",
    "log_crashed": "bool: the log shows a crash, none that is known to be older than the attempt's window; None "
    "without a log.",
    "log_said": "list: what its log tells of jobs and capacity, of the attempt's window or later, by the names of "
    "worker_said, such as rejected, assignment_timeout, pool_broken or full; None without a log.",
    "log_connect_failure": "str: why its worker could not connect to LiveKit, by the last line of the newest run that "
    "says so: credentials, tls, dns, not_livekit, proxy or unreachable; '' if no line does; None without a log.",
    "log_session_ends": "list: how sessions of the attempt's span ended: error, person_left; None if no line says.",
    "log_missing_names": "list: environment variables whose absence the log reports; None without a log.",
    "log_errors": "list: the newest error lines of the attempt's window or later, redacted, at most 5; None without a "
    "log.",
    "log_codes": "list: error codes in such lines, such as ENOTFOUND, P2003 or HTTP_401; None without a log.",
    "credentials_accepted": "bool: LiveKit accepted lk's credentials; None if it was not asked.",
    "project": "str: the project that lk used, by name or subdomain.",
    "configured_project": "str: the project's subdomain in the livekit.toml of the agent's folder; of a worker of the "
    "team's own, that of the server where it registered; None without one.",
}

_ASLEEP_LIMIT = (
    "LiveKit gives no log of an agent that was shut down for inactivity: this tells that it sleeps now, nothing of the "
    "attempt"
)
# A log has no end: it is read until it is quiet, and not for long.
LOG_S, QUIET_S = 10.0, 2.0
LOG_BYTES = 4 * 1024 * 1024
# LiveKit's limit for a new version to pass its health check (its documentation of agent deployments).
HEALTHY_WITHIN_S = 300.0
# Between the last moment at which lk may still run and the collector's own deadline.
MARGIN_S = process.GRACE_S + 0.5


class _Log(NamedTuple):
    """What came of reading the log: the signal C(logs), the agent's lines, and the limits."""

    state: str
    lines: list[str]
    limits: list[str]


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Gather the record of the agent; C(deadline) is an absolute C(time.monotonic())."""
    repeat = lk.command(options, "status", "versions", "logs")
    last = deadline - MARGIN_S
    try:
        session = agent_via.open_session(options, last)
    except lk.LkError as error:
        signals = {**dict.fromkeys(SIGNALS), "configured_project": lk.configured_project(options)}
        if error.reason == "unauthorized":
            signals["credentials_accepted"] = False
        return unknown("agent", str(error), repeat=repeat, signals=signals)
    with ThreadPoolExecutor(3) as pool:
        log = pool.submit(_ask_log, session, min(last, time.monotonic() + LOG_S))
        asked_status = pool.submit(_ask, session, "status", last)
        asked_versions = pool.submit(_ask, session, "versions", last)
    now = float(options.get("now") or time.time())
    within, (since, _until) = span(options.get("attempt"), now), window(options.get("attempt"), now)
    log_read, status, versions = log.result(), asked_status.result(), asked_versions.result()
    seen: dict[str, Any] = {
        **dict.fromkeys(SIGNALS),
        "via": agent_via.asked_by(options),
        "lk_version": ".".join(map(str, session.version)) if session.version else None,
        "id": session.agent_id,
        "name": registered_name(log_read.lines),
        "logs": log_read.state,
        "configured_project": session.toml_subdomain,
        **(read_log(log_read.lines, within, session.secrets, since) if log_read.lines else {}),
    }
    limits = list(log_read.limits)
    if isinstance(versions, lk.LkError):
        limits.append(f"the agent's versions could not be read: {versions}")
    else:
        seen.update(_version_signals(versions_of(versions), now, git_head.commit_of(session.directory)))
    if isinstance(status, lk.LkError):
        return _without_status(status, seen, limits, repeat)
    return _with_status(status, seen, limits, repeat, since)


def _ask(session: lk.Session, what: str, deadline: float) -> lk.Answer | lk.LkError:
    try:
        return agent_via.read(session, what, deadline)
    except lk.LkError as error:
        return error


def _ask_log(session: lk.Session, deadline: float) -> _Log:
    """Read the log until it is quiet: LiveKit sends it for as long as there is a container."""
    try:
        result = agent_via.logs(session, deadline, quiet_s=QUIET_S, limit_bytes=LOG_BYTES)
        lines = agent_lines(result.stdout)
        if INACTIVE in result.stderr or INACTIVE in result.stdout:
            return _Log("asleep", [], [_ASLEEP_LIMIT])
        if not lines and result.returncode:
            lk.check(session, result)
    except lk.LkError as error:
        return _Log("unavailable", [], [f"the agent's log could not be read: {error}"])
    if not lines:
        return _Log("empty", [], ["the agent's log was empty while it was read"])
    limits = ["the log is the newest instance's alone"]
    if result.truncated:
        limits.append(f"the log was read to its first {LOG_BYTES // 2**20} MiB")
    elif result.returncode:
        limits.append("the log broke off")
    return _Log("read", lines, limits)


def _version_signals(versions: list[dict[str, Any]], now: float, source: str | None) -> dict[str, Any]:
    newest = versions[0] if versions else {}
    meaning = condition_of(newest.get("status"))
    deployed = next((item["commit"] for item in versions if item["current"]), None)
    return {
        "versions": versions,
        "draining": None
        if any(item["draining"] is None for item in versions)
        else [item["version"] for item in versions if item["draining"]],
        "newest_version_stuck": _is_stuck(newest, meaning, now),
        "source_is_deployed": source.startswith(deployed) if source and deployed else None,
        "newest_version_failed": None if meaning is None else meaning == "failed",
        "newest_is_current": newest.get("current"),
    }


def _is_stuck(version: dict[str, Any], meaning: str | None, now: float) -> bool | None:
    """Whether a version is still on its way to serve; one that was rolled back, or failed, is not."""
    made = parse_time(version.get("created_at"))
    if made is None or meaning is None:
        return None
    return meaning == "progressing" and not version["current"] and now - made > HEALTHY_WITHIN_S


def _without_status(error: lk.LkError, signals: dict[str, Any], limits: list[str], repeat: str) -> Record:
    """The record when LiveKit did not tell the status: what the log says still counts."""
    limits = [str(error), *limits]
    state = "unknown"
    if error.reason == "no_agent":
        state = "faulty"
        signals.update(found=False, credentials_accepted=True)
    elif error.reason == "unauthorized":
        signals["credentials_accepted"] = False
    elif signals["logs"] == "asleep":
        signals["condition"] = "asleep"
        limits.append("that the agent sleeps is known from its log's absence alone")
    return record("agent", state, str(error), signals=signals, limits=limits, repeat=repeat)


def _with_status(answer: lk.Answer, signals: dict[str, Any], limits: list[str], repeat: str, since: float) -> Record:
    agent_id = signals["id"] or answer.agent_id
    deployments = deployments_of(answer, agent_id)
    happenings = events_of(answer, agent_id)
    name = name_of(answer, agent_id)
    production = [item for item in deployments or [] if item["deployment"] in (None, PRODUCTION)]
    # What is deleted in one region says nothing of the others.
    there = [item for item in production if condition_of(item["status"]) != "gone"] or production
    worst = min(there, key=lambda item: WORST_FIRST.index(condition_of(item["status"])), default={})
    if _are_mixed(production):
        limits.append("this lk does not tell production's status from that of the agent's other deployments")
        worst = {**worst, "status": None, "version": None}
    replicas = [item["replicas"] for item in production if item["replicas"] is not None]
    signals.update(
        found=deployments is not None,
        id=agent_id,
        name=signals["name"] if name is None else name,
        deployments=deployments,
        status=worst.get("status"),
        replicas=sum(replicas) if replicas else None,
        version=worst.get("version"),
        deployed_at=worst.get("deployed_at"),
        credentials_accepted=True,
        project=answer.project,
    )
    if happenings is not None:
        recent = [item for item in happenings if (parse_time(item["at"]) or 0.0) >= since]
        signals["crashes"] = sum(item["count"] for item in recent if item["type"] == "APPLICATION_CRASHED")
        signals["recent_events"] = sorted({item["type"] for item in recent})
    signals["condition"], doubt = _condition(signals)
    limits.extend(doubt)
    events = [
        event(item["at"], f"LiveKit counts {item['count']} times {item['type']} of the agent")
        for item in happenings or []
        if item["at"]
    ]
    if signals["deployed_at"]:
        events.append(event(signals["deployed_at"], f"the agent was deployed, version {signals['version']}"))
    return record(
        "agent", _state(signals), _summary(signals), signals=signals, events=events, limits=limits, repeat=repeat
    )


def _are_mixed(deployments: list[dict[str, Any]]) -> bool:
    """Whether rows are those of several deployments, which this lk does not name, and differ in what they say."""
    regions = [item["region"] for item in deployments]
    unnamed = all(item["deployment"] is None for item in deployments)
    return unnamed and len(set(regions)) < len(regions) and len({item["status"] for item in deployments}) > 1


def _condition(signals: dict[str, Any]) -> tuple[str | None, list[str]]:
    """Return what the status means with all that is known beside it, and the limits of that."""
    status = signals["status"]
    condition = condition_of(status)
    if status and condition is None:
        return None, [f"the status {status!r} is not one that LiveKit documents: nothing follows from it"]
    crashed = signals["crashes"] or signals["log_crashed"]
    # Idle agents of the free plan were seen with it while they worked (livekit/livekit#4394).
    if status == "Error" and not signals["replicas"] and not crashed:
        return None, ["the status 'Error' without replicas and without a crash is also seen on healthy idle agents"]
    return condition, []


def _state(signals: dict[str, Any]) -> str:
    if not signals["found"] or signals["condition"] in ("failed", "gone") or signals["log_crashed"]:
        return "faulty"
    return "healthy" if signals["condition"] in ("ready", "asleep", "waking") else "unknown"


def _summary(signals: dict[str, Any]) -> str:
    if not signals["found"]:
        return f"the project has no agent {signals['id']}"
    parts = [f"agent {signals['id']} is {signals['status'] or 'without a deployment'}"]
    if signals["replicas"] is not None:
        parts.append(f"replicas {signals['replicas']}")
    if signals["version"]:
        parts.append(
            f"version {signals['version']}" + (f" of {signals['deployed_at']}" if signals["deployed_at"] else "")
        )
    if signals["crashes"]:
        parts.append(f"crashes {signals['crashes']}")
    if signals["log_missing_names"]:
        parts.append(f"its log misses {', '.join(signals['log_missing_names'])}")
    elif signals["log_crashed"]:
        parts.append("its log shows a crash")
    return ", ".join(parts)
