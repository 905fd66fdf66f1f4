# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the canary keeps of one agent beside the ledger: its state, and the history of its runs as lines of JSON.

Only the holder of the canary's lock may write. A history line is a run as canary.advance() makes it, or C(at) and
C(opened), the incident that a run opened. The history is bounded by its size alone, since a clock that leaps must not
cost it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import canary, whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.lock import slug
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

# At about 400 bytes a line and a run every 15 minutes, more than 100 days; once it is full, the older half goes.
MOST_BYTES = 4 * 1024 * 1024


class Kept(NamedTuple):
    """The state, and a sentence if it could not be taken from the file."""

    state: canary.State
    problem: str = ""


class History(NamedTuple):
    """The entries in the order of the file, and how many lines were none."""

    entries: list[dict[str, Any]]
    damaged: int


def lock_name(agent: str) -> str:
    """Return the name under which canary runs of one agent keep each other out."""
    # No agent's name has a null character, so that its repairs are not kept out by another's canary.
    return f"{agent}\0canary"


def state_path(folder: Path, agent: str) -> Path:
    """Return the state's file."""
    return folder / f"{slug(agent)}.canary.json"


def history_path(folder: Path, agent: str) -> Path:
    """Return the history's file."""
    return folder / f"{slug(agent)}.canary.jsonl"


def read(folder: Path, agent: str, now: float) -> Kept:
    """Read the state, settled for the clock; a new one if there is none.

    A damaged file does not stop the canary, and gives no early probe: it is put aside, and the interval begins anew.
    Raises OSError if the file can be neither read nor put aside.
    """
    path = state_path(folder, agent)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Kept(canary.new_state())
    except (ValueError, RecursionError):
        found = None
    if canary.is_state(found):
        return Kept(canary.settled(found, now))
    aside = path.with_suffix(".damaged")
    os.replace(path, aside)
    problem = f"The canary's state was damaged and is now {aside}: the next dispatch is tried an interval from now."
    return Kept(canary.damaged_state(now), problem)


def write(folder: Path, agent: str, state: canary.State) -> None:
    """Keep the state. Raises OSError if it cannot be written."""
    whole_file.write(state_path(folder, agent), json.dumps(state, indent=1) + "\n", whole_file.mode_of(folder))


def append(folder: Path, agent: str, entry: Mapping[str, Any], most_bytes: int = MOST_BYTES) -> None:
    """Add a line to the history, whole even after one that was torn. Raises OSError if it cannot be written."""
    path = history_path(folder, agent)
    line = json.dumps(entry, ensure_ascii=True, separators=(",", ":")) + "\n"
    with open(whole_file.open_shared(path), "r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else f"\n{line}"
        stream.write(line.encode("ascii"))
        stream.flush()
        os.fsync(stream.fileno())
    if size + len(line) > most_bytes:
        _shorten(path, most_bytes // 2)


def history(folder: Path, agent: str) -> History:
    """Read the history; what is no entry, such as a torn line, is counted and left out. Raises OSError."""
    try:
        lines = history_path(folder, agent).read_bytes().splitlines()
    except FileNotFoundError:
        return History([], 0)
    entries = [entry for entry in map(_entry, lines) if entry is not None]
    return History(entries, len(lines) - len(entries))


def _shorten(path: Path, most_bytes: int) -> None:
    """Keep the newest whole lines."""
    kept = path.read_bytes()[-most_bytes:].partition(b"\n")[2]
    whole_file.write(path, kept.decode("utf-8", errors="replace"), whole_file.mode_of(path.parent))


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or parse_time(found.get("at")) is None:
        return None
    if isinstance(found.get("opened"), str):
        return found
    layers, test = found.get("layers"), found.get("test")
    whole = (
        found.get("state") in canary.RUN_STATES
        and isinstance(layers, dict)
        and isinstance(found.get("because"), dict)
        and (test is None or (isinstance(test, dict) and test.get("outcome") in canary.OUTCOMES))
    )
    return found if whole else None
