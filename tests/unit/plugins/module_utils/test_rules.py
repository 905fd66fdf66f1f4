# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules are refused with the place and what was expected; the collection's own are whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import signals_of
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import COMMON_SIGNALS, RuleError, load, vocabulary

from ...evidence import HEALTHY

RULES = Path(__file__).resolve().parents[4] / "roles" / "classify" / "files" / "rules"
RULE = {
    "id": "mine",
    "layer": "agent",
    "title": "Mine",
    "when": ["agent.status == 'Sleeping'"],
    "because": "It is {{ agent.status }}.",
}
REMEDY = {"id": "mend", "title": "Mend it", "command": "mend {{ agent.id }}", "unattended": True}
UNDOABLE = {"role": "", "group": "", "options": {}, "first": [], "cuts_sessions": False, "harmless": False}


@pytest.fixture
def folder(tmp_path):
    """A folder that takes rules: write("01.yml", [rule, …]) returns its path."""

    def write(name, content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path)

    return write


def changed(**keys):
    return [{**RULE, **keys}]


def test_a_rule_gets_all_its_keys(folder):
    folder("remedies.yml", [REMEDY])
    (rule,) = load(folder("01.yml", changed(remedy="mend"))).rules
    assert rule == {
        **RULE,
        "state": "fault",
        "because": ["It is {{ agent.status }}."],
        "unless": [],
        "otherwise": "",
        "explains": [],
        "look_alikes": [],
        "beside": False,
        "remedy_when": [],
        "advice": "",
        "unattended": "",
        "remedy": {**REMEDY, **UNDOABLE, "unattended": "no", "file": "remedies.yml"},
        "file": "01.yml",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- id: [", "01.yml: expected YAML"),
        ("id: mine", "01.yml: expected a list, got dict"),
        ("", "01.yml: expected a list, got NoneType"),
        ("- mine", "01.yml: expected a mapping"),
        (changed(id="Mine!"), "01.yml: Mine!: id: expected small letters"),
        (changed(id=7), "01.yml: 7: id: expected a text"),
        ([{"id": "mine"}], "01.yml: mine: layer: expected a text, but the key is missing"),
        ([{**RULE, "id": "a"}, {**RULE, "id": "a"}], "01.yml: a: id: expected a new one"),
        (changed(layer="agnet"), "01.yml: mine: layer: expected one of client, tunnel"),
        (changed(state="broken"), "01.yml: mine: state: expected one of fault, inconclusive, healthy, got 'broken'"),
        (changed(whne=[]), "01.yml: mine: whne: expected one of the keys id, layer"),
        (changed(when="agent.status"), "01.yml: mine: when: expected a list, got 'agent.status'"),
        (changed(when=[]), "01.yml: mine: when: expected at least one expression"),
        (changed(when=[True]), "01.yml: mine: when: expected texts, got True"),
        (changed(when=["agent.statsu == 'x'"]), "01.yml: mine: when: \"agent.statsu == 'x'\": agent has no signal"),
        (changed(unless=["agnt.status"]), "01.yml: mine: unless: 'agnt.status': there is no layer 'agnt'"),
        (changed(when=["lipsum()"]), "01.yml: mine: when: 'lipsum()': Call is not allowed"),
        (changed(because="{{ agent.statsu }}"), "01.yml: mine: because:"),
        (changed(advice="{% if true %}x{% endif %}"), "01.yml: mine: advice:"),
        (changed(explains=["other"]), "01.yml: mine: explains: expected one of mine, got 'other'"),
        (changed(look_alikes=["other"]), "01.yml: mine: look_alikes: expected one of mine, got 'other'"),
        (changed(remedy="pray"), "01.yml: mine: remedy: expected one of"),
        (
            [{**RULE, "id": "a", "explains": ["b"]}, {**RULE, "id": "b", "explains": ["a"]}],
            "explains: expected no circle",
        ),
    ],
)
def test_a_broken_rule_is_refused_and_named(folder, content, told):
    with pytest.raises(RuleError) as refused:
        load(folder("01.yml", content))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"unattended": "maybe"}, "remedies.yml: mend: unattended: expected one of yes, guard, no, got 'maybe'"),
        ({"command": "mend {{ agent.no_such }}"}, "remedies.yml: mend: command:"),
        ({"command": None}, "remedies.yml: mend: command: expected a text, got None"),
        ({"role": "mend"}, "remedies.yml: mend: group: expected one of localhost, lk_control"),
        ({"first": ["mend"]}, "remedies.yml: mend: first: expected one of"),
        ({"options": {"name": 1}}, "remedies.yml: mend: options: expected texts, got 1"),
        ({"options": {"name": "{{ agent.no_such }}"}}, "remedies.yml: mend: options:"),
        ({"harmless": "very"}, "remedies.yml: mend: harmless: expected yes or no, got 'very'"),
    ],
)
def test_a_broken_remedy_is_refused_and_named(folder, keys, told):
    with pytest.raises(RuleError) as refused:
        load(folder("remedies.yml", [{**REMEDY, **keys}]))
    assert told in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "01.yml").write_bytes(b"- id: \xff\xfe")
    with pytest.raises(RuleError, match=r"01\.yml: expected YAML"):
        load(str(tmp_path))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RuleError, match="none: expected a folder with rules"):
        load(str(tmp_path / "none"))


