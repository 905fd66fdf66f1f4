# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios on saved evidence: what the layers told, in the signals that rules name, as changes to a healthy system.

A file is a list of scenarios. Each has C(name), C(title) and C(expected), and may have

  like         names of situations (C(situations.yml)), applied in turn to C(healthy)
  worker_log   lines of the journal of a worker that the team runs itself, each C("HH:MM:SS text") of the attempt's day;
               their signals are what the collector reads in them
  server_log   the same of the livekit-server that the worker belongs to
  evidence     C({layer: {signal: value}}), applied after them; a value of null is unknown
  without      layers that were not asked
  unreachable  layers whose host could not be reached
  unknown      layers that were asked and told nothing
  missing      what to expect when one layer is missing (L(spread))
  attempt      what differs from L(ATTEMPT), and C(settings) what differs from L(SETTINGS)
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import (
    correlate,
    journal,
    own_worker,
    worker_history,
    worker_log,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import worker
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

SITUATIONS = Path(__file__).resolve().parent.parent / "scenarios" / "evidence" / "situations.yml"
ATTEMPT = {
    "at": "2026-02-06T22:39:00.000Z",
    "source": "given",
    "since": "2026-02-06T22:29:00.000Z",
    "until": "2026-02-06T22:49:00.000Z",
    "precision_s": 60.0,
}
SETTINGS = {
    "agent_dir": "livekit-agent",
    "agent_id": "CA_lab000000001",
    "agent_name": "",
    "callback_url": "https://proto-trainer.ngrok.io/api/internal/sessions",
    "service_host": "pi-hub",
    "service_unit": "proto-trainer-next",
    "tunnel_host": "mac",
    "tunnel_unit": "ngrok",
    "database_unit": "postgresql",
}
Scenario = dict[str, Any]
# How a layer can be missing: the scenario's key, and the word for it in the scenario's name.
WAYS = {"without": "not-asked", "unreachable": "unreachable", "unknown": "unknown"}
KEYS = {
    "name",
    "title",
    "like",
    "worker_log",
    "server_log",
    "evidence",
    *WAYS,
    "missing",
    "attempt",
    "settings",
    "expected",
}


class SavedError(ValueError):
    """A scenario cannot be used; the text names it and what is wrong."""


@functools.cache
def situations() -> dict[str, dict[str, dict[str, Any]]]:
    """The named situations: C({name: {layer: {signal: value}}})."""
    loaded: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(SITUATIONS.read_text(encoding="utf-8"))
    return loaded


def spread(scenario: Scenario) -> list[Scenario]:
    """Give the scenario itself, and one for each layer and each way in which that layer can be missing.

    C(missing) has C([{layers, ways, expected}]); without C(ways) it is for all of them. Each layer must have
    been spoken of in each way once. Raises L(SavedError).
    """
    plain = {key: value for key, value in scenario.items() if key != "missing"}
    found = [plain]
    for item in scenario.get("missing", []):
        for layer in item["layers"]:
            for way in item.get("ways", WAYS):
                name = f"{scenario['name']}-{layer}-{WAYS[way]}"
                found.append({**plain, "name": name, way: [layer], "expected": item["expected"]})
    wanted = sorted(f"{scenario['name']}-{layer}-{word}" for layer in LAYERS for word in WAYS.values())
    if len(found) > 1 and sorted(each["name"] for each in found[1:]) != wanted:
        raise SavedError(f"{scenario['name']}: missing: expected each of {', '.join(LAYERS)} once in each way")
    return found


def evidence(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """The records by layer, as L(correlate) would hand them to the rules. Raises L(SavedError)."""
    if strange := scenario.keys() - KEYS:
        raise SavedError(f"{scenario.get('name')}: no such keys: {', '.join(sorted(strange))}")
    signals = copy.deepcopy(situations()["healthy"])
    for name in scenario.get("like", []):
        if name not in situations():
            raise SavedError(f"{scenario['name']}: like: no situation {name!r}; there are: {', '.join(situations())}")
        _change(signals, situations()[name], scenario["name"])
    if "worker_log" in scenario:
        own = _told_by_logs(scenario)
        signals["agent"].update({**own, **_known(own_worker.by_its_log({**signals["agent"], **own}))})
    _change(signals, scenario.get("evidence") or {}, scenario["name"])
    if signals["dispatch"]["asked_names"] is None:
        # The probe asks for the name that is told, the person's room for those of its dispatches.
        asked = {"probe": [signals["agent"]["name"] or ""], "waiting_room": signals["client"]["dispatch_names"]}
        signals["dispatch"]["asked_names"] = asked.get(signals["dispatch"]["source"])
    called = correlate.called_for_attempt(signals["service"]["calls"], signals["dispatch"])
    signals["service"]["called_for_attempt"] = called
    records = {
        layer: record(layer, "healthy", f"{layer} was asked", signals=values)
        for layer, values in signals.items()
        if layer not in scenario.get("without", [])
    }
    for layer in scenario.get("unknown", []):
        records[layer] = unknown(layer, f"{layer} did not tell", signals=dict.fromkeys(signals[layer]))
    for layer in scenario.get("unreachable", []):
        records[layer] = unknown(layer, "its host could not be reached", signals={"host_reachable": False})
    return records


def context(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """What rules may name beside the evidence."""
    return {
        "attempt": {**ATTEMPT, **scenario.get("attempt", {})},
        "settings": {**SETTINGS, **scenario.get("settings", {})},
    }


def _told_by_logs(scenario: Scenario) -> dict[str, Any]:
    """The signals that a worker's and livekit-server's lines tell, both journals being whole."""
    attempt = context(scenario)["attempt"]
    frame = worker_history.Frame(attempt, run_start=parse_time(attempt["until"]) or 0.0)
    return worker_history.told(
        _lines(scenario, "worker_log", worker.line_kind),
        _lines(scenario, "server_log", worker_log.server_kind),
        frame._replace(trusted=True, heard=True, server_heard=True, active=True, up=True),
    )


def _known(signals: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in signals.items() if value is not None}


def _lines(scenario: Scenario, key: str, kind_of: Callable[[str], str | None]) -> list[dict[str, Any]]:
    day = context(scenario)["attempt"]["at"][: len("YYYY-MM-DD")]
    found = []
    for line in scenario.get(key, []):
        clock, _space, text = str(line).partition(" ")
        at = parse_time(f"{day}T{clock}Z")
        if at is None:
            raise SavedError(f"{scenario['name']}: {key}: expected HH:MM:SS and a text, got {str(line)[:80]!r}")
        found.append(worker.understand(journal.Entry(at, text, 6), kind_of, 0.0, []))
    return [line for line in found if line is not None]


def _change(signals: dict[str, dict[str, Any]], change: Mapping[str, Mapping[str, Any]], name: str) -> None:
    for layer, values in change.items():
        if strange := set(values) - signals.get(layer, {}).keys():
            raise SavedError(f"{name}: {layer} has no such signals: {', '.join(sorted(strange))}")
        signals[layer].update(copy.deepcopy(dict(values)))
