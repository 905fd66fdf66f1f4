# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: it says what the record says, fits where it is shown, and lets no markup of the outside through."""

from __future__ import annotations

import html.parser
import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import report
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.report_chart import GAP, chart
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clip, plain, to_ascii, width, wrap
from ansible_collections.voiceops.livekit.plugins.module_utils.report_tree import decision_tree, flatten
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import next_step

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
            fence = "" if line == fence else fence
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


# --- the time line


@pytest.mark.parametrize("name", NAMES)
def test_marks_stand_in_the_order_of_time_on_a_true_axis(name: str) -> None:
    drawing = chart(load(name))
    marks = drawing["marks"]
    assert [mark["time"] for mark in marks] == sorted(mark["time"] for mark in marks)
    first, last = marks[0], marks[-1]
    scale = (last["y"] - first["y"]) / (last["time"] - first["time"])
    for mark in marks:
        assert mark["y"] == pytest.approx(first["y"] + (mark["time"] - first["time"]) * scale, abs=0.2)
        assert 0 <= mark["y"] <= drawing["height"]
    ticks = [tick["y"] for tick in drawing["ticks"]]
    assert len(ticks) >= 2
    assert ticks == sorted(ticks)


def test_the_drawn_positions_are_those_of_the_layout() -> None:
    incident = load("dormant")
    drawn = re.findall(
        r'<g class="mark-\w+" data-at="([^"]+)" transform="translate\([\d.]+ ([\d.]+)\)"', report.html(incident)
    )
    assert drawn == [(mark["at"], str(mark["y"])) for mark in chart(incident)["marks"]]
    assert [float(y) for _at, y in drawn] == sorted(float(y) for _at, y in drawn)


def test_labels_never_cover_each_other_and_stay_inside() -> None:
    events = [
        {
            "at": f"2026-02-06T22:{minute:02}:30Z",
            "layer": "service",
            "host": "pi",
            "what": f"event {number}",
            "self": False,
        }
        for minute in (29, 39, 48)
        for number in range(8)
    ]
    drawing = chart(load("dormant", timeline=events))
    places = [mark["label_y"] for mark in drawing["marks"]]
    assert all(below - above >= GAP - 0.2 for above, below in itertools.pairwise(places))
    assert places[0] >= 0
    assert places[-1] + GAP / 2 <= drawing["height"]


def test_neighbours_are_drawn_side_by_side() -> None:
    at_22_39 = [mark["column"] for mark in chart(load("dormant"))["marks"] if mark["at"].startswith("2026-02-06T22:3")]
    assert at_22_39 == [0, 0, 1, 2]


def test_what_is_far_away_does_not_squeeze_the_axis() -> None:
    drawing = chart(load("dormant"))
    assert [mark["at"][:10] for mark in drawing["before"]] == ["2026-02-04", "2026-02-05"]
    assert drawing["ticks"][0]["label"] == "22:30"


def test_ours_are_labelled_and_repeats_are_joined() -> None:
    call = {"at": "2026-02-06T22:39:05Z", "layer": "service", "host": "pi", "what": "HTTP 500", "self": False}
    own = {**call, "at": "2026-02-06T22:48:00Z", "self": True}
    marks = chart(load("dormant", timeline=[call, call, call, own]))["marks"]
    assert [(mark["kind"], mark["count"]) for mark in marks] == [("attempt", 1), ("error", 3), ("ours", 1)]


def test_too_many_events_leave_those_nearest_to_the_attempt() -> None:
    events = [
        {
            "at": f"2026-02-06T22:{second // 60 + 30:02}:{second % 60:02}Z",
            "layer": "agent",
            "host": "",
            "what": f"{second}",
            "self": False,
        }
        for second in range(0, 900, 5)
    ]
    incident = load("dormant", timeline=events)
    drawing = chart(incident)
    assert len(drawing["marks"]) == 40
    assert drawing["left_out"] == 141
    assert drawing["marks"][0]["at"] > "2026-02-06T22:36"
    assert "141 more events" in report.html(incident)


def test_the_span_of_the_attempt_and_our_run_are_drawn() -> None:
    bands = {band["kind"]: band for band in chart(load("dormant"))["bands"]}
    assert set(bands) == {"window", "span", "run"}
    assert bands["span"]["height"] / bands["window"]["height"] == pytest.approx(180 / 1200, abs=0.01)
    assert bands["run"]["y"] > bands["span"]["y"] + bands["span"]["height"]


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


# --- the terminal


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_ending_fits_80_columns_but_for_what_must_be_copied(name: str, unicode: bool) -> None:
    ending = report.terminal(load(name), unicode=unicode)
    too_long = [line for line in ending.splitlines() if width(line) > 80]
    assert too_long == []
    assert "\x1b" not in ending
    assert unicode or ending.isascii()