@contextlib.contextmanager
def as_nobody() -> Iterator[str]:
    """A folder that this process may not read, which root is only kept from as another user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(was)
            os.chmod(folder, 0o700)


def test_a_folder_that_may_not_be_read_is_refused_rather_than_taken_for_an_empty_one():
    with (
        pytest.raises(RuleError, match=r"expected a folder with rules .* got: Permission denied"),
        as_nobody() as folder,
    ):
        load(folder)


def test_a_users_rules_take_their_place_by_the_names_of_their_files(tmp_path, folder):
    own = tmp_path / "own"
    own.mkdir()
    (own / "02.yml").write_text(yaml.safe_dump([{**RULE, "id": "between"}]), encoding="utf-8")
    folder("01.yml", [{**RULE, "id": "first"}])
    assert [rule["id"] for rule in load(folder("03.yml", [{**RULE, "id": "last"}]), str(own)).rules] == [
        "first",
        "between",
        "last",
    ]


def test_a_users_rule_may_not_shadow_one_of_ours(folder):
    extra = folder("mine.yml", changed(id="tunnel_offline"))
    with pytest.raises(RuleError, match=r"mine\.yml: tunnel_offline: id: expected a new one, 05-callback\.yml has it"):
        load(str(RULES), extra)


def test_the_vocabulary_is_what_the_layers_document():
    known = vocabulary()
    assert {layer: set(known[layer]) - set(COMMON_SIGNALS) for layer in LAYERS} == {
        layer: set(signals) for layer, signals in HEALTHY.items()
    }


def test_a_users_rules_are_checked_beside_ours(folder):
    extra = folder("mine.yml", changed(when=["agent.no_such"]))
    with pytest.raises(RuleError, match=r"mine\.yml: mine: when: 'agent\.no_such': agent has no signal 'no_such'"):
        load(str(RULES), extra)


def test_a_changed_copy_of_ours_is_checked(tmp_path):
    copy = shutil.copytree(RULES, tmp_path / "copy")
    (copy / "99-mine.yml").write_text(yaml.safe_dump(changed(because="{{ agent.no_such }}")), encoding="utf-8")
    with pytest.raises(RuleError, match=r"99-mine\.yml: mine: because:"):
        load(str(copy))


def test_our_rules_are_whole():
    # A diagnosis takes them unchecked, for they have passed here.
    rules = load(str(RULES), names=vocabulary()).rules
    assert len(rules) > 50
    for rule in rules:
        assert rule["advice"].endswith("."), rule["id"]
        assert not rule["title"].endswith("."), rule["id"]
        assert len(rule["title"]) <= 80, rule["id"]
        assert rule["remedy"] is None or rule["state"] == "fault", rule["id"]
        layers = {name.split(".", maxsplit=1)[0] for source in rule["when"] for name in signals_of(source)}
        assert layers - {"attempt"}, rule["id"]


def test_every_remedy_of_ours_is_one_of_a_rule():
    used = {rule["remedy"]["id"] for rule in load(str(RULES)).rules if rule["remedy"]}
    assert used == {item["id"] for item in yaml.safe_load((RULES / "remedies.yml").read_text(encoding="utf-8"))}


CONFLICT = {"id": "odd", "when": ["service.active"], "because": "Odd.", "doubts": ["service.active"]}
SUPPRESSION = {"rule": "one", "until": "2026-12-31", "reason": "Known."}


def test_conflicts_and_suppressions_are_loaded_beside_the_rules(folder):
    folder("01.yml", [{**RULE, "id": "one"}])
    folder("conflicts.yml", [CONFLICT])
    rules = load(folder("suppressions.yml", [SUPPRESSION]))
    assert [item["id"] for item in rules.conflicts] == ["odd"]
    assert [(item["rule"], item["until"]) for item in rules.suppressions] == [("one", "2026-12-31")]


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("conflicts.yml", {"doubts": ["not service.active"]}, r"odd: doubts: expected names of signals"),
        (
            "conflicts.yml",
            {"doubts": ["service.colour"]},
            r"odd: doubts: 'service.colour': service has no signal 'colour'",
        ),
        ("conflicts.yml", {"when": ["1 +"]}, r"odd: when: '1 \+'"),
        ("suppressions.yml", {"rule": "gone"}, r"gone: rule: expected one of one, got 'gone'"),
        ("suppressions.yml", {"until": "soon"}, r"one: until: expected a date such as 2026-12-31, got 'soon'"),
        ("suppressions.yml", {"reason": " "}, r"one: reason: expected a text that tells why"),
    ],
    ids=["no signal's name", "an unknown signal", "syntax", "an unknown rule", "no date", "no reason"],
)
def test_broken_conflicts_and_suppressions_are_refused_with_file_id_and_key(folder, file, changes, sentence):
    folder("01.yml", [{**RULE, "id": "one"}])
    whole = CONFLICT if file == "conflicts.yml" else SUPPRESSION
    with pytest.raises(RuleError, match=rf"{file}: {sentence}"):
        load(folder(file, [{**whole, **changes}]))


def test_a_suppression_without_a_reason_or_an_end_is_refused(folder):
    folder("01.yml", [{**RULE, "id": "one"}])
    for key in ("until", "reason"):
        with pytest.raises(RuleError, match=rf"one: {key}: .*missing"):
            load(folder("suppressions.yml", [{name: value for name, value in SUPPRESSION.items() if name != key}]))


def test_what_has_no_role_is_never_done_unattended_whatever_a_rule_says(folder):
    folder("remedies.yml", [REMEDY])
    (rule,) = load(folder("01.yml", changed(remedy="mend", unattended="guard"))).rules
    assert rule["remedy"]["unattended"] == "no"


def test_a_rule_may_override_whether_its_remedy_may_run_unattended(folder):
    folder("remedies.yml", [{**REMEDY, "role": "mend", "group": "lk_control"}])
    for given, expected in (("", "yes"), (False, "no"), ("guard", "guard")):
        (rule,) = load(folder("01.yml", changed(remedy="mend", unattended=given))).rules
        assert rule["remedy"]["unattended"] == expected
    with pytest.raises(RuleError, match="unattended: expected one of"):
        load(folder("01.yml", changed(remedy="mend", unattended="perhaps")))
