# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surveys of AWX, from documented variables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.voiceops.livekit.plugins.filter.survey import FilterModule

YES_OR_NO = {"type": "multiplechoice", "choices": ["true", "false"], "default": "false"}
ONE_OF_TWO = {"type": "multiplechoice", "choices": ["a", "b"], "default": "b"}
survey = FilterModule().filters()["survey"]


def asked(option: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The question for a variable that is documented so."""
    (question,) = survey({"voiceops_it": {"description": "It.", **option}}, {"voiceops_it": given})["spec"]
    found: dict[str, Any] = question
    return found


def test_a_question_says_what_the_documentation_says() -> None:
    option = {"type": "str", "description": ["See P(voiceops.livekit.dispatch#role).", "V(now) is now."]}
    assert asked(option) == {
        "variable": "voiceops_it",
        "question_name": "voiceops_it",
        "question_description": "See voiceops.livekit.dispatch. now is now.",
        "type": "text",
        "required": False,
        "min": 0,
        "max": 1024,
    }


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"type": "int", "default": 5}, {"type": "integer", "default": 5, "min": None, "max": None}),
        ({"type": "float", "default": 90}, {"type": "float", "default": 90}),
        ({"type": "path"}, {"type": "text"}),
        ({"type": "bool", "default": False}, YES_OR_NO),
        ({"type": "str", "choices": ["a", "b"], "default": "b"}, ONE_OF_TWO),
        ({"type": "list", "choices": ["a", "b"], "default": ["a", "b"]}, {"type": "multiselect", "default": "a\nb"}),
        ({"type": "str", "required": True}, {"required": True}),
    ],
)
def test_the_type_of_the_variable_is_that_of_the_question(option: dict[str, Any], expected: dict[str, Any]) -> None:
    question = asked(option)
    assert {key: question.get(key) for key in expected} == expected


def test_a_secret_is_asked_for_as_a_password_and_has_no_default() -> None:
    question = asked({"type": "str", "no_log": True, "default": "secret"})
    assert question["type"] == "password"
    assert "default" not in question


@pytest.mark.parametrize("default", ["", None, []])
def test_nothing_as_a_default_is_left_out_so_that_the_inventory_holds(default: Any) -> None:
    assert "default" not in asked({"type": "list" if default == [] else "str", "choices": ["a"], "default": default})


def test_what_is_given_comes_before_the_documentation() -> None:
    question = asked({"type": "float", "default": 90}, default=None, min=10, max=600, required=True)
    assert "default" not in question
    assert (question["min"], question["max"], question["required"]) == (10, 600, True)


def test_questions_keep_their_order() -> None:
    options = {name: {"type": "str", "description": name} for name in "abc"}
    assert [question["variable"] for question in survey(options, {"c": {}, "a": None})["spec"]] == ["c", "a"]


@pytest.mark.parametrize(
    ("options", "questions", "error"),
    [
        ({"a": {"type": "dict", "description": ""}}, {"a": {}}, "survey: a: expected a variable of type .*, got dict"),
        ({"a": {"type": "list", "description": ""}}, {"a": {}}, "a list with choices, got list"),
        ({"a": {"description": ""}}, {"b": {}}, "survey: expected one of a, got b"),
        ({"a": {"description": ""}}, {"a": {"maximum": 1}}, "survey: a: expected some of .*, got maximum"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(options: Any, questions: Any, error: str) -> None:
    with pytest.raises(AnsibleFilterError, match=error):
        survey(options, questions)
