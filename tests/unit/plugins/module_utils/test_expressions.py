# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kleene's truth tables, and that nothing turns what is unknown into an answer."""

from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import (
    ExpressionError,
    Unknown,
    check,
    check_text,
    evaluate,
    phrase,
    render,
    signals_of,
)

SIGNALS = {
    "a": {
        "yes": True,
        "no": False,
        "maybe": None,
        "perhaps": None,
        "n": 3,
        "text": "Sleeping",
        "codes": ["P2003"],
        "none": [],
        "rows": [{"name": "x", "draining": None}],
    }
}
VOCABULARY = {"a": tuple(SIGNALS["a"]), "service": ("callbacks",)}
MAYBE = Unknown(("a.maybe",))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a.yes and a.yes", True),
        ("a.yes and a.no", False),
        ("a.yes and a.maybe", MAYBE),
        ("a.no and a.maybe", False),
        ("a.maybe and a.yes", MAYBE),
        ("a.maybe and a.no", False),
        ("a.maybe and a.maybe", MAYBE),
        ("a.yes or a.maybe", True),
        ("a.maybe or a.yes", True),
        ("a.no or a.maybe", MAYBE),
        ("a.maybe or a.no", MAYBE),
        ("a.maybe or a.maybe", MAYBE),
        ("a.no or a.no", False),
        ("not a.yes", False),
        ("not a.no", True),
        ("not a.maybe", MAYBE),
        ("a.maybe and a.perhaps", Unknown(("a.maybe", "a.perhaps"))),
    ],
)
def test_truth_tables(expression, value):
    assert evaluate(expression, SIGNALS) == value


@pytest.mark.parametrize(
    "expression",
    [
        "a.maybe == 'Sleeping'",
        "a.maybe != 'Sleeping'",
        "a.maybe == a.perhaps",
        "a.maybe < 3",
        "1 < a.n < a.maybe",
        "a.maybe in ['x']",
        "'x' in a.maybe",
        "'x' not in a.maybe",
        "a.text in ['Running', a.maybe]",
        "a.maybe + 1",
        "-a.maybe",
        "a.maybe ~ 'x'",
        "a.maybe | length",
        "a.maybe | default(0)",
        "a.codes | select('in', a.maybe)",
        "a.codes | sort(reverse=a.maybe)",
        "a.maybe is none",
        "a.maybe is not none",
        "a.maybe is defined",
        "a.maybe is undefined",
        "a.yes if a.maybe else a.no",
        "a.maybe.deeper",
        "a.maybe[0]",
    ],
)
def test_what_depends_on_an_unknown_is_unknown_and_names_it(expression):
    value = evaluate(expression, SIGNALS)
    assert isinstance(value, Unknown)
    assert "a.maybe" in value.names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("b.anything", ("b.anything",)),
        ("a.absent", ("a.absent",)),
        ("a['maybe']", ("a.maybe",)),
        ("a.rows[0].draining", ("a.rows",)),
        ("a.rows[7].name", ("a.rows",)),
        ("a.rows[0].nothing", ("a.rows",)),
        ("a.none | first", ("a.none",)),
    ],
)
def test_what_was_not_collected_is_unknown(expression, names):
    assert evaluate(expression, SIGNALS) == Unknown(names)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a.text == 'Sleeping'", True),
        ("a['text'] == 'Running'", False),
        ("1 < a.n <= 3", True),
        ("1 < a.n < 3", False),
        ("3 < a.n < a.maybe", False),
        ("a.n * 2 + 1 - 1", 6),
        ("a.n | abs > 60", False),
        ("['P1001', 'P2003'] | select('in', a.codes)", ["P2003"]),
        ("['P1001'] | select('in', a.codes)", []),
        ("a.rows | map(attribute='name')", ["x"]),
        ("a.text is search('^Sl')", True),
        ("a.codes or 'nothing'", ["P2003"]),
        ("a.none or 'nothing'", "nothing"),
        ("a.text ~ a.n", "Sleeping3"),
        ("'x' if a.no else 'y'", "y"),
        ("a.yes is none", False),
    ],
)
def test_known_values_are_as_in_jinja(expression, value):
    assert evaluate(expression, SIGNALS) == value


