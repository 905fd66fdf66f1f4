# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where incidents are kept on the controller, and the windows of our own earlier probes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import incident, whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

PROBES_FILE = "probes.json"
KEEP_PROBES_S = 86400


def artifacts_dir(given: str | None, playbook_dir: str) -> Path:
    """The folder of incidents: what was given, else C(artifacts) beside the project that the playbook belongs to.

    A playbook of an installed collection belongs to no project of the user's: then it is the current folder's.
    """
    if given:
        return Path(os.path.expanduser(os.path.expandvars(given))).absolute()
    here = Path(playbook_dir).absolute()
    if "ansible_collections" in here.parts:
        return Path.cwd() / "artifacts"
    return (here.parent if here.name == "playbooks" else here) / "artifacts"


def state_dir(given: str | None, artifacts: str | None, playbook_dir: str) -> Path:
    """The folder of locks and ledgers: what was given, else C(state) among the artifacts."""
    if given:
        return Path(os.path.expanduser(os.path.expandvars(given))).absolute()
    return artifacts_dir(artifacts, playbook_dir) / "state"


def latest(folder: Path) -> str:
    """Return the name of the folder that C(latest) stands for: itself, or where links are impossible what it says."""
    try:
        return (folder / incident.LATEST).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return incident.LATEST


def find_incident(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the record of the incident C(name), an id or C(latest), in C(folder); None if there is none."""
    name = latest(folder) if name == incident.LATEST else name
    if not re.fullmatch(r"latest|[0-9]{8}T[0-9]{6}Z-[a-z0-9-]{1,65}", name):
        return None
    try:
        found: dict[str, Any] = incident.read(str(folder / name))
    except (OSError, ValueError):
        return None
    return None if incident.validate(found) else found


def read_probes(folder: Path, now: float) -> list[dict[str, Any]]:
    """The windows of our probes of the last day; a missing or damaged file means that none are known."""
    try:
        kept = json.loads((folder / PROBES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    kept = kept if isinstance(kept, list) else []
    return [probe for probe in kept if _is_window(probe) and probe["ended"] > now - KEEP_PROBES_S]


def _is_window(probe: object) -> bool:
    if not isinstance(probe, dict) or not isinstance(probe.get("ended"), (int, float)):
        return False
    return None not in (parse_time(probe.get("since")), parse_time(probe.get("until")))


def add_probes(folder: Path, probes: list[dict[str, Any]], now: float) -> None:
    """Remember the windows of this run's probes, each with C(since), C(until), C(what), and C(status) of a call.

    Raises OSError if they cannot be kept in C(folder).
    """
    with whole_file.alone(folder / f".{PROBES_FILE}.guard"):
        kept = read_probes(folder, now) + [{**probe, "ended": now} for probe in probes]
        whole_file.write(folder / PROBES_FILE, json.dumps(kept), whole_file.mode_of(folder))
