# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about causes and the decision tree: whole, linked, true to the rules, and stale once the rules differ."""

from __future__ import annotations

import itertools
import re
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.rules import vocabulary
from gates import causes
from gates.cause_book import Book
from gates.cause_drawing import drawing
from gates.cause_pages import RULES, index, page
from gates.cause_tree import mermaid
from gates.cause_words import Words, readable

FOLDER = causes.ROOT / RULES
SVG = "{http://www.w3.org/2000/svg}"
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(FOLDER)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return causes.files()


@pytest.fixture(scope="module")
def svg(texts: dict[str, str]) -> ET.Element:
    return ET.fromstring(texts["decision-tree.svg"])


def section(book: Book, cause: str) -> str:
    """The part of a page that is about one cause."""
    stage = next(stage for stage in book.stages if stage.page == book.page_of[cause])
    return page(book, stage).split(f'<a id="{cause}"></a>')[1].split("<a id=")[0]


def test_every_rule_stands_once_with_an_anchor_on_a_page(book: Book, texts: dict[str, str]) -> None:
    pages = [text for name, text in texts.items() if name.startswith("causes/")]
    assert Counter(anchor for text in pages for anchor in ANCHOR.findall(text)) == dict.fromkeys(book.by_id, 1)


def test_every_rule_stands_in_the_index_in_the_order_of_precedence(book: Book, texts: dict[str, str]) -> None:
    rows = re.findall(r"^\| (\d+) \| .*? \| `(\w+)` \|", texts["causes.md"], re.MULTILINE)
    assert rows == [(str(number), rule["id"]) for number, rule in enumerate(book.rules, 1)]


def test_no_anchor_of_a_page_stands_twice(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert [anchor for anchor, count in Counter(ANCHOR.findall(text)).items() if count > 1] == [], name


def test_every_link_leads_to_a_file_and_an_anchor_that_exist(texts: dict[str, str], svg: ET.Element) -> None:
    links = [(name, target) for name, text in texts.items() for target in LINK.findall(text)]
    links += [("decision-tree.svg", link.attrib["href"]) for link in svg.iter(f"{SVG}a")]
    assert len(links) > len(ANCHOR.findall("".join(texts.values())))
    for name, target in links:
        path, _hash, anchor = target.partition("#")
        found = (causes.DOCS / PurePosixPath(name).parent / path).resolve() if path else causes.DOCS / name
        inside = found.relative_to(causes.DOCS).as_posix() if found.is_relative_to(causes.DOCS) else ""
        assert inside in texts or found.exists(), f"{name} links to {target}"
        assert not anchor or anchor in ANCHOR.findall(texts[inside]), f"{name} links to {target}"


def test_a_cause_tells_what_to_do_how_it_is_told_and_from_what(book: Book) -> None:
    text = section(book, "tunnel_offline")
    assert "> ngrok answers for \\<tunnel host> with \\<tunnel error code>" in text
    assert "```sh\nssh <tunnel_host> sudo systemctl start <tunnel_unit>\n```" in text
    assert "Unattended: **yes**" in text
    assert '- `tunnel.error_code` is "ERR_NGROK_3200"' in text
    assert '  - there: `tunnel.error_code` is "ERR_NGROK_8012"' in text
    assert "- `tunnel.error_code`: ngrok's code, such as ERR_NGROK_3200" in text


def test_what_a_cause_explains_is_told_on_both_pages(book: Book) -> None:
    assert re.search(r"\*\*Its effects\*\*.*#db_down\)", section(book, "disk_full"))
    assert re.search(r"\*\*Only an effect.*#disk_full\)", section(book, "db_down"))


@pytest.mark.parametrize(
    ("cause", "other", "both"),
    [
        ("tunnel_offline", "tunnel_upstream_refused", "Both at once cannot be."),
        ("tunnel_upstream_unreachable", "tunnel_upstream_refused", "If both hold, that one is an effect of this one."),
        ("tunnel_upstream_refused", "tunnel_upstream_unreachable", "If both hold, this one is an effect of that one."),
        ("pi_unreachable", "client_not_connected", "If both hold, the verdict is that one."),
        ("client_not_connected", "pi_unreachable", "If both hold, the verdict is this one."),
        ("dns_failure", "db_down", "If both hold, the verdict is this one; mend the other one, too."),
    ],
)
def test_two_causes_at_once_are_judged_as_the_classifier_does(book: Book, cause: str, other: str, both: str) -> None:
    assert book.difference(book.by_id[cause], book.by_id[other]).both == both


def test_every_look_alike_is_told_apart_by_something(book: Book) -> None:
    for rule in book.rules:
        for name in rule["look_alikes"]:
            difference = book.difference(rule, book.by_id[name])
            assert difference.here or difference.there, f"{rule['id']} and {name} have the same conditions"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("not service.active", ["`service.active` is false"]),
        ("tunnel.reachable and service.calls == 0", ["`tunnel.reachable` is true", "`service.calls` is 0"]),
        (
            "service.disk_full or 'P1' in service.codes",
            ['`service.disk_full` is true, or `service.codes` contains "P1"'],
        ),
        ("not (service.calls > 0 or client.room)", ["`service.calls` is 0", "`client.room` is empty"]),
        ("agent.status in ['A', 'B', 'C']", ['`agent.status` is "A", "B" or "C"']),
        (
            "agent.log_errors | select('search', '(?i)x|y')",
            ["an entry of `agent.log_errors` matches `x|y` in any case"],
        ),
        ("not (service.call_statuses | select('ge', 500))", ["no entry of `service.call_statuses` is at least 500"]),
        ("['P1', 'P2'] | select('in', service.codes)", ['`service.codes` contains "P1" or "P2"']),
        ("service.calls is defined", ["`service.calls` is known"]),
        (
            "client.room_created_at < client.token_issued_at",
            ["`client.room_created_at` is before `client.token_issued_at`"],
        ),
        (
            "'P2003' in service.codes or not service.silence_counts",
            ['`service.codes` contains "P2003"; its absence counts only while `service.silence_counts` is true'],
        ),
        ("agent.log_errors | length > 3", ["`agent.log_errors | length > 3` is true"]),
    ],
)
def test_an_expression_reads_as_a_sentence(source: str, words: list[str]) -> None:
    conditions = Words(vocabulary()).conditions(source)
    assert [each.text for each in conditions] == words


