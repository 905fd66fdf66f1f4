# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to one agent, kept in a file: from it come the cool-down, the budget and the stop rule.

An act is written down before it is done, so one whose run was killed counts too. A clock that was set back opens
nothing: what lies in the future by this clock counts as done just now. Only the lock's holder may write.

An entry: C(at) (seconds since 1970), C(run), C(cause), C(remedy), C(harmless) and C(outcome): C(started) (also of a
killed run), C(helped) or C(failed).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.lock import slug
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

HOUR_S, DAY_S = 3600.0, 86400.0
KEEP_S = 30 * DAY_S
# Never the same remedy a third time a day, and two failures are enough.
MOST_TIMES, MOST_FAILURES = 2, 2

Entry = dict[str, Any]


class LedgerError(ValueError):
    """A ledger that cannot be read; the text names the file and what to do."""


class Limits(NamedTuple):
    """How much may be done unattended: seconds between runs that act, and acts per hour and per day."""

    cooldown_s: float = 600.0
    per_hour: int = 2
    per_day: int = 4


class Refusal(NamedTuple):
    """Why an act may not be done: C(verdict) C(blocked) passes with time, C(needs_human) does not, and C(skip) only
    concerns this one remedy."""

    verdict: str
    because: str


def path_of(folder: Path, agent: str) -> Path:
    """Return the ledger's file."""
    return folder / f"{slug(agent)}.ledger.json"


def read(folder: Path, agent: str) -> list[Entry]:
    """Return the entries, oldest first; none if there is no file. Raises LedgerError if it is damaged."""
    path = path_of(folder, agent)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(found, list) and all(_is_entry(item) for item in found)
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        whole = False
    if not whole:
        raise LedgerError(f"{path}: expected a list of what was done; look at what is in it, then move it away")
    return sorted(found, key=lambda entry: float(entry["at"]))


def write(folder: Path, agent: str, entries: Iterable[Entry], now: float) -> None:
    """Replace the file at once, and keep the last 30 days. Raises OSError if it cannot be written."""
    path = path_of(folder, agent)
    kept = [entry for entry in entries if entry["at"] > now - KEEP_S]
    whole_file.write(path, json.dumps(kept, indent=1), whole_file.mode_of(folder))


def started(entries: Iterable[Entry], entry: Mapping[str, Any], now: float) -> list[Entry]:
    """Add an act that is about to be done."""
    return [*entries, {**entry, "at": now, "outcome": "started"}]


def ended(entries: Iterable[Entry], run: str, remedy: str, outcome: str) -> list[Entry]:
    """Note how the act of this run ended."""
    return [
        {**entry, "outcome": outcome} if (entry["run"], entry["remedy"]) == (run, remedy) else entry
        for entry in entries
    ]


def refusal(
    entries: Iterable[Entry], remedy: Mapping[str, Any], run: str, now: float, limits: Limits, where: Path
) -> Refusal | None:
    """Say why C(remedy) may not be done by the run C(run) now; None if it may. C(where) is the ledger's file."""
    day = [entry for entry in entries if _age(entry, now) < DAY_S]
    same = [entry for entry in day if entry["remedy"] == remedy["id"]]
    counted = [entry for entry in same if entry["outcome"] != "helped"] if remedy["harmless"] else same
    if len(counted) >= MOST_TIMES:
        again = _again(counted[-MOST_TIMES], where)
        return Refusal("skip", f"{remedy['id']} was done {len(counted)} times within a day already. {again}")
    if remedy["harmless"]:
        return None
    acts = [entry for entry in day if not entry["harmless"]]
    failures = _failures(acts)
    if len(failures) >= MOST_FAILURES:
        tried = ", ".join(entry["remedy"] for entry in failures)
        again = _again(failures[-MOST_FAILURES], where)
        return Refusal("needs_human", f"{len(failures)} repairs in a row did not help ({tried}). {again}")
    if len(acts) >= limits.per_day:
        return Refusal("blocked", f"{len(acts)} repairs were made within a day, and {limits.per_day} are allowed.")
    hour = [entry for entry in acts if _age(entry, now) < HOUR_S]
    if len(hour) >= limits.per_hour:
        return Refusal("blocked", f"{len(hour)} repairs were made within an hour, and {limits.per_hour} are allowed.")
    recent = [entry for entry in acts if entry["run"] != run and _age(entry, now) < limits.cooldown_s]
    if recent:
        last = recent[-1]
        return Refusal(
            "blocked",
            f"The last repair ({last['remedy']}) was made at {rfc3339(last['at'])}, and {limits.cooldown_s:g} s must "
            "pass before the next.",
        )
    return None


def _failures(acts: list[Entry]) -> list[Entry]:
    """Return the acts that did not help since the last one that did; one whose run was killed did not."""
    helped = [number for number, entry in enumerate(acts) if entry["outcome"] == "helped"]
    return acts[helped[-1] + 1 :] if helped else acts


def _age(entry: Mapping[str, Any], now: float) -> float:
    return max(0.0, now - float(entry["at"]))


def _again(last_to_go: Entry, where: Path) -> str:
    """Say when no more than may be is left of what counts: once C(last_to_go) is a day old."""
    return f"After {rfc3339(last_to_go['at'] + DAY_S)}, or once {where} is moved away, it may be tried again."


def _is_entry(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("at"), (int, float))
        and isinstance(item.get("harmless"), bool)
        and all(isinstance(item.get(name), str) for name in ("run", "cause", "remedy", "outcome"))
    )
