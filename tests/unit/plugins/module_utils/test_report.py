# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: it says what the record says, fits where it is shown, and lets no markup of the outside through."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import report
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.report_tree import decision_tree, flatten

FIXTURES = Path(__file__).parents[2] / "fixtures" / "incidents"
NAMES = ("dormant", "pi_unreachable", "healthy", "hostile")
# The keys and sections of the team's post-mortem of 2026-02-06.
FRONT_MATTER = [
    "title",
    "category",
    "component",
    "symptoms",
    "root_cause",
    "date_solved",
    "severity",
    "tags",
    "related",
]
SECTIONS = [
    "Problem",
    "Symptoms",
    "Investigation Steps",
    "Root Cause",
    "Solution",
    "Quick Diagnostic Checklist",
    "Decision Tree",
    "Important Notes",
]


def load(name: str, **changes: Any) -> dict[str, Any]:
    return assemble(**{**yaml.safe_load((FIXTURES / f"{name}.yml").read_text(encoding="utf-8")), **changes})


class Page(html.parser.HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outside_of_code(markdown: str) -> list[str]:
    """Return the lines of a document that a renderer would take for more than code."""
    lines, fence = [], ""
    for line in markdown.split("---\n", 2)[2].splitlines():
        start = re.match(r"`{3,}", line)
        if fence:
            fence = "" if re.fullmatch(f" {{0,3}}{fence}`*\\s*", line) else fence
        elif start:
            fence = start[0]
        else:
            lines.append(re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", line))
    assert fence == ""
    return lines


# --- the page


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_else_and_runs_nothing(name: str) -> None:
    text = report.html(load(name))
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert page.tags.count("style") == page.tags.count("svg") == page.tags.count("h1") == 1
    for attribute, value in page.attributes:
        assert not attribute.startswith("on")
        assert attribute not in ("src", "action", "data", "xlink:href")
        assert attribute != "href" or value.startswith("#")
    assert not re.search(r"url\(|@import", text.split("</style>")[0])


def test_links_within_the_page_lead_somewhere() -> None:
    page = Page(report.html(load("dormant")))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for name, value in page.attributes if name in ("href", "aria-labelledby")} <= set(
        ids
    )


def test_hostile_evidence_is_shown_as_the_text_that_it_is() -> None:
    text = report.html(load("hostile"))
    page = Page(text)
    for number in (1, 2, 4, 5, 6, 8, 9, 10):
        assert f"alert({number})" in page.text
    assert "{{ lookup('pipe', 'id') }}" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not set(text) & set("\x1b\x07\u202e\u200b")


def test_the_page_says_what_the_record_says() -> None:
    incident = load("dormant")
    text = " ".join(Page(report.html(incident)).text.split())
    told = [
        incident["verdict"]["title"],
        *incident["verdict"]["because"],
        incident["verdict"]["remedy"]["command"],
        *incident["red_herrings"],
        *(record["summary"] for record in incident["evidence"].values()),
        *(" ".join(record["repeat"].split()) for record in incident["evidence"].values()),
        *(
            cause["title"]
            for cause in incident["causes"]
            if cause["state"] == "ruled_out" and "healthy" not in cause["id"]
        ),
        *(limit for record in incident["evidence"].values() for limit in record["limits"]),
        *(entry["what"] for entry in incident["timeline"]),
        "silence_countsyes",
        "agent_stateunknown",
    ]
    assert [sentence for sentence in told if " ".join(sentence.split()) not in text] == []


def test_what_could_not_be_known_is_told_with_what_would_decide_it() -> None:
    incident = load("pi_unreachable")
    text = " ".join(Page(report.html(incident)).text.split())
    for sentence in (*incident["verdict"]["needs"], *incident["problems"], "No route to host", "What would decide it"):
        assert sentence in text


def test_a_name_that_a_template_misspells_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "incident.html.j2").write_text("{{ verdict.titel }}", encoding="utf-8")
    monkeypatch.setattr(report, "TEMPLATES", tmp_path)
    with pytest.raises(jinja2.UndefinedError, match="titel"):
        report.html(load("dormant"))


# --- the decision tree


def path_of(incident: dict[str, Any]) -> list[str]:
    return [
        node["answer"] or node["text"].split(" →")[0]
        for _drawn, node in flatten(decision_tree(incident))
        if node["on_path"]
    ]


ROOT, QUESTION = 'Voice "Waiting for agent..."', "Callbacks in the service's log?"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("dormant", [ROOT, QUESTION, "NO", "Agent sleeps and is not woken"]),
        ("pi_unreachable", [ROOT, QUESTION, "?", "Host not reachable"]),
        ("healthy", [ROOT, "An agent joins"]),
        ("hostile", [ROOT, "ELSE"]),
    ],
)
def test_the_path_leads_from_the_question_to_the_verdict(name: str, path: list[str]) -> None:
    assert path_of(load(name)) == path


@pytest.mark.parametrize(("calls", "no", "yes"), [(0, "yes", "no"), (2, "no", "yes"), (None, "unknown", "unknown")])
def test_a_branch_is_taken_only_if_the_evidence_decides(calls: int | None, no: str, yes: str) -> None:
    incident = load("dormant")
    incident["evidence"]["service"]["signals"]["calls"] = calls
    states = {node["answer"]: node["state"] for _drawn, node in flatten(decision_tree(incident))}
    assert (states["NO"], states["YES"]) == (no, yes)


