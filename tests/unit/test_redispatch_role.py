# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which room the role redispatch asks for the agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import ChainableUndefined, Environment

VARS = Path(__file__).resolve().parents[2] / "roles/redispatch/vars/main.yml"


def evidence(waiting_since: str | None) -> dict[str, Any]:
    signals = {"room": "theirs", "waiting_since": waiting_since}
    return {"ansible_facts": {"voiceops_evidence": {"client": {"signals": signals}}}}


@pytest.mark.parametrize(
    ("variables", "room"),
    [
        ({"ansible_facts": {}}, ""),
        ({"ansible_facts": {"voiceops_evidence": {}}}, ""),
        (evidence("2026-02-06T22:39:00.000Z"), "theirs"),
        (evidence(None), ""),
        ({**evidence("2026-02-06T22:39:00.000Z"), "voiceops_room": "named"}, "named"),
        ({**evidence("2026-02-06T22:39:00.000Z"), "voiceops_room": None}, "theirs"),
    ],
)
def test_the_room_is_the_one_that_the_verdict_is_about(variables: dict[str, Any], room: str) -> None:
    text = yaml.safe_load(VARS.read_text(encoding="utf-8"))["redispatch_room"]
    # As Ansible does: what is undefined may be looked into.
    assert Environment(undefined=ChainableUndefined).from_string(text).render(variables) == room
