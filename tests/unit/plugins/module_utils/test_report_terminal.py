# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ending in the terminal: short, at most 80 columns, and its command can be pasted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import report
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.report_text import clip, plain, to_ascii, width, wrap
from ansible_collections.voiceops.livekit.plugins.module_utils.report_view import next_step

FIXTURES = Path(__file__).parents[2] / "fixtures" / "incidents"
NAMES = ("dormant", "pi_unreachable", "healthy", "hostile")


def load(name: str, **changes: Any) -> dict[str, Any]:
    return assemble(**{**yaml.safe_load((FIXTURES / f"{name}.yml").read_text(encoding="utf-8")), **changes})


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
