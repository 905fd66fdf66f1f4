# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope around a repair: what is planned, whether it may be done, and whether it helped. Pure: data in and out.

Only a confirmed cause that has a remedy is acted on, by the smallest remedy first; the next one is tried only if a
fresh diagnosis shows that the cause still holds. A remediation is plain data, part of the incident record:

run, cause, title   which run it is, and what it is about
based_on            the id of an earlier incident that the run was started from, or None
plan                the remedies in the order in which they are tried (L(rung))
steps               what was done: at, what, took_s, remedy, outcome, output
before, after       how the dispatch test and the cause stood before the repair, and stand after it
verdict, because    how it ended (L(VERDICTS)); None while it goes on, or if the run was killed
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import command, known_signals
from ansible_collections.voiceops.livekit.plugins.module_utils.expressions import render
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleSet

VERDICTS = {
    "repaired": "the cause is gone, and an agent joins",
    "not_needed": "nothing is wrong, or the agent can be woken now",
    "not_repaired": "what was done did not help, or another cause shows now",
    "planned": "check mode: the plan is told, and nothing was done",
    "needs_approval": "the plan waits for approval, and nothing more was done",
    "needs_human": "only a person can go on",
    "blocked": "something stands in the way now, and may not later",
    "broken": "a tool failed, so that it is not known how things stand",
}
# A first start after a repair is a cold one, which says nothing against the repair.
_TO_BE_EXPECTED = ("cloud_cold_start_slow", "agent_asleep_healthy")
# The layers whose faults are that no agent comes, whatever their name.
_THE_AGENTS = ("agent", "dispatch")
# The reasons of a remedy's role that say for certain that nothing was done.
_NOTHING_DONE = ("refused", "rate_limited")
APPROVE = "-e voiceops_approve=true"

Remediation = dict[str, Any]
Incident = Mapping[str, Any]


class Start(NamedTuple):
    """What a remediation is started with: C(hosts) has the first host of each inventory group, C(allowed) the ids of
    remedies that the operator allowed by name, C(based_on) an earlier incident's record, C(left_out) the hosts that
    the run does not reach for."""

    run: str
    hosts: Mapping[str, str]
    approved: bool = False
    allowed: Collection[str] = ()
    check_mode: bool = False
    based_on: Incident | None = None
    left_out: Collection[str] = ()


def begin(incident: Incident, rules: RuleSet, start: Start) -> Remediation:
    """Make the plan from a fresh diagnosis; the verdict is set already if there is nothing to be done."""
    verdict = incident["verdict"]
    found: Remediation = {
        "run": start.run,
        "cause": None,
        "title": None,
        "based_on": start.based_on["incident_id"] if start.based_on else None,
        "plan": [],
        "steps": [],
        "before": None,
        "after": None,
        "verdict": None,
        "because": [],
    }
    earlier = start.based_on["verdict"] if start.based_on else verdict
    other = _other_agent(start.based_on, incident) if start.based_on else ""
    if other:
        return close(found, "blocked", f"Incident {found['based_on']} is of another agent: {other}. Nothing was done.")
    if verdict["state"] == "healthy":
        return close(found, "not_needed", "The diagnosis finds no fault, so nothing is repaired.")
    if verdict["state"] != "fault":
        return close(found, "needs_human", "No cause is confirmed, and a suspected one is never acted on.")
    found.update(cause=verdict["id"], title=verdict["title"], before=standing(incident["evidence"], "confirmed"))
    if earlier["id"] != verdict["id"]:
        return close(
            found,
            "blocked",
            f"Incident {found['based_on']} found {earlier['id']}, but a fresh diagnosis finds {verdict['id']}: "
            "what was to be repaired is not what is wrong now.",
        )
    remedy = None
    if verdict["remedy"]:
        # The cause's own rule may ask for more caution than the remedy by itself.
        remedy = {**rules.remedies[verdict["remedy"]["id"]], "unattended": verdict["remedy"]["unattended"]}
    if remedy is None or not remedy["role"] or remedy["unattended"] == "no":
        advice = (verdict["remedy"] or {}).get("command") or verdict.get("advice") or "read the report"
        return close(found, "needs_human", f"Only a person can repair this: {advice}")
    ladder = [*(rules.remedies[smaller] for smaller in remedy["first"]), remedy]
    signals = known_signals(incident["evidence"], {name: incident[name] for name in ("attempt", "settings")})
    found["plan"] = [rung(each, signals, start) for each in ladder]
    return _weighed(found, start)


