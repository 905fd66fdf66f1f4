# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to LiveKit's agents: C(lk) on its host, or straight from the controller by LiveKit's agent API.

Whatever way a session goes, its answers have the same shape. Which way is gone, and when the other one is tried, is
decided by the action plugins, since they alone know whether lk's host answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_api, lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_log import agent_lines
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record

LK, API = "lk", "api"
# How many times as long lk may be quiet after its own first words, since it asks LiveKit for the log only then.
_UNTIL_FIRST = 3
# The signal of a layer which is known as soon as LiveKit told of it.
TOLD_BY = {"secrets": "listed", "agent": "found", "agent_after": "found"}


def open_session(options: Mapping[str, Any], deadline: float) -> lk.Session:
    """Open a session by the way that the option C(agent_via) says, lk unless it is C(api); raise LkError."""
    if asked_by(options) == API:
        return agent_api.open_session(options, deadline)
    return lk.open_session(options, deadline)


def asked_by(options: Mapping[str, Any]) -> str:
    """Name the way that the options choose for whoever does not look further."""
    return API if options.get("agent_via") == API else LK


def read(session: lk.Session, what: str, deadline: float) -> lk.Answer:
    """Ask for C(status), C(versions) or C(secrets); raise LkError if LiveKit does not tell."""
    return agent_api.read(session, what, deadline) if session.api_url else lk.read(session, what, deadline)


def logs(
    session: lk.Session, deadline: float, *, quiet_s: float, until: bytes = b"", limit_bytes: int = process.LIMIT_BYTES
) -> process.Result:
    """Read the log until it is quiet for C(quiet_s); lk also ends at C(until). Raises LkError if it cannot be read."""
    if session.api_url:
        return agent_api.logs(session, deadline, quiet_s=quiet_s, limit_bytes=limit_bytes)

    def is_over(output: bytearray, quiet: float) -> bool:
        if until and until in output:
            return True
        if not output or quiet <= quiet_s:
            return False
        return quiet > _UNTIL_FIRST * quiet_s or bool(agent_lines(output.decode("utf-8", "replace")))

    return lk.call(session, ["logs"], deadline, limit_bytes=limit_bytes, stop_when=is_over)


def act(session: lk.Session, arguments: list[str], deadline: float) -> process.Result:
    """Restart the agent, or do another of lk's commands; the agent API's errors are raised, lk's are in the result."""
    return agent_api.act(session, arguments, deadline) if session.api_url else lk.act(session, arguments, deadline)


def can_ask_straight(options: Mapping[str, Any]) -> bool:
    """Say whether the agent API could be asked: whether there are credentials, and an address they are for."""
    try:
        session = lk.prepare({**options, "agent_dir": None})
        agent_api.address_of(session.environment)
    except lk.LkError:
        return False
    return session.has_credentials


def untold(records: Mapping[str, Record]) -> list[str]:
    """Name the layers of which lk told nothing, be it lk, its host or its network that is at fault."""
    return [layer for layer, key in TOLD_BY.items() if layer in records and records[layer]["signals"].get(key) is None]


def fuller(by_lk: Record, straight: Record) -> Record:
    """Choose between both ways' records of a layer the one that knows more, and say in it what became of the other."""
    chosen, word, other = (straight, "lk did not tell", by_lk)
    if _known(by_lk) > _known(straight):
        chosen, word, other = (by_lk, "LiveKit was asked straight, too", straight)
    return {**chosen, "limits": [*chosen["limits"], f"{word}: {other['summary']}"]}


def _known(record: Record) -> int:
    values: Iterable[Any] = record["signals"].values()
    return sum(value is not None for value in values)
