# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the survey of an AWX job template from the variables that roles document."""

from __future__ import annotations

DOCUMENTATION = r"""
name: survey
short_description: Make an AWX survey from documented variables
version_added: 0.2.0
author: voiceops.livekit contributors (@voiceops)
description:
  - Makes one question of each variable, so that a survey says what the roles' C(meta/argument_specs.yml) say.
  - A variable with C(no_log) becomes a password. One with choices, and a yes or no, becomes a choice.
  - A question without a default stays out of the job where it is not answered; then the inventory's value holds.
positional: _input
options:
  _input:
    description: Variables by name, as in C(options) of C(argument_specs.yml).
    type: dict
    required: true
  questions:
    description:
      - The variables to ask for, in their order.
      - >-
        Each may set C(default), C(min), C(max), C(required), C(question_name) and C(question_description) otherwise
        than its documentation. A C(default) of null leaves the default out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask for the attempt, and for how long to wait
  ansible.builtin.debug:
    msg: "{{ specs.argument_specs.main.options | voiceops.livekit.survey(questions) }}"
  vars:
    specs: "{{ lookup('ansible.builtin.file', 'argument_specs.yml') | from_yaml }}"
    questions:
      voiceops_attempt_at: {}
      voiceops_dispatch_deadline: {default: null, min: 10, max: 600}
"""

RETURN = r"""
_value:
  description: What C(survey_spec) of M(awx.awx.job_template) takes.
  type: dict
"""

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# By the type of the variable, that of the question; lists can be asked for only where they have choices.
TYPES = {"str": "text", "path": "text", "int": "integer", "float": "float", "bool": "multiplechoice"}
OVERRIDES = {"default", "min", "max", "required", "question_name", "question_description"}
LONGEST_ANSWER = 1024


def _plain(text: str | list[str]) -> str:
    """Take Ansible's markup out of a description."""
    joined = text if isinstance(text, str) else " ".join(text)
    return re.sub(r"\b[A-Z]\(([^()#]+)[^()]*\)", r"\1", joined)


def _type(name: str, option: Mapping[str, Any]) -> str:
    kind = option.get("type", "str")
    if option.get("no_log"):
        return "password"
    if kind == "list" and option.get("choices"):
        return "multiselect"
    if kind not in TYPES:
        raise AnsibleFilterError(
            f"survey: {name}: expected a variable of type {', '.join(TYPES)}, or a list with choices, got {kind}."
        )
    return "multiplechoice" if option.get("choices") else TYPES[kind]


def _default(value: Any) -> Any:
    """A default as AWX keeps it: choices are text, several stand on lines of their own; nothing is no default."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return value


def question(name: str, option: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """One question of a survey, for the variable C(name) as C(option) documents it and C(given) sets it otherwise."""
    if not_known := sorted(set(given) - OVERRIDES):
        raise AnsibleFilterError(
            f"survey: {name}: expected some of {', '.join(sorted(OVERRIDES))}, got {not_known[0]}."
        )
    kind = _type(name, option)
    asked: dict[str, Any] = {
        "variable": name,
        "question_name": given.get("question_name", name),
        "question_description": given.get("question_description", _plain(option["description"])),
        "type": kind,
        "required": given.get("required", bool(option.get("required", False))),
    }
    if kind in ("multiplechoice", "multiselect"):
        asked["choices"] = list(map(_default, option.get("choices") or [True, False]))
    else:
        longest = LONGEST_ANSWER if kind in ("text", "password") else None
        asked.update(min=given.get("min", 0 if longest else None), max=given.get("max", longest))
    default = _default(given.get("default", option.get("default")))
    # AWX hands every default to the job, where it comes before the inventory's; a secret has none.
    if default not in (None, "") and kind != "password":
        asked["default"] = default
    return asked


def survey(options: Mapping[str, Any], questions: Mapping[str, Any]) -> dict[str, Any]:
    """The survey that asks for the variables that C(questions) names, as C(options) document them."""
    if missing := [name for name in questions if name not in options]:
        raise AnsibleFilterError(f"survey: expected one of {', '.join(options)}, got {missing[0]}.")
    spec = [question(name, options[name], given or {}) for name, given in questions.items()]
    return {"name": "", "description": "", "spec": spec}


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"survey": survey}