def test_unknown_is_neither_true_nor_false():
    with pytest.raises(TypeError):
        bool(MAYBE)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("a.text == ", "no Jinja2 expression"),
        ("a.text a.n", "goes on after its end"),
        ("a.text }} {{ a.n", "goes on after its end"),
        ("a.text.upper()", "Call is not allowed"),
        ("lipsum()", "Call is not allowed"),
        ("a.text[0:2]", "Slice is not allowed"),
        ("text == 'x'", "'text' alone is no signal"),
        ("a[text]", "'a' alone is no signal"),
        ("a.text | no_such", "there is no filter 'no_such'"),
        ("a.text is no_such", "there is no test 'no_such'"),
        ("a.codes | map(*a.codes)", "not allowed"),
        ("servise.callbacks == 0", "there is no layer 'servise' (did you mean 'service'?)"),
        ("service.calbacks == 0", "service has no signal 'calbacks' (did you mean 'callbacks'?)"),
        ("(" * 5000 + "1" + ")" * 5000, "no Jinja2 expression"),
    ],
)
def test_what_is_no_expression_over_the_vocabulary_is_refused(expression, told):
    with pytest.raises(ExpressionError) as refused:
        check(expression, VOCABULARY)
    assert told in str(refused.value)


def test_types_that_do_not_fit_are_an_error_that_names_the_expression():
    with pytest.raises(ExpressionError, match=r"'a.text > 3'.*not supported"):
        evaluate("a.text > 3", SIGNALS)


def test_private_attributes_stay_out_of_reach():
    assert isinstance(evaluate("a.text.__class__.__mro__", SIGNALS), Unknown)


def test_signals_of_an_expression_are_named_once_and_in_order():
    assert signals_of("a.n > 1 and a.text == 'x' or a.n < 0") == ("a.n", "a.text")


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("the status is {{ a.text }}", "the status is Sleeping"),
        ("{{ a.maybe }} of {{ b.gone }}", "unknown of unknown"),
        ("{{ a.maybe + 1 }}", "unknown"),
        ("{{ a.text + 1 }}", "unknown"),
        ("{{ a.codes }}; {{ a.none }}; {{ a.yes }}", "P2003; none; true"),
        ("{{ 1 / 3 }}", "0.3333333333"),
        ("no figures", "no figures"),
    ],
)
def test_texts_are_filled_in(text, rendered):
    assert render(text, SIGNALS) == rendered


def test_values_are_never_templates():
    hostile = {"a": {"text": "{{ 7 * 7 }} {% raw %}\n\x1b[31m`id`"}}
    assert render("{{ a.text }}", hostile) == "{{ 7 * 7 }} {% raw %} [31m`id`"


def test_shell_words_are_quoted_and_what_is_missing_can_be_worded():
    assert render("cd {{ a.text | quote }}", {"a": {"text": "my dir; rm"}}) == "cd 'my dir; rm'"
    home = {"a": {"text": "~/my agent/$(rm)"}}
    assert render("cd {{ a.text | quote }}", home) == "cd ~/'my agent/$(rm)'"
    assert render("cd {{ a.text | quote }}", {}, lambda unknown: f"<{unknown.names[0]}>") == "cd <a.text>"


@pytest.mark.parametrize("text", ["{% if a.yes %}x{% endif %}", "{{ a.absent }}", "{{ a.yes", "{{ range(9) }}"])
def test_a_text_with_anything_but_expressions_of_the_vocabulary_is_refused(text):
    with pytest.raises(ExpressionError):
        check_text(text, VOCABULARY)


def test_times_are_phrased_for_people():
    assert phrase("2026-02-06T22:39:00.000Z") == "2026-02-06 22:39:00 UTC"
    assert phrase(["at 2026-02-06T22:39:00Z", "20260206T223900Z"]) == "at 2026-02-06 22:39:00 UTC, 20260206T223900Z"


def test_phrases_stay_short():
    assert len(phrase("x" * 100000)) == 300
