# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load the rules, which say how a cause is told from its evidence, and the remedies, which say what to do about it.

A folder of rules holds YAML files, each a list of rules, and C(remedies.yml), C(conflicts.yml) and C(suppressions.yml).
Rules keep the order of the files' names and of the lists: the first confirmed one is the verdict (see classify.py).

A rule:
  id            name of the cause; unique, a user's rule may not replace another one
  layer         the layer it is a fault of
  title         one line without a full stop
  state         fault (default), inconclusive or healthy: what a confirmed rule makes the verdict's state
  when          expressions (expressions.py); all true confirms the cause, one false rules it out
  unless        expressions; one true rules the cause out, unknown ones do not matter
  because       text, or list of texts, told if the cause is confirmed; C({{ layer.signal }}) puts figures in
  otherwise     text told if it is ruled out, instead of the condition that failed
  explains      ids of causes that are only effects if this one is confirmed
  look_alikes   ids of causes that are easily taken for this one
  beside        true for a fault that keeps no agent away by itself: the probe is worth its while all the same
  remedy        id of a remedy; none by default
  remedy_when   expressions; the remedy is one only where all are true
  unattended    overrides the remedy's, if that has a role
  advice        text: what to do, in words; with the command to type, if there is no remedy

A remedy: C(id), C(title), C(command) (text) and C(unattended): C(yes), C(guard) (behind limits) or C(no), which it
always is without a role; and, unless only a person can do it:
  role          the collection's role that does it
  group         the inventory group whose first host it runs on, or localhost
  options       the role's variables; values are texts
  first         ids of smaller remedies, to be tried before it, in this order
  cuts_sessions true if people who are being served would be cut off
  harmless      true if it can do no harm, however often it is done: then it needs no cool-down and no budget