def test_what_a_text_fills_in_has_a_name_that_can_be_read() -> None:
    text = (
        "{{ settings.service_unit }} at {{ tunnel.tunnel_urls }}, {{ dispatch.wait_s }} s, {{ agent.name or 'none' }}"
    )
    assert readable(text) == "<configured service unit> at <tunnel urls>, <dispatch wait> s, <agent name>"


def test_what_is_missing_differs_or_is_left_over_is_stale(tmp_path: Path, texts: dict[str, str]) -> None:
    assert causes.stale(tmp_path, texts) == sorted(texts)
    causes.write(tmp_path, texts)
    assert causes.stale(tmp_path, texts) == []
    (tmp_path / "causes.md").write_text("older", encoding="utf-8")
    (tmp_path / "causes/09-gone.md").write_text("of rules that are gone", encoding="utf-8")
    (tmp_path / "decision-tree.svg").unlink()
    assert causes.stale(tmp_path, texts) == ["causes.md", "causes/09-gone.md", "decision-tree.svg"]
    causes.write(tmp_path, texts)
    assert causes.stale(tmp_path, texts) == []


def test_another_rule_makes_the_pages_and_both_drawings_stale(tmp_path: Path, texts: dict[str, str]) -> None:
    shutil.copytree(FOLDER, tmp_path / "rules")
    rule = "- {id: new_cause, layer: client, title: Something & new, when: [client.waiting > 9], because: So it is.}"
    (tmp_path / "rules/09-late.yml").write_text(rule, encoding="utf-8")
    changed = causes.files(tmp_path / "rules")
    assert "[Something & new](causes/09-late.md#new_cause)" in changed["causes.md"]
    assert "Something &amp; new" in changed["decision-tree.svg"]
    assert 'cause_new_cause["Something & new"]' in changed["decision-tree.mmd"]
    assert {name for name in texts if texts[name] == changed[name]} == {
        name for name in texts if name.startswith("causes/") and not name.startswith("causes/08")
    }


def test_the_same_rules_give_the_same_files(texts: dict[str, str]) -> None:
    assert causes.files() == texts


