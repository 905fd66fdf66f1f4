# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer C(secrets): which secrets the agent has, by C(lk agent secrets), or without lk.

Names and times only: their values never leave LiveKit.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_via, lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.lk_output import moment
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

SIGNALS: dict[str, str] = {
    "via": "str: how LiveKit was asked: lk, or api, straight from the controller; None if it could not be asked.",
    "listed": "bool: LiveKit listed the agent's secrets; None if it could not be asked.",
    "names": "list: the secrets' names, without those that LiveKit sets itself.",
    "missing": "list: required names that are not among them.",
    "all_present": "bool: every required secret exists; None if none is required, or the list is not known.",
    "updated_at": "dict: when each secret was last set, by name, RFC 3339 or None.",
    "last_change": "str: the newest of these times.",
    "changed_together": "bool: several secrets, all set within 2 s, as by a deploy or an overwrite; None if there are "
    "fewer than two, or a time is not known.",
    "changed_after_deploy": "bool: that was later than the agent's deploy, which also renews them; filled in from the "
    "layer agent.",
}

# LiveKit gives these to every agent, and lk does not list them.
GIVEN_BY_LIVEKIT = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
TOGETHER_S = 2.0
MARGIN_S = process.GRACE_S + 0.5


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Gather the record of the secrets; C(deadline) is an absolute C(time.monotonic())."""
    repeat = lk.command(options, "secrets")
    last = deadline - MARGIN_S
    required = options.get("required_secrets") or []
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        reason = f"voiceops_required_secrets: expected a list of names, got {type(required).__name__}"
        return unknown("secrets", reason, repeat=repeat, signals=dict.fromkeys(SIGNALS))
    try:
        answer = agent_via.read(agent_via.open_session(options, last), "secrets", last)
    except lk.LkError as error:
        return unknown("secrets", str(error), repeat=repeat, signals=dict.fromkeys(SIGNALS))
    found = judge(secrets_of(answer), required, repeat)
    found["signals"]["via"] = agent_via.asked_by(options)
    return found


def secrets_of(answer: lk.Answer) -> dict[str, str | None]:
    """Return when each secret was last set, by name; the time is RFC 3339, or None if it is not known.

    Those that LiveKit gives are left out, as lk leaves them out.
    """
    if answer.document is None:
        return {row["Name"]: moment(row.get("Updated At")) for row in answer.rows if row.get("Name")}
    items = answer.document.get("secrets")
    return {
        item["name"]: moment(item.get("updatedAt"))
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("name"), str) and item["name"] not in GIVEN_BY_LIVEKIT
    }


def judge(updated_at: dict[str, str | None], required: list[str], repeat: str) -> Record:
    """Make the record from when each secret was set, by name, and the names that are required."""
    missing = [name for name in required if name not in updated_at and name not in GIVEN_BY_LIVEKIT]
    times = sorted(time for time in updated_at.values() if time)
    signals = {
        **dict.fromkeys(SIGNALS),
        "listed": True,
        "names": list(updated_at),
        "missing": missing,
        "all_present": not missing if required else None,
        "updated_at": updated_at,
        "last_change": times[-1] if times else None,
        "changed_together": _together(times) if len(times) == len(updated_at) else None,
    }
    limits = ["a deploy renews the time of every secret, so a new time is no sign of a new value"]
    if not required:
        limits.append("voiceops_required_secrets is empty: no secret can be missed")
    if missing:
        summary = f"missing: {', '.join(missing)}"
    else:
        summary = f"all {len(required)} required secrets are present" if required else "no secret is required"
    names_at = {time: [name for name in updated_at if updated_at[name] == time] for time in times}
    return record(
        "secrets",
        "faulty" if missing else "healthy" if required else "unknown",
        summary,
        signals=signals,
        events=[event(time, f"secrets were set: {', '.join(names)}") for time, names in names_at.items()],
        limits=limits,
        repeat=repeat,
    )


def _together(times: list[str]) -> bool | None:
    """Whether the times, sorted, are all within C(TOGETHER_S); None of fewer than two."""
    first, last = (parse_time(times[0]), parse_time(times[-1])) if len(times) > 1 else (None, None)
    return None if first is None or last is None else last - first <= TOGETHER_S
