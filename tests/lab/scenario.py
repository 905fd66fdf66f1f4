# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: YAML files that say the state of every layer and the verdict expected of it.

C(scenario.schema.json) is the whole truth about their shape: it validates a file and has the defaults that complete it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from lab.state import Scenario

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
_AGO = re.compile(r"-(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class ScenarioError(ValueError):
    """A scenario cannot be used; the message names the file, and the path and problem of every error in it."""


def ago(text: str | int) -> float:
    """Give the seconds, never positive, that a relative time such as C('-17m30s') or C(0) adds to now.

    Raises C(ValueError) for anything else.
    """
    if text == 0 and not isinstance(text, bool):
        return 0.0
    match = _AGO.fullmatch(text) if isinstance(text, str) else None
    parts = {unit: number for unit, number in match.groupdict().items() if number} if match else {}
    if not parts:
        raise ValueError(f"expected 0 or a time ago such as -9m, -17m30s or -1d, got {text!r}")
    return -sum(float(number) * _SECONDS[unit] for unit, number in parts.items())


def path_of(name: str) -> Path:
    """Find a scenario by its name or by the path of its file; raises C(ScenarioError) naming those that there are."""
    known = {path.stem: path for path in sorted(SCENARIOS.glob("*.yml"))}
    if name in known:
        return known[name]
    if Path(name).is_file():
        return Path(name)
    raise ScenarioError(f"no scenario {name!r}; there are: {', '.join(known) or 'none'}")


def load(path: str | Path, now: float, variant: str = "") -> Scenario:
    """Read, check and complete the scenario in the file C(path); times become epoch seconds counted from C(now).

    C(variant) names one of its variants, whose keys are put in the place of the scenario's. Raises C(ScenarioError) for
    a file that cannot be read, is no YAML, or breaks the schema.
    """
    data = _read(path)
    if variant:
        data = changed(data, data["variants"][variant])
    problems = sorted(_validator().iter_errors(data), key=lambda error: [str(part) for part in error.absolute_path])
    if problems:
        raise ScenarioError("\n".join(f"{path}: {_where(p.absolute_path)}: {p.cause or p.message}" for p in problems))
    if data["name"] != Path(path).stem:
        raise ScenarioError(f"{path}: name: expected the file's name {Path(path).stem!r}, got {data['name']!r}")
    completed: Scenario = _complete(data, _schema(), now)
    return completed


def variants(path: str | Path) -> list[str]:
    """Name the variants of the scenario in the file C(path), for L(load); raises C(ScenarioError) as it does."""
    data = _read(path)
    return list(data.get("variants", {})) if isinstance(data, dict) else []


def changed(data: Any, change: Any) -> Any:
    """Put what C(change) says in the place of what C(data) does; what a mapping does not name stays."""
    if isinstance(data, dict) and isinstance(change, dict):
        return {**data, **{name: changed(data.get(name), part) for name, part in change.items()}}
    return change


def _read(path: str | Path) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error


def _where(path: Iterable[str | int]) -> str:
    """Write the place of an error as C(cloud.rooms[0].name)."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return parts.lstrip(".") or "the whole file"


@functools.cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("scenario.schema.json").read_text(encoding="utf-8"))
    return schema


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("moment", raises=ValueError)(lambda value: value is None or ago(value) <= 0)
    return jsonschema.Draft202012Validator(_schema(), format_checker=checker)


def _complete(value: Any, schema: dict[str, Any], now: float) -> Any:
    """Give a copy of the valid C(value) with the defaults of C(schema) filled in and its moments resolved."""
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if schema.get("format") == "moment":
        return None if value is None else now + ago(value)
    if isinstance(value, list):
        return [_complete(item, schema.get("items", {}), now) for item in value]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties") or {}
        filled = {name: part["default"] for name, part in known.items() if "default" in part} | value
        return {name: _complete(part, known.get(name, other), now) for name, part in filled.items()}
    return value
