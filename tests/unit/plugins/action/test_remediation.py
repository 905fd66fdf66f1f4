# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a repair one after the other, as the playbook takes them, and a run that is killed after any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.voiceops.livekit.plugins.action import remediation as action
from ansible_collections.voiceops.livekit.plugins.module_utils import incident as incidents
from ansible_collections.voiceops.livekit.plugins.module_utils import ledger
from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import load
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339
from ansible_collections.voiceops.livekit.plugins.plugin_utils import ending

from ...evidence import CONTEXT, edge_error, evidence

FOLDER = Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"
RULES = load(str(FOLDER))
DOWN = {
    "service": {"active": False, "active_state": "inactive", "sub_state": "dead", "port_open": False},
    **edge_error("ERR_NGROK_8012", 502),
}
AGENT = "project/agent"
DONE = {"changed": True, "summary": "Started it.", "steps": [{"what": "systemctl start", "output": ["ok"]}]}
STEPS = ("plan", "may", "acted", "proven", "end")


def diagnosed(*changes: dict[str, Any]) -> dict[str, Any]:
    records = evidence(*changes)
    return {"evidence": records, **classify(records, RULES, CONTEXT)}


def recorded(artifacts: Path) -> str:
    """Write the record of a diagnosis that found the service down; give its folder."""
    found = diagnosed(DOWN)
    record = incidents.assemble(
        started_at="2026-02-06T22:49:12.480Z",
        finished_at="2026-02-06T22:49:14.480Z",
        **{name: found[name] for name in ("verdict", "causes", "evidence", "conflicts")},
        timeline=[],
        red_herrings=[],
        **{name: CONTEXT[name] for name in ("attempt", "settings")},
        clocks={},
        notes=[],
        problems=[],
    )
    path, problems, error = incidents.keep(record, str(artifacts), {})
    assert (problems, error) == ([], None)
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(ending, "Display", lambda: SimpleNamespace(display=lines.append))
    return lines


