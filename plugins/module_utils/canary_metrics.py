# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's figures for Prometheus, in its text format 0.0.4, for the textfile collector of node_exporter.

What is not known has no sample. Timestamps are values, since the collector takes no timestamps of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.canary import LAYERS, RUN_STATES, State
from ansible_collections.voiceops.livekit.plugins.module_utils.lock import slug
from ansible_collections.voiceops.livekit.plugins.module_utils.record import STATES
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_PREFIX = "voiceops_canary"


class Family(NamedTuple):
    """One metric: C(kind) is gauge or counter, C(samples) are labels with a value; a value of None is left out."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[dict[str, str], float | None]]


def file_name(agent: str) -> str:
    """Return the name of the agent's file in the collector's folder."""
    return f"voiceops-canary-{slug(agent)}.prom"


def families(agent: str, state: State, entry: Mapping[str, Any]) -> list[Family]:
    """Return the metrics after the run that made C(entry), all with the label C(agent)."""
    joined, test = state["joined"] or {}, state["test"] or {}
    decided = test.get("outcome") in ("joined", "failed")

    def one(name: str, text: str, value: float | None, **labels: str) -> Family:
        return Family(f"{_PREFIX}_{name}", "gauge", text, [({"agent": agent, **labels}, value)])

    def each(name: str, kind: str, text: str, label: str, values: Mapping[str, float | None]) -> Family:
        samples = [({"agent": agent, label: key}, value) for key, value in values.items()]
        return Family(f"{_PREFIX}_{name}", kind, text, samples)

    layers = [
        ({"agent": agent, "layer": layer, "state": known}, float(entry["layers"][layer] == known))
        for layer in LAYERS
        if layer in entry["layers"]
        for known in STATES
    ]
    return [
        one("last_run_timestamp_seconds", "When the canary last ran to its end.", parse_time(entry["at"])),
        each(
            "state",
            "gauge",
            "What the last run found: 1 for its state, 0 for the others.",
            "state",
            {known: float(entry["state"] == known) for known in RUN_STATES},
        ),
        Family(f"{_PREFIX}_layer_state", "gauge", "The same of each layer that the last run asked.", layers),
        one("sessions", "Rooms with people in them, at the last run.", entry["sessions"]),
        one("failures", "Runs in a row that found something faulty.", state["failures"]),
        one("outage_start_timestamp_seconds", "Since when something is faulty.", state["since"]),
        one("incident_open", "Whether an incident was opened for what is faulty now.", float(bool(state["incident"]))),
        one("last_test_timestamp_seconds", "When a dispatch was last tested, or began to be.", test.get("at")),
        one(
            "last_test_success",
            "Whether an agent joined in the last test that ended.",
            float(test["outcome"] == "joined") if decided else None,
        ),
        one("last_join_timestamp_seconds", "When an agent was last seen to join.", joined.get("at")),
        one(
            "last_join_duration_seconds",
            "How long an agent took to join, from asking for it, in the last probe that one joined.",
            joined.get("joined_after_s"),
            start=joined.get("start") or "unknown",
        ),
        each("runs_total", "counter", "Runs by what they found.", "state", state["runs"]),
        each("probes_total", "counter", "Dispatch probes by how they ended.", "outcome", state["probes"]),
        Family(
            f"{_PREFIX}_agent_seconds_total",
            "counter",
            "Agent time that the probes cost, each room counted in whole minutes.",
            [({"agent": agent}, state["agent_minutes"] * 60.0)],
        ),
    ]


def exposition(metrics: Iterable[Family]) -> str:
    """Write the metrics, each with its help and type before its samples; one without a sample is left out."""
    lines = []
    for family in metrics:
        _check(family.name)
        samples = [(labels, value) for labels, value in family.samples if value is not None]
        if samples:
            lines += [f"# HELP {family.name} {_help(family.help)}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{_labels(labels)} {value!r}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    for name in labels:
        _check(name)
    return "{" + ",".join(f'{name}="{_value(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits and underscores, got {name!r}")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _value(text: str) -> str:
    return _help(text).replace('"', r"\"")