def _other_agent(earlier: Incident, now: Incident) -> str:
    """Say in what an earlier incident is of another agent than this one; empty if nothing tells that it is."""
    for name in ("agent_id", "agent_name"):
        was, is_now = (each["settings"].get(name) for each in (earlier, now))
        if was and is_now and was != is_now:
            return f"its voiceops_{name} is {was}, and now it is {is_now}"
    was, is_now = (each["evidence"]["client"]["signals"].get("asked_project") for each in (earlier, now))
    return f"its project is {was}, and now it is {is_now}" if was and is_now and was != is_now else ""


def rung(remedy: Mapping[str, Any], signals: Mapping[str, Any], start: Start) -> dict[str, Any]:
    """One remedy of the plan, with all that is needed to do it; C(permitted) says whether it may be done unattended."""
    permitted = {"yes": True, "guard": start.approved or remedy["id"] in start.allowed, "no": False}
    return {
        "remedy": remedy["id"],
        "title": remedy["title"],
        "role": remedy["role"],
        "host": "localhost" if remedy["group"] == "localhost" else start.hosts.get(remedy["group"], ""),
        "group": remedy["group"],
        "options": {name: render(text, signals) for name, text in remedy["options"].items()},
        "command": command(remedy, signals),
        "unattended": remedy["unattended"],
        "permitted": permitted[remedy["unattended"]],
        "cuts_sessions": remedy["cuts_sessions"],
        "harmless": remedy["harmless"],
    }


def _weighed(found: Remediation, start: Start) -> Remediation:
    """Close what cannot go on to any repair: a host that is missing, an approval that is, or check mode."""
    for each in found["plan"]:
        if not each["host"]:
            return close(
                found, "blocked", f"{each['remedy']} runs on a host of {each['group']}, and the inventory has none."
            )
        if each["host"] in start.left_out:
            return close(
                found, "blocked", f"{each['remedy']} runs on {each['host']}, which this run leaves out (--limit)."
            )
    if start.check_mode:
        return close(found, "planned", "Check mode: this is the plan, and nothing was done.")
    repairs = [each for each in found["plan"] if not each["harmless"]] or found["plan"]
    if repairs[0]["permitted"]:
        return found
    return close(found, "needs_approval", approval(repairs[0]), "Nothing was done.")


def approval(each: Mapping[str, Any]) -> str:
    """Say how a remedy of the plan is approved."""
    return f"{each['remedy']} needs approval: {APPROVE}, or {each['remedy']} in voiceops_allow."


def close(found: Remediation, verdict: str, *because: str) -> Remediation:
    """End a remediation that has not ended yet."""
    if found["verdict"] is not None:
        return found
    return {**found, "verdict": verdict, "because": [*found["because"], *because]}


def live_sessions(each: Mapping[str, Any], client: Mapping[str, Any] | None) -> str:
    """Say why C(each) would cut people off, by a fresh record of the layer C(client); empty if it would not.

    A person who waits is not cut off; one who is served is. Not to know is no permission.
    """
    if not each["cuts_sessions"]:
        return ""
    served = ((client or {}).get("signals") or {}).get("served_by_agent")
    if served is None:
        why = "; ".join((client or {}).get("limits") or ["LiveKit was not asked"])
        return f"Whether people are being served now is not known ({why.rstrip('.')}), and they might be cut off."
    if served:
        return f"{served} session{'s' if served > 1 else ''} with people in would be cut off by {each['remedy']}."
    return ""


def nobody_waits(each: Mapping[str, Any], client: Mapping[str, Any] | None) -> bool:
    """Say whether a harmless remedy, which only asks for the agent again, has nobody to ask for; not if not known."""
    return bool(each["harmless"]) and ((client or {}).get("signals") or {}).get("waiting") == 0


def step(found: Remediation, **fields: Any) -> Remediation:
    """Add a step: C(at) and C(what); C(took_s), C(remedy), C(outcome) and C(output) as far as they are known."""
    blank: dict[str, Any] = {"at": "", "what": "", "took_s": None, "remedy": None, "outcome": None, "output": []}
    return {**found, "steps": [*found["steps"], {**blank, **fields}]}


def outcome(failure: str, result: Mapping[str, Any]) -> str:
    """Name how an act ended, by why its role failed (empty if it did not) and by what the role registered."""
    if not failure:
        return "done" if result.get("changed") else "unchanged"
    return "refused" if result.get("reason") in _NOTHING_DONE and not result.get("changed") else "failed"


def acted(found: Remediation, remedy: str, outcome: str, took_s: float, output: Iterable[str] = ()) -> Remediation:
    """Note how the act that was noted as started before has ended, as L(outcome) names it."""
    steps = list(found["steps"])
    number = max(n for n, each in enumerate(steps) if (each["remedy"], each["outcome"]) == (remedy, "started"))
    steps[number] = {**steps[number], "outcome": outcome, "took_s": took_s, "output": [*output]}
    return {**found, "steps": steps}