def test_the_ending_tells_layers_verdict_why_and_the_command() -> None:
    ending = report.terminal(load("dormant"), where="/tmp/x")
    lines = ending.splitlines()
    marks = [line[1:12].split() for line in lines if line[1:2] in "✔✘?" and line[1:2]]
    assert marks == [
        ["✔", "client"],
        ["✔", "tunnel"],
        ["✔", "secrets"],
        ["✔", "callback"],
        ["✔", "service"],
        ["✘", "agent"],
        ["✘", "dispatch"],
    ]
    assert " VERDICT     ✘ The agent sleeps and a new session does not wake it" in lines
    assert "   cd livekit-agent && lk agent deploy" in lines
    assert " REPORT      /tmp/x" in lines
    assert "{" not in ending
    assert ending.index("VERDICT") < ending.index("WHY") < ending.index("RULED OUT") < ending.index("NEXT")


def test_an_inconclusive_ending_says_what_would_decide_it() -> None:
    ending = " ".join(report.terminal(load("pi_unreachable")).split())
    assert "VERDICT ? The service's host cannot be reached" in ending
    assert "To know dispatch.joined: run the dispatch probe (voiceops_dispatch_probe=always)" in ending
    assert "Suspected: cloud_agent_dormant_no_wake, cloud_cold_start_slow" in ending
    assert "INPUT voiceops_window: expected a duration" in ending
    assert "ssh brad@pai-hub.local systemctl status proto-trainer-next" in ending


def test_a_long_command_is_broken_only_where_a_shell_allows_it() -> None:
    incident = load("hostile")
    ending = report.terminal(incident, where="/tmp/x").splitlines()
    start = next(number for number, line in enumerate(ending) if line.startswith("   echo"))
    end = ending.index("", start)
    said = [
        subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
        for command in (incident["verdict"]["remedy"]["command"], "\n".join(ending[start:end]))
    ]
    assert end - start > 1
    assert said[0] == said[1]


def test_colours_take_no_columns() -> None:
    incident = load("dormant")
    coloured = report.terminal(incident, colour=True)
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == report.terminal(incident)


def test_a_flood_of_evidence_ends_in_few_lines() -> None:
    incident = load("dormant", red_herrings=[f"{n} {'word ' * 5000}" for n in range(50)], notes=["x" * 100_000])
    incident["evidence"]["agent"]["summary"] = "漢" * 50_000
    lines = report.terminal(incident).splitlines()
    assert max(map(width, lines)) <= 80
    assert len(lines) < 70
    assert "             · 47 more in the report" in lines


# --- the next step


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("dormant", {}, "cd livekit-agent && lk agent deploy"),
        ("dormant", {"remedy": None, "advice": None}, "lk agent status"),
        ("dormant", {"remedy": None}, ""),
        ("pi_unreachable", {}, "ssh brad@pai-hub.local systemctl status proto-trainer-next"),
        ("healthy", {}, ""),
    ],
)
def test_the_next_command_is_the_remedy_else_what_is_left_to_ask(
    name: str, changes: dict[str, Any], expected: str
) -> None:
    incident = load(name)
    incident["verdict"].update(changes)
    assert next_step(incident)["command"] == expected


# --- text


def test_width_counts_columns_and_not_characters() -> None:
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "\u200b")] == [3, 4, 1, 0]


@pytest.mark.parametrize("text", ["", "word", "two words", "漢字" * 40, "x" * 200, "a " * 100, "long" * 30 + " tail"])
@pytest.mark.parametrize("columns", [10, 67])
def test_wrapping_keeps_every_word_and_the_width(text: str, columns: int) -> None:
    lines = wrap(text.strip(), columns)
    assert max(map(width, lines)) <= columns
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    short = wrap(text.strip(), columns, 2)
    assert len(short) <= 2
    assert max(map(width, short)) <= columns
    assert short == lines if len(lines) <= 2 else short[-1].endswith("…")


def test_plain_text_is_one_line_that_reads_as_it_looks() -> None:
    assert plain("\x1b[31mred\x1b[0m\r\n\ttail \x1b]0;title\x07\u202e\u200b\ud800") == "red tail \ufffd"
    assert plain("abcdef", 4) == "abc…"
    assert clip("漢字漢字", 5) == "漢字…"
    assert to_ascii("a \N{RIGHTWARDS ARROW} \N{LEFT DOUBLE QUOTATION MARK}b\N{EN DASH}c\u00e9") == 'a -> "b-c?'
