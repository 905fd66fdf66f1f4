# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In what two incident records differ (replay.py), for the terminal: the verdicts, what turned, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import report_view as view
from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import phrase
from ansible_collections.voiceops.livekit.plugins.module_utils.report_terminal import Page
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

# Keys of a verdict that differ are told under these names, with what both sides say.
_LABELS = {
    "because": "WHY",
    "needs": "NEEDS",
    "remedy": "REMEDY",
    "also": "THEN MEND",
    "advice": "ADVICE",
    "certainty": "CERTAINTY",
}
_NO_RULE = "no such rule"
_MOST_REASONS, _MOST_SIGNALS = 4, 12
Sides = tuple[str, str]


def terminal(
    before: view.Incident,
    after: view.Incident,
    found: Mapping[str, Any],
    sides: Sides,
    *,
    notes: Iterable[str] = (),
    where: str = "",
    width: int = 80,
    colour: bool = False,
    unicode: bool = True,
) -> str:
    """Return what differs as lines of at most C(width) columns, without a newline at the end.

    C(found) is what replay.difference() found, C(sides) how to name the two records, such as C(("was", "now")).
    C(notes) are sentences; C(where) is the path of a file that has all of it, the only thing that may be longer.
    """
    page = Page(width, colour, unicode)
    same_incident = before["incident_id"] == after["incident_id"]
    if same_incident:
        page.line(f"Incident {before['incident_id']}", "dim")
        page.line(view.attempt_line(before), "dim")
        page.line()
    for side, incident in zip(sides, (before, after)):
        if not same_incident:
            page.section(side.upper(), [incident["incident_id"]], "strong")
            page.section("", [view.attempt_line(incident)], "dim")
        page.verdict(side.upper() if same_incident else "", incident["verdict"])
    page.line()
    for key, label in _LABELS.items():
        if key in found["verdict"]:
            told = {name: _first(_told(value), _MOST_REASONS) for name, value in found["verdict"][key].items()}
            page.section(label, _both(sides, told), lines_each=3)
    _tell_causes(page, found["causes"], sides, each=same_incident)
    page.section("CONFLICTS", _both(sides, found["conflicts"]) if found["conflicts"] else [], lines_each=4)
    for layer, change in found["layers"].items():
        _tell_layer(page, layer, change)
    page.section("SETTINGS", _changes(found["settings"]))
    page.section("CLOCKS", [f"{host}: {_change(pair, _clock)}" for host, pair in found["clocks"].items()])
    if not any(found.values()):
        page.section("SAME", ["The verdict, its reasons, and the state of every cause are the same."])
    page.section("NOTE", notes, lines_each=4)
    if where:
        page.label("FILE", where)
    return page.text()


def _tell_causes(page: Page, causes: list[dict[str, Any]], sides: Sides, *, each: bool) -> None:
    """Tell what turned and why of each cause that is confirmed on a side, and with C(each) of all that both judged.

    The others are told by their ids.
    """
    if not causes:
        return
    others: dict[str, list[str]] = {}
    page.section("CAUSES", [f"{len(causes)} in another state"])
    for cause in causes:
        states = (cause["before"], cause["after"])
        turned = " → ".join((state or _NO_RULE).replace("_", " ") for state in states)
        if "confirmed" in states or (each and None not in states):
            page.section("", [f"{cause['title']}: {turned}"], "strong")
            why = {name: [text] if text else [] for name, text in cause["why"].items()}
            page.section("", _both(sides, why), lines_each=3)
        else:
            others.setdefault(turned, []).append(cause["id"])
    for turned, ids in others.items():
        page.section("", [f"{turned}: {', '.join(ids)}"], lines_each=len(ids))


def _tell_layer(page: Page, layer: str, change: Mapping[str, Any]) -> None:
    states = [change["state"][side] for side in ("before", "after")]
    page.section(layer, [" → ".join(dict.fromkeys(states))], states[1])
    # Times differ between any two incidents: they come last.
    signals = sorted(change["signals"].items(), key=lambda item: any(parse_time(each) for each in item[1].values()))
    page.section("", _first(_changes(dict(signals)), _MOST_SIGNALS))


def _first(texts: list[str], most: int) -> list[str]:
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"{more} more; voiceops_difference_file names a file for all"]


def _both(sides: Sides, texts: Mapping[str, list[str]]) -> list[str]:
    return [f"{side}: {text}" for side, name in zip(sides, ("before", "after")) for text in texts[name]]


def _changes(pairs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{name}: {_change(pair, _value)}" for name, pair in pairs.items()]


def _change(pair: Mapping[str, Any], word: Any) -> str:
    return f"{word(pair['before'])} → {word(pair['after'])}"


def _value(value: Any) -> str:
    return "unknown" if value is None else phrase(value) or "empty"


def _clock(clock: Mapping[str, Any] | None) -> str:
    offset = clock and clock["offset_ms"]
    if clock is None or offset is None:
        return "not measured"
    uncertainty = clock["uncertainty_ms"]
    return f"{offset:+g} ms" + ("" if uncertainty is None else f", give or take {uncertainty:g} ms")


def _told(value: Any) -> list[str]:
    """Word a verdict's value as sentences: a text, a list of them, a remedy, a certainty, or a list of other faults."""
    if isinstance(value, list):
        return [view.title(item) if isinstance(item, dict) else item for item in value] or ["none"]
    if isinstance(value, dict):
        return value["why"] if "why" in value else [_remedy(value)]
    return [value or "none"]


def _remedy(remedy: Mapping[str, Any]) -> str:
    unattended = remedy.get("unattended", "yes" if remedy["automatic"] else "no")
    return f"{remedy['id']} (unattended: {unattended}): {remedy['command'] or 'no command'}"
