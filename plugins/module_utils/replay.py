# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a saved incident again by other rules, and tell in what two incident records differ. Records in, data out.

A record keeps all that judging goes by: the evidence, the attempt, the settings, and the run's date. Older records lack
what came later: a signal that one lacks is unknown, and a key that only one record has is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleSet

Incident = Mapping[str, Any]


def judged_again(incident: Incident, rules: RuleSet) -> dict[str, Any]:
    """Return the record with the C(verdict), C(causes) and C(conflicts) that these rules find, and C(suppressed).

    Suppressions count by the date of the incident's run. Raises RuleError if a rule does not fit the evidence's types.
    """
    context = {"attempt": incident["attempt"], "settings": incident.get("settings") or {}}
    found = classify(incident["evidence"], rules, context, today=incident["started_at"][:10])
    # As the writer of records does: texts of rules are not exempt from masking.
    kept = redact_data({name: found[name] for name in ("verdict", "causes", "conflicts", "suppressed")})
    return {**incident, **kept}


def difference(before: Incident, after: Incident) -> dict[str, Any]:
    """Return what differs; each part is empty if nothing does. A pair is C({before, after}), null for what is absent.

    verdict    C({key: pair}), of the keys of a verdict
    causes     C([{id, title, before, after, why}]) for each cause whose state differs, C(why) being a pair of sentences
    conflicts  C({before, after}), the sentences that only one of them has
    layers     C({layer: {state: pair, signals: {name: pair}}}) for each layer whose state or signals differ
    settings   C({name: pair})
    clocks     C({host: pair})
    """
    return {
        "verdict": {
            key: _pair(before["verdict"], after["verdict"], key)
            for key in before["verdict"]
            if key in after["verdict"] and not _agree(before["verdict"][key], after["verdict"][key])
        },
        "causes": _causes(before["causes"], after["causes"]),
        "conflicts": _conflicts(before.get("conflicts") or [], after.get("conflicts") or []),
        "layers": {
            layer: found for layer in LAYERS if (found := _layer(before["evidence"][layer], after["evidence"][layer]))
        },
        "settings": _pairs(before.get("settings") or {}, after.get("settings") or {}),
        "clocks": _pairs(before["clocks"], after["clocks"]),
    }


def _agree(before: Any, after: Any) -> bool:
    """Whether two values are the same as far as both tell."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return all(_agree(before[key], after[key]) for key in before if key in after)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_agree, before, after))
    return bool(before == after)


def _pair(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {"before": before.get(key), "after": after.get(key)}


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the keys whose values differ; a key that is absent is the same as one whose value is null."""
    keys = dict.fromkeys((*before, *after))
    return {key: _pair(before, after, key) for key in keys if before.get(key) != after.get(key)}


def _causes(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the causes whose state differs in the order of precedence, those that only C(before) knows last."""
    was, now = ({cause["id"]: cause for cause in causes} for causes in (before, after))
    found = []
    for name in dict.fromkeys((*now, *was)):
        sides = {"before": was.get(name), "after": now.get(name)}
        states = {side: cause and cause["state"] for side, cause in sides.items()}
        if states["before"] != states["after"]:
            title = (now.get(name) or was[name]).get("title") or name
            why = {side: _why(cause) for side, cause in sides.items()}
            found.append({"id": name, "title": title, **states, "why": why})
    return found


def _why(cause: Mapping[str, Any] | None) -> str | None:
    """Tell why a cause is in its state: what is missing, if it is not decided, else what decided it."""
    if cause is None:
        return None
    undecided = cause["state"] in ("suspected", "open")
    told = [*cause["needs"], *cause["because"]] if undecided else [*cause["because"], *cause["needs"]]
    return told[0] if told else None


def _conflicts(before: list[str], after: list[str]) -> dict[str, list[str]]:
    gone = [text for text in before if text not in after]
    new = [text for text in after if text not in before]
    return {"before": gone, "after": new} if gone or new else {}


def _layer(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    signals = _pairs(before["signals"], after["signals"])
    if not signals and before["state"] == after["state"]:
        return {}
    return {"state": _pair(before, after, "state"), "signals": signals}
