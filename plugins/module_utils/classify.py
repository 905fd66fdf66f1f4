# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge every cause by its rule, and name the verdict. Pure: evidence, rules and context in, plain data out.

A cause is confirmed if all its conditions are true, ruled out if one is false, suspected if some are true and the rest
unknown, open if all are unknown. The verdict is the first confirmed fault that no other confirmed cause explains; else
the first confirmed reason why nothing can be said; else health, if it is confirmed; else inconclusive.

Where the evidence contradicts itself, what a conflict doubts counts as unknown. How certain a verdict is, is computed:
high   confirmed, everything that it is easily taken for is decided, and nothing contradicts itself
medium confirmed, but something that it is easily taken for is not decided, or a conflict stands beside it
low    not confirmed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import (
    ExpressionError,
    Signals,
    Unknown,
    evaluate,
    phrase,
    render,
    signals_of,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.inspector import serves_host
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, Record
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import STATES, Rule, RuleError, RuleSet

INCONCLUSIVE = "inconclusive"

# What is one word for ssh is a whole line for the shell at its other end.
_SSH_TO_HERE = re.compile(r"ssh -t localhost (?:'(?P<quoted>.*)'|(?P<bare>.*))")

# What would decide a layer's unknown signals. The order of the layers is also that of the cost: a probe comes last.
_WAYS_TO_KNOW = {
    "client": "look at the rooms while the person waits, with the project's own key",
    "tunnel": "ask the public address, and ngrok's inspector on the tunnel's host",
    "secrets": "list the agent's secrets where lk is logged in",
    "callback": "call the API with the service key",
    "service": "read the unit's state and journal on the service's host",
    "agent": "ask lk for the agent's status, versions and logs",
    "dispatch": "run the dispatch probe, voiceops_dispatch_probe=always",
}


@dataclass(frozen=True)
class _Judgement:
    """One rule, judged: C(held) of its conditions are true, C(unknown) names the signals that the rest depend on."""

    rule: Rule
    state: str
    because: list[str]
    held: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def strength(self) -> float:
        return self.held / len(self.rule["when"])


class _Case(NamedTuple):
    """What all judging goes by: C(doubts) tells for each doubted signal why it cannot be believed."""

    evidence: Mapping[str, Record]
    signals: Signals
    doubts: Mapping[str, str]


def classify(
    evidence: Mapping[str, Record],
    rules: RuleSet,
    context: Mapping[str, Mapping[str, Any]],
    today: str = "",
) -> dict[str, Any]:
    """Return C(verdict), C(causes), C(open_questions), C(conflicts), C(suppressed) and C(probe_would_help).

    C(evidence) has the records by layer; a missing layer is unknown. C(rules) come from rules.load(). C(context) has
    the C(attempt) and the C(settings) that rules may name. Verdict and causes have the shape of the incident record.
    C(open_questions) are sentences, the cheapest to answer first; C(conflicts) are sentences. A suppression counts up
    to its last day, C(today) being the run's date (ISO 8601); C(suppressed) tells what it kept from being the verdict,
    and which ones have expired. C(probe_would_help) is true if the dispatch probe did not run and could still decide.
    Raises RuleError if a rule does not fit the types of the evidence.
    """
    case, conflicts = _believable(_Case(evidence, known_signals(evidence, context), {}), rules.conflicts)
    judgements = [_judge(rule, case.signals) for rule in rules.rules]
    effects = _effects(judgements)
    hidden = {item["rule"]: item for item in rules.suppressions if today and item["until"] >= today}
    roots = [
        each
        for each in judgements
        if each.state == "confirmed" and each.rule["id"] not in effects and each.rule["id"] not in hidden
    ]
    verdict = _verdict(judgements, roots, case)
    verdict["certainty"] = _certainty(verdict, judgements, conflicts, case.signals)
    return {
        "verdict": verdict,
        "causes": [_cause(each, effects.get(each.rule["id"]), case) for each in judgements],
        "open_questions": _needs(_undecided(judgements), case),
        "conflicts": conflicts,
        "suppressed": _suppressed(judgements, rules.suppressions, today),
        "probe_would_help": _probe_would_help(judgements, roots, case.signals),
    }


def _believable(case: _Case, conflicts: Iterable[Mapping[str, Any]]) -> tuple[_Case, list[str]]:
    """Take what contradicts itself out of the signals; tell the contradictions."""
    doubts: dict[str, str] = {}
    told = []
    for conflict in conflicts:
        values = [_value(conflict, source, case.signals) for source in conflict["when"]]
        if all(not isinstance(value, Unknown) and value for value in values):
            sentence = render(conflict["because"], case.signals).strip()
            told.append(sentence)
            doubts.update(dict.fromkeys(conflict["doubts"], sentence))
    signals = {
        layer: {name: None if f"{layer}.{name}" in doubts else value for name, value in values.items()}
        for layer, values in case.signals.items()
    }
    return case._replace(signals=signals, doubts=doubts), told


def _certainty(
    verdict: Mapping[str, Any], judgements: Iterable[_Judgement], conflicts: list[str], signals: Signals
) -> dict[str, Any]:
    """Say how certain the verdict is, and why not more."""
    states = {each.rule["id"]: each for each in judgements}
    if verdict["id"] not in states:
        return {"level": "low", "why": ["No cause is confirmed."]}
    rule = states[verdict["id"]].rule
    # Whether all is well depends on every suspicion, a fault on what it is easily taken for.
    why = [
        f"Not decided: {each.rule['title']}."
        for name, each in states.items()
        if each.rule["state"] == "fault"
        and (
            (each.state in ("suspected", "open") and name in rule["look_alikes"])
            or (each.state == "suspected" and rule["state"] == "healthy")
        )
    ]
    why += [
        f"Of the layer {layer}, which could exclude it, nothing is known."
        for layer in _layers(rule["unless"])
        if layer in LAYERS and not signals.get(layer, {}).get("host_reachable")
    ]
    why += [f"The evidence contradicts itself: {sentence}" for sentence in conflicts]
    if why:
        return {"level": "medium", "why": why}
    return {"level": "high", "why": ["All that it is easily taken for is decided, and nothing contradicts itself."]}


def _layers(sources: Iterable[str]) -> list[str]:
    """Return the layers whose signals the expressions name, in order."""
    return list(dict.fromkeys(name.split(".", maxsplit=1)[0] for source in sources for name in signals_of(source)))


def _suppressed(judgements: Iterable[_Judgement], suppressions: Iterable[Mapping[str, Any]], today: str) -> list[str]:
    titles = {each.rule["id"]: each.rule["title"] for each in judgements if each.state == "confirmed"}
    told = []
    for item in suppressions:
        if item["until"] < today:
            told.append(f"The suppression of {item['rule']} ended on {item['until']} and is not applied any more.")
        elif item["rule"] in titles:
            told.append(f"Confirmed, but suppressed until {item['until']}: {titles[item['rule']]}. {item['reason']}")
    return told


def known_signals(evidence: Mapping[str, Record], context: Mapping[str, Mapping[str, Any]]) -> Signals:
    """Return what rules may name: every layer's signals, C(attempt) and C(settings).

    A layer's C(host_reachable) is true as soon as one of its signals is known; only its record can say false.
    """
    layers = {}
    for layer, record in evidence.items():
        signals = record.get("signals") or {}
        heard = True if any(value is not None for value in signals.values()) else None
        layers[layer] = {"host_reachable": heard, **signals}
    if "tunnel" in layers and layers["tunnel"].get("serves_host") is None:
        # Records of before that signal hold what it is made of.
        layers["tunnel"]["serves_host"] = serves_host(layers["tunnel"])
    return {**layers, **{name: dict(values) for name, values in context.items()}}


def _judge(rule: Rule, signals: Signals) -> _Judgement:
    for source in rule["unless"]:
        value = _value(rule, source, signals)
        if not isinstance(value, Unknown) and value:
            return _ruled_out(rule, f"{_facts(source, signals)}: that excludes it.", signals)
    values = {source: _value(rule, source, signals) for source in rule["when"]}
    unknown = [value for value in values.values() if isinstance(value, Unknown)]
    held = [source for source, value in values.items() if not isinstance(value, Unknown)]
    for source in held:
        if not values[source]:
            return _ruled_out(rule, f"{_facts(source, signals)}; it takes {source}.", signals)
    if not unknown:
        return _Judgement(rule, "confirmed", [render(text, signals).strip() for text in rule["because"]], len(held))
    names = tuple(dict.fromkeys(name for value in unknown for name in value.names))
    because = [f"{_facts(source, signals)}: that fits." for source in held]
    return _Judgement(rule, "suspected" if held else "open", because, len(held), names)


def _value(rule: Mapping[str, Any], source: str, signals: Signals) -> Any:
    try:
        return evaluate(source, signals)
    except ExpressionError as exc:
        raise RuleError(f"{rule['file']}: {rule['id']}: {exc}") from exc


def _ruled_out(rule: Rule, reason: str, signals: Signals) -> _Judgement:
    because = render(rule["otherwise"], signals).strip() if rule["otherwise"] else reason
    return _Judgement(rule, "ruled_out", [because])


def _facts(source: str, signals: Signals) -> str:
    """Tell the known values of an expression's signals, such as C(agent.status is Sleeping)."""
    values = [(name, evaluate(name, signals)) for name in signals_of(source)]
    return " and ".join(
        f"{name} is {phrase(value) or 'empty'}" for name, value in values if not isinstance(value, Unknown)
    )


def _effects(judgements: list[_Judgement]) -> dict[str, Rule]:
    """Return, by the id of each confirmed cause that another one explains, the rule of that other one."""
    confirmed = {each.rule["id"]: each.rule for each in judgements if each.state == "confirmed"}
    return {
        effect: rule
        for rule in reversed(list(confirmed.values()))
        for effect in rule["explains"]
        if effect in confirmed
    }


def _cause(judgement: _Judgement, root: Rule | None, case: _Case) -> dict[str, Any]:
    because = judgement.because
    if root is not None:
        because = [*because, f"This is an effect of another cause: {root['title']}."]
    return {
        "id": judgement.rule["id"],
        "state": judgement.state,
        "layer": judgement.rule["layer"],
        "title": judgement.rule["title"],
        "because": because,
        "needs": _needs([judgement], case),
    }


def _verdict(judgements: list[_Judgement], roots: list[_Judgement], case: _Case) -> dict[str, Any]:
    """Make the verdict of the first of the confirmed causes; C(also) has its other faults in the order to repair them.

    What comes first hides what comes later (a dormant agent hides a refused key), so that is the order of the rules.
    """
    if not roots:
        return _undecided_verdict(judgements, case)
    chosen = _first(roots)
    rule = chosen.rule
    others = [each for each in roots if each is not chosen and each.rule["state"] == rule["state"] == "fault"]
    return {
        "id": rule["id"],
        "state": rule["state"],
        "layer": rule["layer"],
        "title": rule["title"],
        "because": chosen.because,
        "needs": _needs(_undecided(judgements), case) if rule["state"] == INCONCLUSIVE else [],
        "advice": render(rule["advice"], case.signals).strip() or None,
        "remedy": _remedy(rule, case.signals),
        "also": [
            {"id": each.rule["id"], "title": each.rule["title"], "remedy": _remedy(each.rule, case.signals)}
            for each in others
        ],
    }


def _first(roots: list[_Judgement]) -> _Judgement:
    return min(roots, key=lambda each: STATES.index(each.rule["state"]))


def _undecided_verdict(judgements: list[_Judgement], case: _Case) -> dict[str, Any]:
    faults = _strongest(judgements, "fault")
    suspects = faults or _strongest(judgements, "healthy")
    best = suspects[0] if suspects else None
    title = "Not decided: too little is known"
    if best:
        title = (
            f"Not decided; suspected: {best.rule['title']}"
            if faults
            else "Nothing is seen to be wrong, but that is not proven"
        )
    fits = [
        f"What is known fits this, {each.held} of {len(each.rule['when'])} conditions: {each.rule['title']}."
        for each in suspects
    ]
    return {
        "id": INCONCLUSIVE,
        "state": INCONCLUSIVE,
        "layer": best.rule["layer"] if best else None,
        "title": title,
        "because": [*fits, *(best.because if best else ["No cause is confirmed, and not all are ruled out."])],
        "needs": _needs(suspects or judgements, case),
        "advice": None,
        "remedy": None,
        "also": [],
    }


def _strongest(judgements: list[_Judgement], state: str) -> list[_Judgement]:
    """Return the suspected rules of that state of which the largest share of conditions holds."""
    suspected = [each for each in judgements if each.state == "suspected" and each.rule["state"] == state]
    strongest = max((each.strength for each in suspected), default=0.0)
    return [each for each in suspected if each.strength == strongest]


def _undecided(judgements: list[_Judgement]) -> list[_Judgement]:
    """Return the faults that are suspected; those that are open, if there are none."""
    faults = [each for each in judgements if each.rule["state"] == "fault"]
    return [each for each in faults if each.state == "suspected"] or [each for each in faults if each.state == "open"]


def command(remedy: Mapping[str, Any], signals: Signals) -> str:
    """Word what a person would type for a remedy: what is done on this very machine without ssh."""
    text = render(
        remedy["command"], signals, lambda value: f"<{', '.join(value.names).rsplit('.', maxsplit=1)[-1]}>"
    ).strip()
    here = _SSH_TO_HERE.fullmatch(text)
    return (here["quoted"] or here["bare"]) if here else text


def _remedy(rule: Rule, signals: Signals) -> dict[str, Any] | None:
    remedy = rule["remedy"]
    fits = [_value(rule, source, signals) for source in rule["remedy_when"]]
    if remedy is None or any(isinstance(value, Unknown) or not value for value in fits):
        return None
    unattended = remedy["unattended"]
    return {
        "id": remedy["id"],
        "automatic": unattended != "no",
        "unattended": unattended,
        "command": command(remedy, signals),
    }


def _needs(judgements: Iterable[_Judgement], case: _Case) -> list[str]:
    """Say, layer by layer, which signals would decide the causes, how to learn them, and why they are not known."""
    names = list(dict.fromkeys(name for each in judgements for name in each.unknown))
    doubted = dict.fromkeys(case.doubts[name] for name in names if name in case.doubts)
    sentences = [f"Find out which is true: {sentence}" for sentence in doubted]
    for layer in LAYERS:
        wanted = [name for name in names if name.startswith(f"{layer}.") and name not in case.doubts]
        if wanted:
            reason = _reason(case.evidence.get(layer))
            sentences.append(f"To know {', '.join(wanted)}: {_WAYS_TO_KNOW[layer]}. Not known so far: {reason}.")
    return sentences


def _reason(record: Record | None) -> str:
    if record is None:
        return "this layer was not asked"
    limits = "; ".join(limit.rstrip(".") for limit in record.get("limits") or [])
    return limits or "the layer was asked, but did not say"


def _probe_would_help(judgements: list[_Judgement], roots: list[_Judgement], signals: Signals) -> bool:
    # Where a person waits, that room is the test.
    tested = evaluate("dispatch.ran or client.waiting > 0", signals)
    # An error of the service is not why no agent called it.
    uncalled = evaluate("service.calls == 0", signals) is True
    causes = [each for each in roots if not (each.rule["beside"] or (uncalled and each.rule["layer"] == "service"))]
    if tested is True or (causes and _first(causes).rule["state"] != INCONCLUSIVE):
        return False
    return any(name.startswith("dispatch.") for each in judgements for name in each.unknown)