def test_mermaid_has_every_cause_below_its_stage_and_only_known_nodes(book: Book) -> None:
    text = mermaid(book)
    nodes = re.findall(r"(\w+)(?:\[|\(\[)\"", text)
    assert [node for node, count in Counter(nodes).items() if count > 1] == []
    assert {node for node in nodes if node.startswith("cause_")} == {f"cause_{name}" for name in book.by_id}
    edges = re.findall(r"^  (\w+) -(?:- \"[^\"]*\" -)?-> (\w+)", text, re.MULTILINE)
    assert len(edges) == len(book.rules) + len(book.stages) + 1
    assert {node for edge in edges for node in edge} == set(nodes)
    looks = set(re.findall(r":::(\w+)", text))
    assert looks <= set(re.findall(r"^  classDef (\w+)", text, re.MULTILINE))


def test_mermaid_labels_hold_no_character_that_has_a_meaning_there(tmp_path: Path) -> None:
    rule = """- {id: odd, layer: client, title: 'A "b" #1 <c>', when: [client.waiting > 9], because: So.}"""
    (tmp_path / "01-odd.yml").write_text(rule, encoding="utf-8")
    text = mermaid(Book(tmp_path))
    assert 'cause_odd["A #quot;b#quot; #35;1 #lt;c#gt;"]' in text
    assert all(line.count('"') % 2 == 0 for line in text.splitlines())


def test_a_file_of_rules_without_a_comment_and_with_one_rule_has_a_page_and_a_place(tmp_path: Path) -> None:
    rule = "- {id: odd, layer: client, title: Odd, when: [client.waiting > 9], because: So.}"
    (tmp_path / "odd_things.yml").write_text(rule, encoding="utf-8")
    book = Book(tmp_path)
    assert "## 1. [Odd things](causes/odd_things.md)" in index(book)
    assert ET.fromstring(drawing(book)).find(f".//{SVG}a[@href='causes/odd_things.md#odd']") is not None


def test_the_drawing_says_what_it_is_and_loads_nothing(svg: ET.Element, book: Book, texts: dict[str, str]) -> None:
    named = svg.attrib["aria-labelledby"].split()
    assert [part.tag for name in named for part in svg.findall(f"*[@id='{name}']")] == [f"{SVG}title", f"{SVG}desc"]
    assert re.findall(r"https?://[^\"\s]+", texts["decision-tree.svg"]) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in texts["decision-tree.svg"]
    assert "prefers-color-scheme: dark" in texts["decision-tree.svg"]
    targets = [link.attrib["href"].partition("#")[2] for link in svg.iter(f"{SVG}a")]
    assert [target for target in targets if target] == [rule["id"] for rule in book.rules]


def place(rect: ET.Element) -> dict[str, float]:
    return {key: float(rect.attrib[key]) for key in ("x", "y", "width", "height")}


def lines_of(text: ET.Element) -> list[tuple[str, float, float]]:
    """What a text shows, line by line, with where each begins."""
    spans = text.findall(f"{SVG}tspan") or [text]
    return [(span.text or "", float(span.attrib["x"]), float(span.attrib["y"])) for span in spans]


def test_no_text_of_the_drawing_leaves_its_box(svg: ET.Element) -> None:
    boxed = [part for part in svg.iter() if part.tag in (f"{SVG}a", f"{SVG}g") and part.find(f"{SVG}rect") is not None]
    assert len(boxed) > 100
    for part in boxed:
        box = place(part.findall(f"{SVG}rect")[0])
        for text in part.iter(f"{SVG}text"):
            if "text-anchor" in text.attrib:
                continue
            size = float(text.attrib["font-size"])
            # Half of the size is what a character of a sentence takes in common fonts, on average.
            average = 0.6 if text.attrib["class"] == "id" else 0.5
            for shown, x, y in lines_of(text):
                assert box["x"] <= x
                assert x + len(shown) * size * average <= box["x"] + box["width"], shown
                assert box["y"] < y - size * 0.7 < y + size * 0.2 <= box["y"] + box["height"], shown


def test_the_rows_of_the_drawing_do_not_cover_each_other(svg: ET.Element) -> None:
    for kind in (("row",), ("box", "pill")):
        placed = [place(rect) for rect in svg.iter(f"{SVG}rect") if rect.attrib["class"] in kind]
        assert len(placed) > 2
        for one, other in itertools.combinations(placed, 2):
            apart = [
                first[side] + first[length] <= second[side]
                for side, length in (("x", "width"), ("y", "height"))
                for first, second in ((one, other), (other, one))
            ]
            assert any(apart), (one, other)
