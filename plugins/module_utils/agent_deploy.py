# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys the agent's source to LiveKit Cloud by C(lk agent deploy), which ends when the image is built.

Its traps are known from lk's sources, v2.5.0 to v2.18.2: it goes by livekit.toml alone and without one makes a new
agent, 2.13.0 asks a question at its end, its last word differs from version to version, and it may break off a build
that goes on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_act import BUILD_LINE, CALL_S, Act, ChangeError
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_source import source_of
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import Ending, Look, Watch

PAID_PLANS = "LiveKit rolls back on its paid plans only; on the free plan, check the earlier commit out and deploy it"
# What ends a deploy on our side only: the build may go on, and come to a good end, without us.
_BROKE_OFF = re.compile(
    r"token too long|context (?:deadline exceeded|canceled)|signal received|unexpected EOF|connection reset|broken pipe"
    r"|failed to build agent: 5\d\d"
)
_LAST_OF_BUILD = 8


def check_folder(options: Mapping[str, Any]) -> None:
    """Refuse a folder from which lk would deploy to another agent, or make a new one."""
    folder = options.get("agent_dir")
    if not folder:
        raise ChangeError("refused", "voiceops_agent_dir: expected the agent's folder to deploy from, got nothing")
    named = lk.read_toml(folder).get("agent_id")
    if not named:
        is_there = os.path.exists(os.path.join(os.path.expanduser(folder), lk.TOML))
        problem = "names no agent" if is_there else "is missing"
        raise ChangeError(
            "refused", f"{lk.TOML} in {folder} {problem}: lk would choose an agent, or make one; nothing was deployed"
        )
    if options.get("agent_id") and options["agent_id"] != named:
        raise ChangeError(
            "refused",
            f"voiceops_agent_id: expected {named}, which {lk.TOML} in {folder} names and lk would deploy to, got "
            f"{options['agent_id']}: correct one of them",
        )


def check_version(session: lk.Session, deadline: float) -> None:
    """Refuse lk 2.13.0, whose deploy ends with a question; it calls itself 2.12.9, whose deploy has no --silent."""
    suspect = session.version == (2, 13, 0)
    if session.version == (2, 12, 9):
        suspect = "--silent" in lk.act(session, ["deploy", "--help"], deadline, by_id=False).stdout
    if suspect:
        raise ChangeError(
            "refused", "voiceops_lk: lk 2.13.0, which calls itself 2.12.9, ends a deploy with a question: update it"
        )


def deploy(act: Act, check: bool) -> dict[str, Any]:
    """Deploy a new version and wait until it runs; in check mode only look."""
    with act.steps.step("look at the source"):
        act.source = source_of(act.session.directory, act.before.current.get("commit"), act.soon())
    limits = _check_source(act.options["source"], act.session.directory, act.source)
    if check:
        act.after = {**act.before.facts(), "version": "a new version", "commit": act.source["commit"]}
        summary = f"would deploy {act.session.directory} in place of version {act.before.version}"
        return act.ended(summary, limits=limits)
    known = {item["version"] for item in act.before.versions}
    with act.steps.step("lk agent deploy") as step:
        lines = act.steps.lines(step)
        result = lk.act(act.session, ["deploy"], act.deadline, by_id=False, heard=lines.feed)
        lines.feed(b"\n")
    broke_off = _how_it_broke_off(act, result, step["output"])
    act.changed = result.returncode == 0
    watch = Watch(act.before, act.settle, time.monotonic(), wanted=lambda version: version not in known)
    until = time.monotonic() + CALL_S / 2 if result.timed_out else act.deadline
    ending, last = act.wait(watch, "wait until the new version runs", until)
    if last.version not in known:
        act.changed, act.rollback_to = True, act.before.version
    if ending.state in ("failed", "late"):
        raise _not_deployed(act, ending, broke_off)
    return _deployed(act, ending, last, [*limits, *broke_off])


def _check_source(rule: str, folder: str, source: dict[str, Any]) -> list[str]:
    """Refuse a source that would hide the cause behind a change of code; return what could not be checked."""
    limits = []
    if rule != "any" and source["dirty"]:
        raise ChangeError(
            "refused",
            f"the source in {folder} differs from its commit ({', '.join(source['changes'])}): commit or stash that, "
            "or set source (voiceops_redeploy_source) to any",
        )
    if rule != "any" and source["dirty"] is None:
        limits.append("whether the source differs from its commit is not known: it is no git repository, or git fails")
    if rule == "same" and source["same"] is False:
        raise ChangeError(
            "refused",
            f"{folder} is at commit {source['commit'][:12]}, but {source['deployed_commit'][:12]} is deployed: check "
            "that one out, or set source (voiceops_redeploy_source) to clean",
        )
    if rule == "same" and source["same"] is None:
        limits.append("whether the source is what was deployed is not known: lk names no commit of the version before")
    return limits


def _how_it_broke_off(act: Act, result: process.Result, output: list[str]) -> list[str]:
    """Raise what lk failed with, unless the build may go on without it: then say how lk ended."""
    if result.returncode == 0:
        lk.check(act.session, result)
        return []
    # The last word is the error; what stands before it may be status lines, which lk 2.16.5 and later write there, too.
    told = [line for line in result.stderr.split("\n") if line.strip() and not BUILD_LINE.match(line)]
    error = result._replace(stdout="", stderr="\n".join(told[-1:]))
    words = lk.said(act.session, error) or "it said nothing"
    if result.timed_out:
        # What it says of being ended is of no interest.
        told = [line for line in output if BUILD_LINE.match(line)] or output or ["it said nothing"]
        return [f"lk did not end within {float(act.options['deadline']):g} s and was ended; its last words: {told[-1]}"]
    if _BROKE_OFF.search(error.stderr):
        return [f"lk broke off a build that may go on: {words}"]
    if any(BUILD_LINE.match(line) for line in output):
        tail = "\n".join(output[-_LAST_OF_BUILD:])
        raise ChangeError(
            "build_failed",
            f"the build failed, and version {act.before.version} serves as before: {words}\nIts last lines:\n{tail}",
        )
    lk.check(act.session, error)
    return []


def _not_deployed(act: Act, ending: Ending, broke_off: list[str]) -> ChangeError:
    heard = "".join(f"; {words}" for words in broke_off)
    if act.rollback_to is None:
        reason = "not_deployed" if ending.state == "failed" else "late"
        return ChangeError(reason, f"no new version serves: {ending.why}{heard}; {act.repeat('versions')}")
    reason = "crashed" if ending.state == "failed" else "late"
    back = f"version {act.rollback_to} served before, roll back to it ({PAID_PLANS})"
    return ChangeError(reason, f"the new version is deployed, but does not run: {ending.why}{heard}; {back}")


def _deployed(act: Act, ending: Ending, last: Look, limits: list[str]) -> dict[str, Any]:
    placed = f"version {last.version} is deployed in place of {act.before.version}"
    if ending.state == "asleep":
        limits.append("the new version was not seen to run: only a dispatch tells whether it wakes")
        return act.ended(f"{placed}, and sleeps", observed="asleep", limits=limits)
    return act.ended(f"{placed}, and runs", observed="running", limits=limits)