def standing(evidence: Mapping[str, Any], cause: str) -> dict[str, Any]:
    """How the dispatch test and the cause stand: one half of the pair that proves a repair."""
    record = evidence["dispatch"]
    names = ("source", "level", "accepted_after_s", "joined_after_s", "ready_after_s", "audible_after_s", "wait_s")
    signals = record["signals"]
    return {
        "joined": signals.get("joined"),
        **{name: signals.get(name) for name in names},
        "summary": record["summary"],
        "cause": cause,
    }


class Proof(NamedTuple):
    """What a fresh diagnosis says of a repair: C(helped) is None if it does not decide; C(because) tells why.

    C(hidden) is the title of another cause that shows now that the repaired one is gone.
    """

    helped: bool | None
    because: str
    after: dict[str, Any]
    hidden: str = ""


def proof(found: Remediation, judged: Mapping[str, Any]) -> Proof:
    """Judge the last remedy by a fresh classification of fresh evidence."""
    cause = next(item["state"] for item in judged["causes"] if item["id"] == found["cause"])
    after = standing(judged["evidence"], cause)
    now = judged["verdict"]
    is_other = now["state"] == "fault" and now["id"] not in (found["cause"], *_TO_BE_EXPECTED)
    if cause == "confirmed":
        return Proof(False, f"The cause still holds: {found['title']} ({after['summary']}).", after)
    if is_other and after["joined"] is False and now["layer"] in _THE_AGENTS:
        return Proof(False, f"Still no agent joins: {now['title']} ({after['summary']}).", after)
    other = f"{now['title']} ({now['id']})"
    if is_other and cause != "ruled_out":
        return Proof(None, f"Whether the cause is gone is not known, and another one shows now: {other}.", after)
    if is_other:
        return Proof(True, "The cause is ruled out.", after, other)
    if after["joined"] is not True:
        return Proof(None, f"It is not proven that an agent joins now: {after['summary']}.", after)
    if cause != "ruled_out":
        # A dispatch says nothing of a service or a tunnel, so that an agent which joins is no proof by itself.
        return Proof(None, f"An agent joins ({after['summary']}), but whether the cause is gone is not known.", after)
    if _flaps(judged["evidence"]["dispatch"]["signals"]):
        return Proof(None, f"An agent joined once, and not again ({after['summary']}).", after)
    return Proof(True, f"The dispatch test passes now: {after['summary']}. The cause is ruled out.", after)


def _flaps(signals: Mapping[str, Any]) -> bool:
    """Whether an agent that came did not stay, or came late and did not come to the second room."""
    late = (signals.get("joined_after_s") or 0.0) > (signals.get("cold_start_s") or 0.0)
    by_probe = signals.get("source") == "probe"
    # To leave a probe's room is what an agent is asked to.
    left = bool(signals.get("left_again")) and not by_probe
    return left or (by_probe and late and signals.get("retry_joined_after_s") is None)


def verified(found: Remediation, seen: Proof, *, last: bool) -> Remediation:
    """Note the proof, and end the remediation unless the next remedy of the plan is to be tried."""
    found = {**found, "after": seen.after}
    changed = [each["remedy"] for each in found["steps"] if each["outcome"] == "done"]
    if seen.helped is None:
        return close(found, "needs_human", seen.because, "What is not proven is no repair, and nothing more is done.")
    if not seen.helped:
        return in_vain(found, seen.because) if last else found
    if seen.hidden:
        return close(
            found, "not_repaired", seen.because, f"Another one shows now: {seen.hidden}. Run the repair again."
        )
    if not changed:
        honest = "It can be woken now, which does not say that it was well before. Nothing was changed."
        return close(found, "not_needed", seen.because, honest)
    return close(found, "repaired", seen.because, f"What helped: {changed[-1]}.")


def in_vain(found: Remediation, because: str) -> Remediation:
    """End a remediation whose remedies are used up: after two that did not help, only a person can go on."""
    changed = [each["remedy"] for each in found["steps"] if each["outcome"] == "done"]
    failed = [each for each in changed if not _is_harmless(found, each)]
    verdict = "needs_human" if len(failed) > 1 else "not_repaired"
    return close(found, verdict, because, f"Tried in vain: {', '.join(changed) or 'nothing but to ask again'}.")


def _is_harmless(found: Remediation, remedy: str) -> bool:
    return any(each["harmless"] for each in found["plan"] if each["remedy"] == remedy)
