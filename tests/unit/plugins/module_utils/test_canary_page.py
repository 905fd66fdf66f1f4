# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page shows the last 30 days truly, by itself, and lets nothing of the outside through."""

from __future__ import annotations

import html.parser
import re
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import canary, canary_page

from ...canary_world import DAY, HOUR, MIDNIGHT, MINUTE, STANDARD, asked, probed

AGENT = "proj.livekit.cloud/automatic"
NOW = MIDNIGHT + 29 * DAY + 12 * HOUR
HOSTILE = '"><script>alert(1)</script>\x1b[31m\u202e</title>{{ 7*7 }}'


class Page(html.parser.HTMLParser):
    """The elements of a page that are left open, and its attributes."""

    VOID = ("meta", "br", "rect", "line", "circle", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def runs(*records: tuple[float, dict[str, Any]]) -> tuple[list[dict[str, Any]], canary.State]:
    """The history and the state after runs, each at its time."""
    state, entries = canary.new_state(), []
    for now, each in records:
        found = canary.advance(state, canary.see(each, STANDARD), STANDARD, now)
        state = found.state
        entries.append(found.entry)
    return entries, state


def view(*records: tuple[float, dict[str, Any]], now: float = NOW) -> dict[str, Any]:
    entries, state = runs(*records)
    return canary_page.view(AGENT, entries, 0, state, STANDARD, now)


def joining(now: float, after_s: float = 1.0, **seen: Any) -> tuple[float, dict[str, Any]]:
    return now, {**asked(**seen), "dispatch": probed(now, True, after_s)}


def test_each_run_is_drawn_on_its_own_day() -> None:
    first, last = MIDNIGHT, NOW
    strips = {strip["name"]: strip for strip in view(joining(first), (last, asked(tunnel="faulty")))["strips"]}
    assert list(strips) == ["all", "client", "tunnel", "secrets", "callback", "agent", "dispatch"]
    days = strips["all"]["days"]
    assert len(days) == 30
    assert [day["title"] for day in days if day["parts"]] == ["2026-03-02: 1 well", "2026-03-31: 1 faulty"]
    assert (days[0]["x"], days[29]["x"]) == (0.0, round(29 / 30 * 100, 3))
    # The dispatch was tested on the first day alone; that it was not on the last is no health.
    assert [number for number, day in enumerate(strips["dispatch"]["days"]) if day["parts"]] == [0]
    assert strips["tunnel"]["said"] == "2 days watched, 1 of them with a fault, 0 with something unknown"


def test_a_single_bad_run_of_a_day_can_be_seen_and_bars_fill_their_day() -> None:
    records = [joining(NOW - 40 * MINUTE)] + [(NOW - 30 * MINUTE + number, asked()) for number in range(200)]
    strips = view(*records, (NOW, asked(tunnel="faulty")))["strips"]
    tunnel = next(strip for strip in strips if strip["name"] == "tunnel")
    well, bad = tunnel["days"][29]["parts"]
    assert (well["kind"], bad["kind"]) == ("good", "bad")
    assert bad["height"] >= 3
    assert 0 <= bad["y"] < well["y"] + 3
    assert well["y"] + well["height"] == tunnel["height"]


def test_what_is_older_than_these_days_or_lies_in_the_future_is_left_out_and_told() -> None:
    entries, state = runs(joining(MIDNIGHT - 1), joining(NOW + DAY), joining(NOW))
    shown = canary_page.view(AGENT, entries, 3, state, STANDARD, NOW)
    assert (sum(shown["counts"].values()), shown["left_out"], shown["damaged"]) == (1, 2, 3)
    page = canary_page.html(AGENT, entries, 3, state, STANDARD, NOW)
    assert "Lines of the history that could not be read: 3." in page


def test_an_outage_that_lasts_has_no_end() -> None:
    outages = view(joining(NOW - HOUR), (NOW - 30 * MINUTE, asked(tunnel="faulty")), (NOW, asked(agent="faulty")))
    (outage,) = outages["outages"]
    # The tunnel is well again, the agent is not: it is the same stretch of failing runs.
    assert (outage["lasted"], outage["runs"], outage["layers"]) == ("lasts", 2, ["tunnel", "agent"])


def test_the_runs_after_a_clock_was_set_back_are_drawn_in_the_order_of_time() -> None:
    shown = view((NOW - HOUR, asked(tunnel="faulty")), joining(NOW - 2 * HOUR), joining(NOW))
    assert [each["lasted"] for each in shown["outages"]] == ["1 h"]


def test_joins_stand_at_their_time_and_height() -> None:
    shown = view(
        joining(MIDNIGHT, 20.0, asleep=True), joining(MIDNIGHT + 15 * DAY, 1.0), joining(NOW, 60.0, asleep=True)
    )
    joins = shown["joins"]
    cold, warm, late = joins["marks"]
    assert (cold["kind"], warm["kind"]) == ("cold", "warm")
    assert (cold["x"], warm["x"]) == (0.0, 50.0)
    assert cold["y"] == joins["patience_y"]
    assert late["y"] < cold["y"] < warm["y"] <= joins["height"]
    assert joins["figures"][0] == {"start": "cold", "count": 2, "middle": 60.0, "longest": 60.0, "late": 1}


def test_a_probe_that_failed_is_no_join() -> None:
    shown = view((NOW, {**asked(), "dispatch": probed(NOW, False)}))
    assert shown["headline"] == "No agent joins a voice session"
    assert [mark["kind"] for mark in shown["joins"]["marks"]] == ["failed"]
    assert [row["count"] for row in shown["joins"]["figures"]] == [0, 0, 0]
    assert view((NOW, asked()))["joins"] is None


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    entries, state = runs(joining(NOW - HOUR, 18.3, asleep=True), (NOW, asked(tunnel="faulty")))
    entries.append({"at": entries[-1]["at"], "opened": "20260331T120000Z-tunnel-offline-0a1b"})
    state = {**state, "incident": "20260331T120000Z-tunnel-offline-0a1b"}
    text = canary_page.html(AGENT, entries, 0, state, STANDARD, NOW)
    page = Page(text)
    assert page.open == []
    assert "script" not in {tag for tag, _attributes in page.tags}
    links = {value for _tag, attributes in page.tags for name, value in attributes.items() if name in ("href", "src")}
    assert links == {"../20260331T120000Z-tunnel-offline-0a1b/incident.html"}
    assert not re.search(r"url\(|@import", text)
    assert "Something that a voice session needs is faulty" in text
    assert "tunnel is faulty" in text
    assert "after 18.3 s (cold start)" in text


def test_what_the_outside_says_is_shown_as_text() -> None:
    entries, state = runs(joining(NOW - HOUR), (NOW, asked(tunnel="faulty")))
    entries[-1]["because"]["tunnel"] = HOSTILE
    entries.append({"at": entries[-1]["at"], "opened": f"x{HOSTILE}"})
    text = canary_page.html(HOSTILE, entries, 0, {**state, "incident": HOSTILE}, STANDARD, NOW)
    page = Page(text)
    assert page.open == []
    assert "script" not in {tag for tag, _attributes in page.tags}
    assert not [character for character in "\x1b\u202e" if character in text]
    assert "{{ 7*7 }}" in text