def test_a_cause_without_evidence_is_a_question() -> None:
    leaves = {node["text"]: node["state"] for _drawn, node in flatten(decision_tree(load("pi_unreachable")))}
    assert leaves["500 + P2003 → user does not exist in the database"] == "unknown"
    assert leaves["401 / 403 → service key mismatch"] == "no"


def test_an_undecided_verdict_ends_at_the_branch_that_is_open() -> None:
    incident = load("pi_unreachable")
    incident["verdict"]["id"] = "inconclusive"
    assert path_of(incident) == [ROOT, QUESTION, "?"]


# --- the post-mortem


@pytest.mark.parametrize("name", NAMES)
def test_the_post_mortem_has_the_teams_front_matter_and_sections(name: str) -> None:
    text = report.markdown(load(name))
    start, front, _rest = text.split("---\n", 2)
    assert start == ""
    loaded = yaml.safe_load(front)
    assert list(loaded) == FRONT_MATTER
    assert isinstance(loaded["symptoms"], list)
    headings = [line[3:] for line in outside_of_code(text) if line.startswith("## ")]
    assert headings == SECTIONS
    assert len([line for line in outside_of_code(text) if line.startswith("### ")]) == 8


def test_the_post_mortem_tells_the_incident() -> None:
    text = report.markdown(load("dormant"))
    front = yaml.safe_load(text.split("---\n", 2)[1])
    assert front["root_cause"] == "The agent sleeps and a new session does not wake it"
    assert (front["severity"], front["component"], front["date_solved"]) == ("high", "livekit-cloud-agent", None)
    assert "No callback of the agent reached the service" in front["symptoms"]
    assert "```bash\ncd livekit-agent && lk agent deploy\n```" in text
    assert "◀ here" in text
    assert text.count("◀ here") == 1


def test_hostile_evidence_breaks_neither_front_matter_nor_fences_and_injects_nothing() -> None:
    text = report.markdown(load("hostile"))
    lines = outside_of_code(text)
    assert not [line for line in lines if "<" in line or "{{" in line or "{%" in line]
    assert not [line for line in lines if re.search(r"(?<!\\)\[[^\]]*[^\\]\]\(", line)]
    assert not [line for line in lines if line.strip() in ("---", "***", "===")]
    assert not [line for line in lines if re.match(r"# ", line)][1:]
    assert yaml.safe_load(text.split("---\n", 2)[1])["title"].startswith("<script>alert(1)</script> {{ 7 * 7 }}")
    assert not set(text) & set("\x1b\x07\u202e\u200b\r")


@pytest.mark.parametrize("evil", ["`", "``` `` ````", "a`b``c", "`start", "end`", ""])
def test_code_is_held_by_more_backticks_than_it_has(evil: str) -> None:
    incident = load("dormant")
    incident["evidence"]["agent"]["repeat"] = f"{evil} $(x) **b** <i>"
    assert not [line for line in outside_of_code(report.markdown(incident)) if "<i>" in line]


STEP = {"at": "2026-02-06T22:50:00Z", "what": "New containers", "took_s": 9.0, "output": []}


def repaired(verdict: str | None, *because: str, done: str = "restart_agent") -> dict[str, Any]:
    """The dormant agent's incident after a repair that ended so."""
    remediation = {
        **dict.fromkeys(("based_on", "before", "after")),
        **{"run": "x", "cause": "cloud_agent_dormant_no_wake", "title": "It sleeps", "plan": []},
        **{"steps": [{**STEP, "remedy": done, "outcome": "done"}], "verdict": verdict, "because": [*because]},
    }
    return {**load("dormant"), "remediation": remediation}


@pytest.mark.parametrize("verdict", ["repaired", "not_needed"])
def test_after_a_repair_that_helped_nobody_is_told_to_deploy(verdict: str) -> None:
    incident = repaired(verdict, "The dispatch test passes now.")

    assert "Nothing more to do" in report.html(incident)
    assert "Nothing more to do" in report.markdown(incident)
    assert 'class="command"' not in report.html(incident)
    assert "```bash\ncd livekit-agent && lk agent deploy\n```" not in report.markdown(incident)


@pytest.mark.parametrize(
    ("incident", "say", "command"),
    [
        (repaired("needs_approval", "restart_agent needs approval."), "needs approval.", "voiceops_approve=true"),
        (repaired("blocked", "2 sessions would be cut off."), "2 sessions would be cut off.", None),
        (repaired("not_repaired", "Tried in vain: redeploy_agent.", done="redeploy_agent"), "Tried in vain", None),
        (repaired("not_repaired", "Tried in vain: restart_agent."), "Tried in vain", "lk agent deploy"),
        (repaired(None), "", "lk agent deploy"),
    ],
    ids=["approve", "blocked", "all tried", "one is left", "interrupted"],
)
def test_what_is_next_follows_how_the_repair_ended(incident: dict[str, Any], say: str, command: str | None) -> None:
    page = report.html(incident)

    following = page[page.index("<h2>Next</h2>") : page.index("</div>", page.index("<h2>Next</h2>"))]
    assert say in following
    assert ('class="command"' in following) is bool(command)
    assert (command or "") in following