A conflict: C(id), C(when) (as of a rule), C(because) and C(doubts), the signals that cannot be believed while it holds.
A suppression: C(rule) (a rule's id), C(until) (a date, the last day) and C(reason): that cause is no verdict meanwhile.

For the controller only: PyYAML is imported when rules are loaded.
"""

from __future__ import annotations

import datetime
import graphlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import (
    ExpressionError,
    Vocabulary,
    check,
    check_text,
    signals_of,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS

Rule = dict[str, Any]

OWN = Path(__file__).resolve().parents[2] / "roles" / "classify" / "files" / "rules"
REMEDIES_FILE, CONFLICTS_FILE, SUPPRESSIONS_FILE = "remedies.yml", "conflicts.yml", "suppressions.yml"
STATES = ("fault", "inconclusive", "healthy")
UNATTENDED = ("yes", "guard", "no")
GROUPS = ("localhost", "lk_control", "voice_service", "voice_tunnel", "voice_worker")
# YAML 1.1 reads a bare yes or no as a boolean.
_YAML_BOOLEANS = {True: "yes", False: "no"}
_ID = re.compile(r"[a-z][a-z0-9_]*")

# What every record tells by itself, beside its layer's own signals.
COMMON_SIGNALS = {
    "host_reachable": "bool: whether the layer's host could be reached; None if nobody tried",
}
ATTEMPT = {
    "at": "str: when the user tried, RFC 3339 UTC",
    "source": "str: given, waiting_session or now",
    "since": "str: begin of the window that was looked at",
    "until": "str: its end",
    "precision_s": "float: how exactly the time is known, in seconds",
}
SETTINGS = {
    "agent_dir": "str: folder of the agent's source, with its livekit.toml",
    "agent_id": "str: the cloud agent's id",
    "agent_name": "str: the dispatch name; empty for automatic dispatch",
    "callback_url": "str: the URL that the agent calls",
    "database_unit": "str: the systemd unit of the service's database, on the service's host",
    "service_host": "str: the service's host: where ssh reaches it, else the inventory's name",
    "service_unit": "str: the service's systemd unit",
    "tunnel_host": "str: the tunnel's host, likewise",
    "tunnel_unit": "str: ngrok's systemd unit there",
    "worker_host": "str: the host of a worker that the team runs itself, likewise",
    "worker_unit": "str: its systemd unit",
}

_RULE_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "layer": (str,),
    "title": (str,),
    "state": (str,),
    "when": (list,),
    "unless": (list,),
    "because": (str, list),
    "otherwise": (str,),
    "explains": (list,),
    "look_alikes": (list,),
    "beside": (bool,),
    "remedy": (str, type(None)),
    "remedy_when": (list,),
    "unattended": (str, bool),
    "advice": (str,),
}
_RULE_REQUIRED = ("id", "layer", "title", "when", "because")
_CONFLICT_TYPES: dict[str, tuple[type, ...]] = {"id": (str,), "when": (list,), "because": (str,), "doubts": (list,)}
_SUPPRESSION_TYPES: dict[str, tuple[type, ...]] = {"rule": (str,), "until": (datetime.date, str), "reason": (str,)}
_REMEDY_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "title": (str,),
    "command": (str,),
    "unattended": (str, bool),
    "role": (str,),
    "group": (str,),
    "options": (dict,),
    "first": (list,),
    "cuts_sessions": (bool,),
    "harmless": (bool,),
}
_REMEDY_REQUIRED = ("id", "title", "command", "unattended")
_TYPE_NAMES = {
    str: "a text",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
    bool: "yes or no",
    datetime.date: "a date",
}


class RuleError(ValueError):
    """A rule or remedy that cannot be used; names the file, the id, the key and what was expected."""


class RuleSet(NamedTuple):
    """What a folder holds, checked. Every key of a rule is present, and its C(remedy) is the whole remedy, or None."""

    rules: list[Rule]
    conflicts: Sequence[dict[str, Any]] = ()
    suppressions: Sequence[dict[str, Any]] = ()
    remedies: Mapping[str, dict[str, Any]] = MappingProxyType({})


def vocabulary() -> dict[str, dict[str, str]]:
    """Return all names that a rule may use with what they mean, by layer, and by C(attempt) and C(settings)."""
    # All layers are imported for their names alone, which takes a while: only where something is to be checked.
    from ansible_collections.voiceops.livekit.plugins.module_utils import correlate, dispatch, own_worker
    from ansible_collections.voiceops.livekit.plugins.module_utils.layers import (
        agent,
        callback,
        client,
        inspector,
        secrets,
        service,
        tunnel,
        worker,
    )

    layers = {
        "client": client.SIGNALS,
        "tunnel": {**tunnel.SIGNALS, **inspector.SIGNALS},
        "secrets": secrets.SIGNALS,
        "callback": callback.SIGNALS,
        "service": {**service.SIGNALS, **correlate.SIGNALS},
        "agent": {**agent.SIGNALS, **worker.SIGNALS, **own_worker.SIGNALS},
        "dispatch": dispatch.SIGNALS,
    }
    known = {layer: {**COMMON_SIGNALS, **signals} for layer, signals in layers.items()}
    return {**known, "attempt": ATTEMPT, "settings": SETTINGS}


def load(folder: str, extra: str | None = None, names: Vocabulary | None = None) -> RuleSet:
    """Return what C(folder) and the user's own folder C(extra) hold, checked, the rules in the order of precedence.

    Files of both folders are read in the order of their names. The expressions are checked against C(names), by default
    R(vocabulary); those in L(OWN) only where C(names) is given, as it is in the collection's tests. Raises RuleError.
    """
    files: list[tuple[Path, Vocabulary | None]] = []
    for each in filter(None, (folder, extra)):
        known = vocabulary() if names is None and Path(each).resolve() != OWN else names
        files += [(path, known) for path in _files(each)]
    items: dict[str, list[tuple[Any, str, Vocabulary | None]]] = {}
    for path, known in sorted(files, key=lambda file: file[0].name):
        kind = path.name if path.name in (REMEDIES_FILE, CONFLICTS_FILE, SUPPRESSIONS_FILE) else ""
        items.setdefault(kind, []).extend((item, path.name, known) for item in _items(path))
    remedies = _unique(_remedy(*item) for item in items.get(REMEDIES_FILE, []))
    for remedy in remedies.values():
        for smaller in remedy["first"]:
            _one_of(f"{remedy['file']}: {remedy['id']}: first", smaller, _doable(remedies, but=remedy["id"]))
    rules = _unique(_rule(*item) for item in items.get("", []))
    for rule in rules.values():
        rule["remedy"] = _resolve(rule, remedies)
    _check_references(rules)
    return RuleSet(
        list(rules.values()),
        list(_unique(_conflict(*item) for item in items.get(CONFLICTS_FILE, [])).values()),
        [_suppression(item, file, tuple(rules)) for item, file, _known in items.get(SUPPRESSIONS_FILE, [])],
        remedies,
    )


def _files(folder: str) -> list[Path]:
    path = Path(folder)
    if not path.is_dir():
        raise RuleError(f"{folder}: expected a folder with rules (*.yml)")
    try:
        # A glob takes a folder that it may not read for an empty one.
        found = sorted(os.listdir(path))
    except OSError as exc:
        raise RuleError(f"{folder}: expected a folder with rules (*.yml), got: {exc.strerror}") from exc
    return [path / name for name in found if name.endswith((".yml", ".yaml"))]


def _items(path: Path) -> list[Any]:
    import yaml

    try:
        # libyaml, where PyYAML has it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise RuleError(f"{path.name}: expected YAML, got: {' '.join(str(exc).split())}") from exc
    if not isinstance(content, list):
        raise RuleError(f"{path.name}: expected a list, got {type(content).__name__}")
    return content


def _unique(items: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for item in items:
        first = known.setdefault(item["id"], item)
        if first is not item:
            raise RuleError(f"{item['file']}: {item['id']}: id: expected a new one, {first['file']} has it already")
    return known


def _remedy(item: Any, file: str, names: Vocabulary | None) -> dict[str, Any]:
    given = _checked_keys(item, file, _REMEDY_TYPES, required=_REMEDY_REQUIRED)
    remedy: dict[str, Any] = {
        "role": "",
        "group": "",
        "options": {},
        "first": [],
        "cuts_sessions": False,
        "harmless": False,
        **given,
    }
    where = f"{file}: {remedy['id']}"
    unattended = _YAML_BOOLEANS.get(remedy["unattended"], remedy["unattended"])
    _one_of(f"{where}: unattended", unattended, UNATTENDED)
    if remedy["role"]:
        _one_of(f"{where}: group", remedy["group"], GROUPS)
    else:
        unattended = "no"
    options = _texts(f"{where}: options", list(remedy["options"].values()))
    _check_all(f"{where}: command", [remedy["command"]], names, check_text)
    _check_all(f"{where}: options", options, names, check_text)
    return {**remedy, "unattended": unattended, "file": file}


def _doable(remedies: Mapping[str, Mapping[str, Any]], but: str) -> tuple[str, ...]:
    """Return the ids of the remedies that have a role, but for one."""
    return tuple(name for name, remedy in remedies.items() if remedy["role"] and name != but)


def _rule(item: Any, file: str, names: Vocabulary | None) -> Rule:
    given = _checked_keys(item, file, _RULE_TYPES, required=_RULE_REQUIRED)
    where = f"{file}: {given['id']}"
    absent = {"state": "fault", "remedy": None, "unattended": "", "otherwise": "", "advice": "", "beside": False}
    rule: Rule = {**absent, **given}
    rule["unattended"] = _YAML_BOOLEANS.get(rule["unattended"], rule["unattended"])
    _one_of(f"{where}: unattended", rule["unattended"], ("", *UNATTENDED))
    _one_of(f"{where}: layer", rule["layer"], LAYERS)
    _one_of(f"{where}: state", rule["state"], STATES)
    if isinstance(rule["because"], str):
        rule["because"] = [rule["because"]]
    for key in ("when", "unless", "because", "explains", "look_alikes", "remedy_when"):
        rule[key] = _texts(f"{where}: {key}", rule.get(key, []))
    if not rule["when"]:
        raise RuleError(f"{where}: when: expected at least one expression")
    for key in ("when", "unless", "remedy_when"):
        _check_all(f"{where}: {key}", rule[key], names, check)
    for key in ("because", "otherwise", "advice"):
        _check_all(f"{where}: {key}", _as_list(rule[key]), names, check_text)
    return {**rule, "file": file}


def _conflict(item: Any, file: str, names: Vocabulary | None) -> dict[str, Any]:
    conflict = _checked_keys(item, file, _CONFLICT_TYPES, required=tuple(_CONFLICT_TYPES))
    where = f"{file}: {conflict['id']}"
    for key in ("when", "doubts"):
        _check_all(f"{where}: {key}", _texts(f"{where}: {key}", conflict[key]), names, check)
    for source in conflict["doubts"]:
        if signals_of(source) != (source,):
            raise RuleError(f"{where}: doubts: expected names of signals, got {source!r}")
    _check_all(f"{where}: because", [conflict["because"]], names, check_text)
    return {**conflict, "file": file}


def _suppression(item: Any, file: str, ids: tuple[str, ...]) -> dict[str, Any]:
    given = _checked_keys(item, file, _SUPPRESSION_TYPES, required=tuple(_SUPPRESSION_TYPES), name="rule")
    where = f"{file}: {given['rule']}"
    _one_of(f"{where}: rule", given["rule"], ids)
    try:
        until = datetime.date.fromisoformat(str(given["until"]))
    except ValueError as exc:
        raise RuleError(f"{where}: until: expected a date such as 2026-12-31, got {given['until']!r}") from exc
    if not given["reason"].strip():
        raise RuleError(f"{where}: reason: expected a text that tells why")
    return {**given, "until": until.isoformat(), "file": file}


def _checked_keys(
    item: Any, file: str, types: dict[str, tuple[type, ...]], required: tuple[str, ...], name: str = "id"
) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise RuleError(f"{file}: expected a mapping with the keys {', '.join(required)}, got {item!r}")
    where = f"{file}: {item.get(name, f'one without {name}')}"
    for key in required:
        if key not in item:
            raise RuleError(f"{where}: {key}: expected {_expected(types[key])}, but the key is missing")
    for key, value in item.items():
        if key not in types:
            raise RuleError(f"{where}: {key}: expected one of the keys {', '.join(types)}")
        if not isinstance(value, types[key]):
            raise RuleError(f"{where}: {key}: expected {_expected(types[key])}, got {value!r}")
    if not _ID.fullmatch(item[name]):
        raise RuleError(f"{where}: {name}: expected small letters, digits and underscores")
    return dict(item)


def _expected(types: tuple[type, ...]) -> str:
    return " or ".join(_TYPE_NAMES[each] for each in types)


def _one_of(where: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RuleError(f"{where}: expected one of {', '.join(choices)}, got {value!r}")


def _texts(where: str, values: list[Any]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise RuleError(f"{where}: expected texts, got {value!r}")
    return values


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _check_all(where: str, sources: list[str], names: Vocabulary | None, checker: Any) -> None:
    for source in sources if names is not None else ():
        try:
            checker(source, names)
        except ExpressionError as exc:
            raise RuleError(f"{where}: {source!r}: {exc}") from exc


def _resolve(rule: Rule, remedies: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    if rule["remedy"] is None:
        return None
    where = f"{rule['file']}: {rule['id']}: remedy"
    _one_of(where, rule["remedy"], tuple(remedies))
    remedy = remedies[rule["remedy"]]
    return {**remedy, "unattended": (remedy["role"] and rule["unattended"]) or remedy["unattended"]}


def _check_references(rules: dict[str, Rule]) -> None:
    """Refuse ids that no rule has, and causes that explain each other: one of them must be the root."""
    for rule in rules.values():
        for key in ("explains", "look_alikes"):
            for other in rule[key]:
                _one_of(f"{rule['file']}: {rule['id']}: {key}", other, tuple(rules))
    try:
        graphlib.TopologicalSorter({name: rule["explains"] for name, rule in rules.items()}).prepare()
    except graphlib.CycleError as exc:
        circle = " -> ".join(exc.args[1])
        raise RuleError(f"explains: expected no circle, got {circle}") from exc
