# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader of a repair asks first: did it help, how is that proven, what was done, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.remediation import VERDICTS
from ansible_collections.voiceops.livekit.plugins.module_utils.report_terminal import Page, continued, mark, some
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clock, plain
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import Incident
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import next_step as diagnosed_next_step

_STATES = {"repaired": "healthy", "not_needed": "healthy", "not_repaired": "faulty", "broken": "faulty"}
_APPROVE = "ansible-playbook playbooks/remediate.yml -e voiceops_approve=true"


def told(incident: Incident) -> dict[str, Any] | None:
    """Return what all reports tell of the record's remediation; None if none was tried.

    C(state) is healthy, faulty or unknown; C(pair), C(plan) and C(steps) are lines; C(command) is what to type next.
    """
    found = incident["remediation"]
    return None if found is None else _told(incident, found)


def next_step(incident: Incident) -> dict[str, str]:
    """Return what to do next, as L(report_view.next_step) does; once a repair has ended, by how it ended."""
    found = incident["remediation"]
    if found is None or found["verdict"] is None:
        return diagnosed_next_step(incident)
    ended = VERDICTS[found["verdict"]]
    if _STATES.get(found["verdict"]) == "healthy":
        return {"say": f"Nothing more to do: {ended}.", "command": ""}
    return {
        "say": " ".join([f"{ended.capitalize()}.", *found["because"]]),
        "command": _command(incident, found["verdict"]),
    }


def _told(incident: Incident, found: Mapping[str, Any]) -> dict[str, Any]:
    verdict = found["verdict"]
    return {
        "verdict": verdict or "interrupted",
        "state": _STATES.get(verdict, "unknown"),
        "meaning": VERDICTS.get(verdict, "the run was killed; the steps tell what it had done by then"),
        "title": found["title"] or incident["verdict"]["title"],
        "because": found["because"],
        "pair": [line for half in ("before", "after") if (line := _standing(half, found[half]))],
        "plan": [_rung(each, found["verdict"]) for each in found["plan"]],
        "steps": [_step(each) for each in found["steps"]],
        "output": [line for each in found["steps"] for line in each["output"]],
        "command": _command(incident, verdict),
        "based_on": found["based_on"],
    }


def terminal(
    incident: Incident, width: int = 80, *, colour: bool = False, unicode: bool = True, where: str = ""
) -> str:
    """Return the ending of the repair that the record tells of, as lines of at most C(width) columns.

    There is no newline at the end.

    C(unicode), C(colour) and C(where) are as of the ending of a diagnosis.
    """
    repair = _told(incident, incident["remediation"])
    page = Page(width, colour, unicode)
    sign = mark(repair["state"], unicode)
    page.section("REPAIR", [f"{sign} {repair['verdict']}: {repair['meaning']}"], repair["state"], lines_each=3)
    page.section("CAUSE", [repair["title"]], lines_each=3)
    page.section("WHY", some(repair["because"], 5), lines_each=9)
    page.section("PROOF", repair["pair"], lines_each=4)
    page.section("PLAN", repair["plan"], lines_each=3)
    page.section("DONE", some(repair["steps"], 9), lines_each=3)
    if repair["command"]:
        page.line()
        page.section("NEXT", ["Type:"])
        page.line()
        page.command(continued(plain(repair["command"])))
        page.line()
    if where:
        page.label("REPORT", where)
    return page.text()


def _standing(half: str, found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    test = {True: "passes", False: "fails", None: "is not decided"}[found["joined"]]
    line = f"{half}: the dispatch test {test} ({found['summary']}); the cause is {found['cause'].replace('_', ' ')}"
    heard = found.get("callbacks")
    if heard is None:
        return line
    counts = [f"{heard[name]} in the {name}" for name in ("journal", "inspector") if heard[name] is not None]
    return f"{line}; the agent's calls meanwhile: {', '.join(counts) or 'not known'}"


def _rung(each: dict[str, Any], verdict: str | None) -> str:
    waits = "" if each["permitted"] else ", needs approval"
    cuts = ", only while nobody is served" if each["cuts_sessions"] else ""
    how = f": {each['command']}" if verdict in ("planned", "needs_approval") else ""
    return f"{each['remedy']} on {each['host']}{waits}{cuts}{how}"


def _step(each: dict[str, Any]) -> str:
    took = f" ({each['took_s']:g} s)" if each["took_s"] is not None else ""
    name = f"{each['remedy']}, {each['outcome']}: " if each["remedy"] else ""
    said = f" — {each['output'][0]}" if each["output"] else ""
    return f"{clock(each['at'], seconds=True)} {name}{each['what']}{took}{said}"


def _command(incident: Incident, verdict: str | None) -> str:
    if verdict == "needs_approval":
        return f"{_APPROVE} -e voiceops_incident_id={incident['incident_id']}"
    remedy = incident["verdict"]["remedy"]
    tried = [each["remedy"] for each in incident["remediation"]["steps"] if each["outcome"] == "done"]
    if verdict in ("needs_human", "not_repaired", "broken") and remedy and remedy["id"] not in tried:
        return str(remedy["command"] or "")
    return ""
