# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dispatches of a room tell: whom it asks for, since when a person waits for that, and who took it.

A room lives on when its person leaves, and keeps what an earlier visit asked for. Pure; times are seconds since 1970.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import room_agents
from ansible_collections.voiceops.livekit.plugins.module_utils.room_watch import LISTED_AFTER_S

SIGNALS: dict[str, str] = {
    "dispatches": "int: agent dispatches of the room; None if they could not be listed.",
    "dispatch_names": "list: the agent names that they ask for, '' for automatic dispatch.",
    "dispatch_deployments": "list: the deployments that they ask for, '' for production.",
    "jobs": "int: jobs that a worker accepted of those of them that may be for our agent, without those of an earlier "
    "visit if there was a job or a dispatch since; None if that is not listed yet.",
    "jobs_before_person": "bool: all these jobs are older than the stay of the person who waits, and so are the "
    "dispatches; None if there are no jobs, or nobody waits.",
    "jobs_ended": "bool: all these jobs have ended, well or not; None if there are none.",
    "asked_at": "str: since when the room asks for our agent in vain, RFC 3339 on the controller's clock: when the "
    "first of these jobs began or, without any, the first dispatch was made; None if there is neither.",
}

# A dispatch and its person come together; what is this much older was for somebody else, or for an earlier stay.
EARLIER_S = 10.0
ENDED = ("JS_SUCCESS", "JS_FAILED")

Dispatch = dict[str, Any]


def shifted(dispatches: list[Dispatch], seconds: float) -> list[Dispatch]:
    """Return the dispatches with all their times moved; one that is not set stays so."""

    def shift(item: dict[str, Any], name: str) -> dict[str, Any]:
        return {**item, name: item[name] and item[name] + seconds}

    return [
        {**shift(item, "created_at"), "jobs": [shift(job, "started_at") for job in item["jobs"]]} for item in dispatches
    ]


def told(dispatches: list[Dispatch], name: str, waiting_since: float | None, now: float) -> dict[str, Any]:
    """Return L(SIGNALS), C(asked_at) in seconds; C(name) is our agent's, C(waiting_since) None if nobody waits.

    C(now) is on the clock of the dispatches: of one that is a few seconds old no job is listed yet.
    """
    ours = room_agents.may_be_ours(dispatches, name)
    young = any(not item["jobs"] and now - item["created_at"] < LISTED_AFTER_S for item in ours)
    # livekit-server gives each room an entry without a name, which asks for no agent that has one.
    asked = [item for item in ours if item["agent_name"]] or ours
    open_since = [item["created_at"] for item in asked if not item["jobs"]]
    jobs = [{**job, "since": job["started_at"] or item["created_at"]} for item in ours for job in item["jobs"]]
    before = None
    if waiting_since is not None and jobs and all(job["started_at"] for job in jobs):
        own_jobs = [job for job in jobs if job["since"] >= waiting_since - EARLIER_S]
        own_open = [at for at in open_since if at >= waiting_since - EARLIER_S]
        before = not own_jobs and not own_open
        if not before:
            jobs, open_since = own_jobs, own_open
    return {
        "dispatches": len(dispatches),
        "dispatch_names": [item["agent_name"] for item in dispatches],
        "dispatch_deployments": [item["deployment"] for item in dispatches],
        "jobs": len(jobs) or (None if young else 0),
        "jobs_before_person": before,
        "jobs_ended": all(job["status"] in ENDED for job in jobs) if jobs else None,
        "asked_at": min([job["since"] for job in jobs] or open_since, default=None),
    }
