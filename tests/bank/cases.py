# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the scenarios of a folder, and learn the evidence of each.

A YAML file that holds a mapping is a scenario of the lab (L(bank.world)); one that holds a list has scenarios on saved
evidence (L(bank.saved)). A mapping with the key C(incident) is about a saved incident: the path of its record, beside
the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleSet, load, vocabulary
from bank import saved
from bank.world import RULES, World
from lab.scenario import variants

STATES = ("confirmed", "suspected", "ruled_out", "open")


class BankError(ValueError):
    """A bank cannot be used; the text names the file and says what is wrong."""


@dataclass(frozen=True, repr=False)
class Case:
    """One scenario: its evidence as rules see it, and what it expects of the verdict."""

    name: str
    evidence: dict[str, Any]
    context: dict[str, Any]
    expected: dict[str, Any]
    params: dict[str, Any] | None = None
    """What the module classify was given, where the scenario is a system of the lab."""

    def __repr__(self) -> str:
        return f"Case({self.name!r})"

    def judged(self, rules: RuleSet) -> dict[str, Any]:
        """What these rules say of the evidence."""
        return classify(self.evidence, rules, self.context)

    def saved(self, rules: RuleSet) -> dict[str, Any]:
        """The incident record that the play would write of it; as there, secrets are masked before it is judged."""
        evidence = redact_data(self.evidence)
        at = self.context["attempt"]["until"]
        found = classify(evidence, rules, self.context, today=at[:10])
        record = assemble(
            started_at=at,
            finished_at=at,
            attempt=self.context["attempt"],
            evidence=evidence,
            settings=redact_data(self.context["settings"]),
            notes=found["suppressed"],
            **redact_data({part: found[part] for part in ("verdict", "causes", "conflicts")}),
        )
        read: dict[str, Any] = json.loads(json.dumps(record))
        return read

    def differences(self, answer: dict[str, Any]) -> list[str]:
        """Say in what an answer differs from what is expected."""
        states = {cause["id"]: cause["state"] for cause in answer["causes"]}
        found = {**answer["verdict"], "verdict": answer["verdict"]["id"]}
        found["remedy"] = found["remedy"] and found["remedy"]["id"]
        found["also"] = [each["id"] for each in found["also"]]
        wrong = [
            f"{key}: expected {self.expected[key]}, got {found[key]}"
            for key in ("verdict", "state", "remedy", "also")
            if key in self.expected and self.expected[key] != found[key]
        ]
        wrong += [
            f"{cause}: expected {state}, got {states.get(cause, 'no such rule')}"
            for state in STATES
            for cause in self.expected.get(state, [])
            if states.get(cause) != state
        ]
        return wrong + [
            f"{effect}: expected to be told as an effect of {cause}"
            for effect, cause in self.expected.get("effects", {}).items()
            if not is_effect(answer["causes"], effect, cause)
        ]

    def wrongly_confirmed(self, answer: dict[str, Any]) -> bool:
        """Whether the answer is sure of something that is not so."""
        verdict = answer["verdict"]
        sure = verdict["state"] != "inconclusive" and verdict["id"] != self.expected["verdict"]
        confirmed = {cause["id"] for cause in answer["causes"] if cause["state"] == "confirmed"}
        return sure or any(confirmed & set(self.expected.get(state, [])) for state in STATES[1:])


def is_effect(causes: list[dict[str, Any]], effect: str, cause: str | None = None) -> bool:
    """Whether C(effect) is confirmed and its last reason tells of C(cause), or of any cause, as what explains it."""
    known = {each["id"]: each for each in causes}
    if effect not in known or known[effect]["state"] != "confirmed" or (cause and cause not in known):
        return False
    end = f": {known[cause]['title']}." if cause else ""
    last: str = known[effect]["because"][-1]
    return last.startswith("This is an effect of another cause: ") and last.endswith(end)


def rules() -> RuleSet:
    """The collection's own rules."""
    return load(str(RULES), names=vocabulary())


def find(path: Path) -> list[Case]:
    """The cases of a file, or of a folder and its subfolders, in the order of the names. Raises L(BankError)."""
    files = sorted(path.rglob("*.yml")) if path.is_dir() else [path]
    cases = [case for file in files if file.resolve() != saved.SITUATIONS for case in _cases(file)]
    if not cases:
        raise BankError(f"{path}: no scenarios there; expected YAML files as in tests/scenarios")
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BankError(f"{path}: more than one scenario is named {', '.join(sorted(twice))}")
    return cases


def _cases(file: Path) -> Iterator[Case]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise BankError(f"{file}: {exc}") from exc
    if isinstance(content, list):
        for item in content:
            yield from _of_saved(file, item)
    elif isinstance(content, dict) and "incident" in content:
        yield _of_incident(file, content)
    else:
        yield _of_world(file)
        for variant in variants(file):
            yield _of_world(file, variant)


def _of_saved(file: Path, item: Any) -> Iterator[Case]:
    if not isinstance(item, dict) or not {"name", "expected"} <= item.keys():
        raise BankError(f"{file}: expected scenarios with name and expected, got {str(item)[:80]}")
    try:
        for each in saved.spread(item):
            yield Case(f"{file.stem}/{each['name']}", saved.evidence(each), saved.context(each), each["expected"])
    except saved.SavedError as exc:
        raise BankError(f"{file}: {exc}") from exc


def _of_incident(file: Path, content: dict[str, Any]) -> Case:
    path = file.parent / str(content["incident"])
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        context = {"attempt": record["attempt"], "settings": record.get("settings") or {}}
        return Case(file.stem, record["evidence"], context, content["expected"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BankError(f"{file}: expected an incident record in {path}: {type(exc).__name__}: {exc}") from exc


def _of_world(file: Path, variant: str = "") -> Case:
    with World(file, variant) as world:
        found = world.judged()
        name = f"{file.stem}/{variant}" if variant else file.stem
        return Case(name, found["evidence"], world.context, world.scenario["expected"], world.params)
