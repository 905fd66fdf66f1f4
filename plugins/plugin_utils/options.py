# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of a wrong option in a sentence that names the variable by which people set it, before anything is asked.

Ansible itself would take a list for a text, pass NaN as a number of seconds, and mask a secret of one letter in all
that a host tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import SHORTEST_SECRET, clip, redact

LONGEST_S = 3600
_KINDS = {
    "str": "a text",
    "path": "a path",
    "int": "a whole number",
    "float": f"seconds above 0 and up to {LONGEST_S}",
    "bool": "true or false",
    "list": "a list of texts",
    "dict": "names with their values",
}


def given(
    spec: Mapping[str, Mapping[str, Any]], args: Mapping[str, Any], variable: Callable[[str], str] = str
) -> dict[str, Any]:
    """Return the options that have a value; a variable that is left empty in YAML has none, and a number may be a text.

    C(spec) is an argument spec in which every float is a number of seconds, and C(variable) names the variable of an
    option. What has options of its own is made by the collection itself, and is not looked into. Raises
    AnsibleActionFail; no secret is in its text.
    """
    found = {name: value for name, value in args.items() if value is not None}
    for name, value in found.items():
        if name in spec and "options" not in spec[name] and (expected := _expected(spec[name], value)):
            raise AnsibleActionFail(f"{variable(name)}: expected {expected}{_got(spec[name], value)}")
    texts = [name for name, each in spec.items() if each.get("type", "str") == "str" and name in found]
    return {**found, **{name: str(found[name]) for name in texts}}


def _expected(each: Mapping[str, Any], value: Any) -> str:
    """Say what would have done in the place of C(value); empty if it does."""
    kind = each.get("type", "str")
    wanted = f"one of {', '.join(each['choices'])}" if each.get("choices") else _KINDS[kind]
    texts = [value] if kind in ("str", "path") else value if isinstance(value, list) and "elements" in each else []
    no_texts = each.get("elements", "str") == "str" and any(isinstance(text, (list, dict, bool)) for text in texts)
    if no_texts or (isinstance(value, bool) and kind in ("float", "int")):
        return wanted
    if each.get("no_log") and 0 < len(str(value)) < SHORTEST_SECRET:
        return f"a text of {SHORTEST_SECRET} characters or more, since a shorter secret could not be masked"
    checked = ArgumentSpecValidator({"option": {**each, "no_log": False}}).validate({"option": value})
    seconds = checked.validated_parameters["option"] if kind == "float" and not checked.error_messages else 1.0
    fits = not checked.error_messages and math.isfinite(seconds) and 0 < seconds <= LONGEST_S
    return "" if fits else wanted


def _got(each: Mapping[str, Any], value: Any) -> str:
    """Show what was given instead, but nothing in which a secret may be."""
    if each.get("no_log"):
        return ""
    if isinstance(value, (list, dict)):
        return f", got {'a list' if isinstance(value, list) else 'names with values'}"
    return "" if each.get("type") == "dict" else f", got {redact(clip(repr(value), 80))}"
