# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the repair share: what is broken, the playbook that repairs it, and what it left behind."""

from __future__ import annotations

import json
from typing import Any

from .conftest import Lab, Play

APPROVED = ("-e", "voiceops_approve=true")
DORMANT = {"wakes": False, "deployments": [{"status": "Sleeping", "replicas": 0}], "versions": [{"status": "Sleeping"}]}
STOPPED = {"active": "inactive", "sub": "dead", "started_at": None}
DOWN = {"attempt": {"given": True, "at": "-6m"}, "api": {"state": "down"}, "pi": {"unit": STOPPED}}
ASLEEP = {"attempt": {"given": True, "at": "-6m"}, "cloud": {"agent": DORMANT}}


def repair(lab: Lab, *arguments: str, **environment: str) -> Play:
    return lab.play("remediate.yml", *arguments, **environment)


def remediation(play: Play) -> dict[str, Any]:
    found: dict[str, Any] = play.incident["remediation"]
    return found


def acts(play: Play) -> list[tuple[str, str]]:
    return [(step["remedy"], step["outcome"]) for step in remediation(play)["steps"] if step["remedy"]]


def told(play: Play) -> str:
    """The ending that the operator reads, on one line."""
    ending = play.output[play.output.index("\n REPAIR ") :].partition("\n REPORT ")[0]
    # A command to paste may be longer.
    assert max(map(len, ending.partition("\n NEXT ")[0].splitlines())) <= 80
    return " ".join(ending.split())


def state(play: Play) -> list[str]:
    """The locks and ledgers that are left."""
    return sorted(path.name for path in (play.artifacts / "state").glob("[!.]*"))


def ledger(play: Play) -> list[dict[str, Any]]:
    (path,) = (play.artifacts / "state").glob("[!.]*.ledger.json")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
