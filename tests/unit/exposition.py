# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of Prometheus' text format 0.0.4, written from its specification.

It takes no more than promtool does: HELP and TYPE once and before the samples, all samples of a metric together, no
sample twice, no timestamps (the textfile collector refuses them), a newline at the end.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
Labels = frozenset[tuple[str, str]]


class Metric(NamedTuple):
    """One metric as read."""

    kind: str
    help: str
    samples: dict[Labels, float]


def parse(text: str) -> dict[str, Metric]:
    """Read the text; ValueError says what is wrong with it."""
    if text and not text.endswith("\n"):
        raise ValueError("the last line does not end")
    found: dict[str, Metric] = {}
    helps: dict[str, str] = {}
    current = ""
    for line in text.split("\n")[:-1]:
        word, name, rest = ([*line.split(" ", 3), "", ""])[1:4] if line.startswith("# ") else ("", "", "")
        if word == "HELP":
            if name in helps or not rest:
                raise ValueError(f"HELP twice or empty: {line}")
            helps[name] = _unescape(rest)
        elif word == "TYPE":
            if name in found or name not in helps or rest not in TYPES or not NAME.fullmatch(name):
                raise ValueError(f"TYPE twice, without HELP, or of no kind: {line}")
            found[name], current = Metric(rest, helps[name], {}), name
        else:
            _sample(line, current, found)
    empty = [name for name in helps if name not in found or not found[name].samples]
    if empty:
        raise ValueError(f"no samples: {empty}")
    return found


def value(found: dict[str, Metric], name: str, **labels: str) -> float | None:
    """The value of the one sample with at least these labels; None if there is none."""
    if name not in found:
        return None
    values = [number for each, number in found[name].samples.items() if each >= frozenset(labels.items())]
    assert len(values) < 2, f"{name} with {labels} is not one sample"
    return values[0] if values else None


def lint(found: dict[str, Metric]) -> list[str]:
    """What Prometheus' conventions object to."""
    problems = []
    for name, metric in found.items():
        if (metric.kind == "counter") != name.endswith("_total"):
            problems.append(f"{name}: counters, and they alone, end in _total")
        if metric.kind in ("gauge", "counter") and re.search(r"_(count|sum|bucket)$", name):
            problems.append(f"{name}: only histograms and summaries have such a suffix")
        if re.search(r"(milliseconds|minutes|hours|days|_ms|kilobytes|percent)", name):
            problems.append(f"{name}: seconds, bytes and ratios are the base units")
        if re.search(r"[A-Z]|gauge|counter|histogram|summary", name):
            problems.append(f"{name}: no capitals, and no kind in a name")
        if metric.kind == "counter" and any(number < 0 for number in metric.samples.values()):
            problems.append(f"{name}: a counter is not negative")
    return problems


def _sample(line: str, current: str, found: dict[str, Any]) -> None:
    match = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? (\S+)", line)
    if match is None or match[1] != current:
        raise ValueError(f"no sample of {current or 'a metric'}: {line}")
    labels, rest = {}, match[2] or ""
    while rest:
        label = LABEL.match(rest)
        if label is None or label[1] in labels:
            raise ValueError(f"no labels, or one twice: {line}")
        labels[label[1]] = _unescape(label[2])
        rest = rest[label.end() :]
        if rest and not rest.startswith(","):
            raise ValueError(f"no comma: {line}")
        rest = rest[1:]
    key = frozenset(labels.items())
    number = float(match[3])
    if key in found[current].samples or math.isnan(number):
        raise ValueError(f"the same sample twice, or no number: {line}")
    found[current].samples[key] = number


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda escape: ESCAPES[escape[0]], text)
