# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task as a playbook runs it: what it writes, shows and returns."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.voiceops.livekit.plugins.action import incident as action
from ansible_collections.voiceops.livekit.plugins.plugin_utils import ending

FIXTURES = Path(__file__).parents[2] / "fixtures" / "incidents"
STARTED_AT = 1770418152.48


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(ending, "Display", lambda: SimpleNamespace(display=lines.append))
    return lines


def run(artifacts: Path, **changes: Any) -> dict[str, Any]:
    findings = yaml.safe_load((FIXTURES / "dormant.yml").read_text(encoding="utf-8"))
    names = ("verdict", "causes", "evidence", "timeline", "clocks", "red_herrings")
    args = {
        **{name: findings[name] for name in names},
        "artifacts": str(artifacts),
        "run": {"started_at": STARTED_AT, "attempt": findings["attempt"], "problems": ["voiceops_window: no"]},
        **changes,
    }
    task = SimpleNamespace(args=args, async_val=0, check_mode=True, action="voiceops.livekit.incident", diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    module = action.ActionModule(task, connection, SimpleNamespace(), None, None, None)
    return module.run(task_vars={"playbook_dir": "/nowhere"})


def test_it_writes_the_record_and_returns_what_awx_wants(tmp_path: Path, shown: list[str]) -> None:
    result = run(tmp_path)
    assert result["automatic"] is True
    assert (result["verdict"], result["state"], result["action"]) == (
        "cloud_agent_dormant_no_wake",
        "fault",
        "redeploy_agent",
    )
    assert result["changed"] is False
    assert result["path"] == str(tmp_path / result["incident_id"])
    assert result["incident_id"].startswith("20260206T224912Z-cloud-agent-dormant-no-wake-")
    written = sorted(entry.name for entry in Path(result["path"]).iterdir())
    assert written == ["incident.html", "incident.json", "incident.md"]
    record = json.loads((Path(result["path"]) / "incident.json").read_text(encoding="utf-8"))
    assert record["started_at"] == "2026-02-06T22:49:12.480Z"
    assert record["problems"] == ["voiceops_window: no"]
    assert "cd livekit-agent && lk agent deploy" in shown[0]
    assert result["path"] in shown[0]


def test_a_secret_gets_nowhere(tmp_path: Path, shown: list[str]) -> None:
    secret = "correct-horse-battery-staple"
    result = run(tmp_path, secrets=[secret], notes=[f"the key is {secret}"], red_herrings=[f"x{secret}x"])
    written = [entry.read_text(encoding="utf-8") for entry in Path(result["path"]).iterdir()]
    assert not [text for text in (*written, *shown, str(result)) if secret in text]
    assert all("the key is [redacted]" in " ".join(text.replace("\\", "").split()) for text in (*written, *shown))


def test_where_nothing_can_be_written_the_ending_is_still_shown(
    tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run(tmp_path / "file")
    assert result["failed"] is True
    assert result["msg"].startswith("voiceops_artifacts: expected a folder that can be written to, got ")
    assert result["path"] == ""
    assert "VERDICT" in shown[0]


def test_findings_that_make_no_valid_record_are_told_in_sentences(tmp_path: Path, shown: list[str]) -> None:
    with pytest.raises(AnsibleActionFail, match=r"verdict: 'title' is a required property"):
        run(tmp_path, verdict={"id": "x"})
    assert shown == []