def take(step: str, artifacts: Path, path: str, **options: Any) -> dict[str, Any]:
    """Take one step of a repair, with what the playbook would know by then."""
    knows: dict[str, dict[str, Any]] = {
        "plan": {"groups": {"voice_service": ["pi-hub"]}, "rules_dir": str(FOLDER)},
        "may": {"client": evidence()["client"]},
        "acted": {"result": DONE},
        "proven": {"judged": diagnosed()},
    }
    args = {
        "step": step,
        "path": path,
        "artifacts": str(artifacts),
        "agent": AGENT,
        "remedy": "start_service",
        **knows.get(step, {}),
        **options,
    }
    task = SimpleNamespace(args=args, async_val=0, check_mode=False, action="voiceops.livekit.remediation", diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    module = action.ActionModule(task, connection, SimpleNamespace(), None, None, None)
    return module.run(task_vars={"playbook_dir": "/nowhere"})


def repaired(artifacts: Path, steps: tuple[str, ...] = STEPS, **options: Any) -> dict[str, Any]:
    """Take the steps of a new run as far as the playbook would; give its remediation."""
    path = recorded(artifacts)
    needs = {"plan": "is_open", "may": "go", "acted": "acted"}
    rest = list(steps)
    while rest:
        step = rest.pop(0)
        found = take(step, artifacts, path, **options)
        if step in needs and not found[needs[step]]:
            rest = [each for each in rest if each == "end"]
    remediation: dict[str, Any] = incidents.read(path)["remediation"]
    return remediation


def outcomes(artifacts: Path) -> list[str]:
    return [entry["outcome"] for entry in ledger.read(artifacts / "state", AGENT)]


def locks(artifacts: Path) -> list[str]:
    return [path.name for path in (artifacts / "state").glob("*.lock")]


def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_that_goes_well(tmp_path: Path, shown: list[str]) -> None:
    found = repaired(tmp_path)
    assert (found["verdict"], found["cause"]) == ("repaired", "service_down")
    assert [step["outcome"] for step in found["steps"]] == ["done", "helped"]
    assert found["steps"][0]["output"] == ["Started it.", "systemctl start", "ok"]
    assert (outcomes(tmp_path), locks(tmp_path)) == (["helped"], [])
    assert "repaired: the cause is gone, and an agent joins" in shown[-1]


def test_what_may_have_helped_is_not_written_down_as_help(tmp_path: Path, shown: list[str]) -> None:
    records = evidence(edge_error("ERR_NGROK_3200", 404), without=("service",))
    judged = {"evidence": records, **classify(records, RULES, CONTEXT)}
    path = recorded(tmp_path)
    for step in STEPS:
        take(step, tmp_path, path, **({"judged": judged} if step == "proven" else {}))
    found = incidents.read(path)["remediation"]
    assert (found["verdict"], found["steps"][-1]["outcome"]) == ("needs_human", "not_proven")
    assert outcomes(tmp_path) == ["failed"]


@pytest.mark.parametrize(
    ("killed_after", "left", "then"),
    [
        ("plan", [], ["helped"]),
        ("may", ["started"], ["started", "helped"]),
        ("acted", ["started"], ["started", "helped"]),
        ("proven", ["helped"], ["helped", "helped"]),
    ],
)
def test_a_run_that_is_killed_after_any_step_leaves_what_the_next_one_can_go_on_from(
    tmp_path: Path,
    shown: list[str],
    monkeypatch: pytest.MonkeyPatch,
    killed_after: str,
    left: list[str],
    then: list[str],
) -> None:
    with monkeypatch.context() as dead:
        gone = dead_process()
        dead.setattr(os, "getppid", lambda: gone)
        killed = repaired(tmp_path, STEPS[: STEPS.index(killed_after) + 1])
    assert incidents.validate(incidents.read(str(tmp_path / "latest"))) == []
    assert (killed["verdict"] is None) is (killed_after != "proven")
    assert outcomes(tmp_path) == left
    assert len(locks(tmp_path)) == 1

    # A repair that had begun counts, whoever was killed over it.
    early = repaired(tmp_path)
    assert early["verdict"] == ("blocked" if left else "repaired")
    told = [step["what"] for step in early["steps"] if "The lock was taken over from run" in step["what"]]
    assert [killed["run"] in each for each in told] == [True]
    assert locks(tmp_path) == []

    later = repaired(tmp_path, cooldown="0s") if left else early
    assert (later["verdict"], outcomes(tmp_path)) == ("repaired", then)
    assert locks(tmp_path) == []


def test_a_run_that_is_alive_keeps_the_next_one_out(tmp_path: Path, shown: list[str]) -> None:
    first = repaired(tmp_path, STEPS[:1])
    second = repaired(tmp_path)
    assert (second["verdict"], second["steps"]) == ("blocked", [])
    assert f"Run {first['run']} of " in second["because"][0]
    assert len(locks(tmp_path)) == 1


def test_a_run_that_lost_its_lock_meanwhile_does_not_act(tmp_path: Path, shown: list[str]) -> None:
    path = recorded(tmp_path)
    take("plan", tmp_path, path)
    (held,) = (tmp_path / "state").glob("*.lock")
    held.write_text(json.dumps({"run": "theirs", "host": "there", "since": rfc3339(time.time())}), encoding="utf-8")
    found = take("may", tmp_path, path)
    assert (found["go"], found["verdict"]) == (False, "blocked")
    assert "Run theirs of " in found["because"][0]
    take("end", tmp_path, path)
    assert (outcomes(tmp_path), len(locks(tmp_path))) == ([], 1)


@pytest.mark.parametrize(
    ("result", "verdict", "outcome", "entries"),
    [
        ({"changed": False, "reason": "rate_limited", "summary": "s"}, "blocked", "refused", []),
        ({"changed": False, "reason": "refused", "summary": "s"}, "blocked", "refused", []),
        ({"changed": True, "reason": "rate_limited", "summary": "s"}, "broken", "failed", ["failed"]),
        ({"changed": False, "reason": "late", "summary": "s"}, "broken", "failed", ["failed"]),
        ({}, "broken", "failed", ["failed"]),
    ],
)
def test_an_act_that_failed_counts_unless_it_is_certain_that_nothing_was_done(
    tmp_path: Path, shown: list[str], result: dict[str, Any], verdict: str, outcome: str, entries: list[str]
) -> None:
    path = recorded(tmp_path)
    for step in ("plan", "may"):
        take(step, tmp_path, path)
    take("acted", tmp_path, path, result=result, failure="it did not work")
    take("end", tmp_path, path)
    found = incidents.read(path)["remediation"]
    assert (found["verdict"], found["steps"][0]["outcome"]) == (verdict, outcome)
    assert found["because"] == ["start_service failed: it did not work"]
    assert (outcomes(tmp_path), locks(tmp_path)) == (entries, [])


def test_a_host_that_could_not_be_reached_is_named(tmp_path: Path, shown: list[str]) -> None:
    path = recorded(tmp_path)
    for step in ("plan", "may"):
        take(step, tmp_path, path)
    take("acted", tmp_path, path, result={})
    assert incidents.read(path)["remediation"]["because"] == ["start_service failed: pi-hub could not be reached"]


def test_what_is_secret_is_masked_before_it_is_written(tmp_path: Path, shown: list[str]) -> None:
    secret = "a-password-of-theirs"
    path = recorded(tmp_path)
    for step in ("plan", "may"):
        take(step, tmp_path, path)
    told = {**DONE, "steps": [{"what": "start", "output": [f"with {secret} in"]}]}
    take("acted", tmp_path, path, result=told, secrets=[secret])
    written = (Path(path) / "incident.json").read_text(encoding="utf-8")
    assert secret not in written
    assert json.loads(written)["remediation"]["steps"][0]["output"][0] == "Started it."


@pytest.mark.parametrize(
    ("now", "told"), [(1770417000.0, "in the future"), (1770420000.0, "is 31 minutes old")], ids=["set back", "old"]
)
def test_an_earlier_incident_must_be_recent_by_a_clock_that_was_set_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float, told: str
) -> None:
    path = recorded(tmp_path)
    identity = incidents.read(path)["incident_id"]
    monkeypatch.setattr(action.time, "time", lambda: now)
    with pytest.raises(AnsibleActionFail, match=f"voiceops_incident_id: expected an incident of the last 30m.*{told}"):
        take("plan", tmp_path, path, based_on=identity)


def test_a_host_that_the_run_leaves_out_is_not_said_to_be_out_of_reach(tmp_path: Path, shown: list[str]) -> None:
    path = recorded(tmp_path)
    found = take("plan", tmp_path, path, play_hosts=["localhost", "mac"])
    assert (found["verdict"], found["because"]) == (
        "blocked",
        ["start_service runs on pi-hub, which this run leaves out (--limit)."],
    )
    assert take("plan", tmp_path, recorded(tmp_path), play_hosts=["localhost", "pi-hub"])["is_open"] is True
