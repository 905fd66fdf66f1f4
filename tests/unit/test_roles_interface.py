# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role's interface is said once and truly: argument_specs, defaults, tasks, README and example inventory agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))
EXAMPLE = PROJECT / "inventory/example/group_vars/all/main.yml"
EVERY_ROLE = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
# Read, not set: a key such as those of set_stats is no input.
VARIABLE = re.compile(r"(?<![\w.])voiceops_\w+\b(?!:)")
# Passing an option on unless it is unset: the module's own default then holds.
PASSED_ON = re.compile(r'^\s*(\w+): "\{\{ (voiceops_\w+) \| default\(omit(?:, true)?\) \}\}"$', re.MULTILINE)
MODULE = re.compile(r"^\s*(?:- )?voiceops\.livekit\.(\w+):$", re.MULTILINE)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The role's documented variables, of all its entry points."""
    specs = load(role / "meta/argument_specs.yml")["argument_specs"].values()
    return {name: option for spec in specs for name, option in spec.get("options", {}).items()}


def tasks(role: Path) -> str:
    """The text of the role's tasks and of the variables that they go through."""
    files = [*sorted(role.glob("tasks/**/*.yml")), *sorted(role.glob("vars/*.yml"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_every_role_has_an_interface() -> None:
    assert ROLES
    assert {role.name for role in ROLES} == {path.name for path in PROJECT.glob("roles/*") if path.is_dir()}


@EVERY_ROLE
def test_its_description_is_the_same_everywhere(role: Path) -> None:
    spec = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
    assert load(role / "meta/main.yml")["galaxy_info"]["description"] == spec["short_description"]


@EVERY_ROLE
def test_defaults_are_documented_and_the_same(role: Path) -> None:
    documented = options(role)
    for name, default in load(role / "defaults/main.yml").items():
        assert name in documented, f"{name} has a default but no documentation"
        if not (isinstance(default, str) and "{{" in default):
            assert documented[name].get("default") == default, name


@EVERY_ROLE
def test_documented_defaults_are_those_of_the_module(role: Path) -> None:
    documented = options(role)
    for task in re.split(r"^(?= *- name:)", tasks(role), flags=re.MULTILINE):
        named = MODULE.search(task)
        if not named:
            continue
        source = (PROJECT / f"plugins/modules/{named[1]}.py").read_text(encoding="utf-8")
        parameters = yaml.safe_load(source.split('"""')[1])["options"]
        for parameter, name in PASSED_ON.findall(task):
            if parameter not in parameters:  # a key within one of them
                continue
            assert documented[name].get("default") == parameters[parameter].get("default"), name


@EVERY_ROLE
def test_every_variable_that_is_used_is_documented_and_the_reverse(role: Path) -> None:
    text = tasks(role)
    assert set(VARIABLE.findall(text)) <= set(options(role))
    assert [name for name in options(role) if not re.search(rf"\b{name}\b", text)] == []


def test_a_variable_means_the_same_in_all_roles() -> None:
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for role in ROLES:
        for name, option in options(role).items():
            known_in, known = first.setdefault(name, (role.name, option))
            for key in ("type", "elements", "choices", "default"):
                assert option.get(key) == known.get(key), f"{name}: {key} differs between {known_in} and {role.name}"


def test_the_evidence_says_of_which_groups_it_asks_the_hosts() -> None:
    role = PROJECT / "roles/evidence"
    told = " ".join(load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["description"])
    assert set(re.findall(r"\bgroups\.(\w+)", tasks(role))) == set(re.findall(r"C\(((?:lk|voice)_\w+)\)", told))


def test_the_example_inventory_explains_every_variable() -> None:
    documented = {name for role in ROLES for name in options(role) if name.startswith("voiceops_")}
    assert documented <= set(re.findall(r"^#? ?(voiceops_\w+):", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
