# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the agent in LiveKit Cloud into a state, by C(lk) or without it, and waits until that is observed.

C(lk agent restart) and C(rollback) return at once, and C(deploy) when the image is built: none waits for a container.
What is observed after them is told, and so is what that does not prove.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via, lk
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_act import (
    CALL_S,
    Act,
    ChangeError,
    Steps,
    Tell,
    failed,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_deploy import (
    PAID_PLANS,
    check_folder,
    check_version,
    deploy,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_status import condition_of
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import (
    Ending,
    Look,
    Watch,
    log_started_at,
    look,
)

PREVIOUS = "previous"
ASLEEP_PROVES_NOTHING = "an agent that sleeps shows nothing: only a dispatch tells whether it wakes"


def change(options: Mapping[str, Any], check: bool, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Bring the agent into C(options['state']) and return the module's result; C(failed) is set if it cannot be.

    C(tell) is given a build's steps as they begin. In check mode, what would be done is told, and nothing is done.
    """
    steps = Steps(tell, lk.secrets_of(options))
    act = None
    try:
        act = open_act(options, steps)
        expected = options.get("from_version")
        if expected and act.before.version != expected:
            return act.ended(f"version {act.before.version} serves, not {expected}: nothing was done", changed=False)
        return _STATES[options["state"]](act, check)
    except (lk.LkError, ChangeError) as error:
        return failed(error, steps, act)


def open_act(options: Mapping[str, Any], steps: Steps) -> Act:
    """Check the options and look at the agent as it is before; raise LkError or ChangeError."""
    deadline = time.monotonic() + float(options["deadline"])
    soon = min(deadline, time.monotonic() + CALL_S)
    deploys = options.get("state") == "deployed"
    if deploys:
        if agent_via.asked_by(options) == agent_via.API:
            raise ChangeError("only_lk", "voiceops_agent_via: expected auto or lk, got api, and only lk can deploy")
        check_folder(options)
    with steps.step("look at the agent"):
        session = agent_via.open_session(options, soon)
        if deploys:
            check_version(session, soon)
        return Act(options, session, steps, look(session, soon), deadline)


def restart(act: Act, check: bool) -> dict[str, Any]:
    """Restart the agent and wait until it runs; in check mode only say so."""
    if check:
        return act.ended(f"would restart the agent, version {act.before.version}")
    watch = watch_restart(act)
    lk.check(act.session, act.run(["restart"]))
    act.changed = True
    return await_restart(act, watch(), "LiveKit took the restart on")


def watch_restart(act: Act) -> Callable[[], Watch]:
    """Prepare for a restart; return what makes its watch. Where the status does not show it, the log may."""
    started = log_started_at(act.session, act.soon()) if "ready" in act.before.conditions else None

    def restarted() -> bool:
        return started is not None and (log_started_at(act.session, act.soon()) or started) > started

    return lambda: Watch(act.before, act.settle, time.monotonic(), restarted=restarted)


def await_restart(act: Act, watch: Watch, done: str) -> dict[str, Any]:
    """Wait until the agent runs again; C(done) begins the summary."""
    ending, _last = act.wait(watch, "wait until the agent runs again", act.deadline)
    if ending.state in ("failed", "late"):
        raise _does_not_run(ending, f"{done}, but the agent does not run: {ending.why}; {act.repeat('status', 'logs')}")
    if ending.state == "asleep":
        return act.ended(f"{done}, and the agent sleeps", observed="asleep", limits=[ASLEEP_PROVES_NOTHING])
    limits = [] if ending.seen else ["neither status nor log showed the restart: that it happened is LiveKit's word"]
    return act.ended(f"{done}, and the agent runs", observed="running", limits=limits)


def roll_back(act: Act, check: bool) -> dict[str, Any]:
    """Put an earlier version into production and wait until it runs; in check mode only say which."""
    target = rollback_target(act.before, act.options.get("version") or PREVIOUS)
    if target == act.before.version:
        return act.ended(f"version {target} serves already: nothing was done", changed=False)
    if check:
        act.after = {**act.before.facts(), "version": target}
        summary = f"would roll back from version {act.before.version} to {target}"
        return act.ended(summary, limits=["LiveKit rolls back on its paid plans only"])
    try:
        lk.check(act.session, act.run(["rollback", "--version", target]))
    except lk.LkError as error:
        # In which words LiveKit refuses it for the plan is not known: all that is no other trouble may be that.
        if error.reason in ("failed", "unauthorized"):
            raise ChangeError("refused_by_livekit", f"LiveKit did not roll back: {error}; {PAID_PLANS}") from error
        raise
    act.changed = True
    # Should LiveKit give the version that it goes back to a new name, that one is meant.
    others = {item["version"] for item in act.before.versions} - {target}
    watch = Watch(act.before, act.settle, time.monotonic(), wanted=lambda version: version not in others)
    ending, last = act.wait(watch, f"wait until version {target} runs", act.deadline)
    if ending.state in ("failed", "late"):
        raise _does_not_run(ending, f"LiveKit took the rollback on, but version {target} does not run: {ending.why}")
    done = f"rolled back from version {act.before.version} to {last.version}"
    if ending.state == "asleep":
        return act.ended(f"{done}, which sleeps", observed="asleep", limits=[ASLEEP_PROVES_NOTHING])
    return act.ended(f"{done}, which runs", observed="running")


def rollback_target(seen: Look, version: str) -> str:
    """Return the version to go back to: the one that is named, or the newest good one from before the current one."""
    names = [item["version"] for item in seen.versions]
    if version != PREVIOUS:
        if version not in names:
            known = ", ".join(map(str, names)) or "none"
            raise ChangeError("refused", f"version (voiceops_rollback_version): expected one of {known}, got {version}")
        return version
    earlier = seen.versions[names.index(seen.version) + 1 :] if seen.version in names else []
    good = [item["version"] for item in earlier if item["deployed_at"] and condition_of(item["status"]) != "failed"]
    if not good:
        raise ChangeError("refused", f"LiveKit lists no version from before {seen.version} to go back to")
    return str(good[0])


def _does_not_run(ending: Ending, sentence: str) -> ChangeError:
    return ChangeError("crashed" if ending.state == "failed" else "late", sentence)


_STATES: dict[str, Callable[[Act, bool], dict[str, Any]]] = {
    "deployed": deploy,
    "restarted": restart,
    "rolled_back": roll_back,
}
