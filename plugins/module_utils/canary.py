# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the canary sees, whether it may try a dispatch now, and what follows: pure functions over plain data.

A run sees each layer that it asked as C(healthy), C(faulty) or C(unknown); the dispatch only where it was tested, by a
probe or by a person who is in a room. A failure lasts until its layer is seen healthy: that a layer could not be asked
ends no outage, and counts as no failure either. Times are seconds since 1970 on the controller's clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import DEADLINE_S, from_waiting_room
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time, rfc3339

LAYERS = ("client", "tunnel", "secrets", "callback", "agent", "dispatch")
RUN_STATES = ("healthy", "fault", "inconclusive")
OUTCOMES = ("joined", "failed", "unknown")
# So many runs in a row that find something faulty open an incident.
FAILURES = 2
# A join counts as proof for so many intervals, and for an hour at least.
FRESH_INTERVALS, FRESH_S = 2, 3600.0
_MOST_DOUBLINGS = 20
_MOST_WORDS = 300

State = dict[str, Any]


class Settings(NamedTuple):
    """When a dispatch may be tried: seconds between two tests while all is well, and after one that failed."""

    interval_s: float = 21600.0
    retry_s: float = 600.0
    keep_warm: bool = False
    probing: bool = True
    deadline_s: float = DEADLINE_S


class Seen(NamedTuple):
    """What one run saw: C(layers) that it asked with their states; C(because) what those say that are not healthy;
    C(sessions) rooms with people, None if not known; C(asleep) whether the agent sleeps, by its status before any test;
    C(test) of the dispatch, None if there was none."""

    layers: dict[str, str]
    because: dict[str, str]
    sessions: int | None
    asleep: bool | None
    test: dict[str, Any] | None


class Decision(NamedTuple):
    """Whether to try a dispatch now, and a sentence that says why, or why not."""

    probe: bool
    why: str


class Outcome(NamedTuple):
    """What follows from a run: the state to keep, the line for the history, and whether to open an incident."""

    state: State
    entry: dict[str, Any]
    opens: bool


def new_state() -> State:
    """Return the state before the first run.

    C(test) is the last test of the dispatch: C(at), C(source) (probe or person), C(outcome) (one of OUTCOMES, or
    C(started)), C(joined_after_s) and C(start) (cold, warm or None). C(joined) is the last one in which an agent
    joined, C(misses) how many in a row did not end so since. C(failing) are the layers that were last seen faulty,
    C(failures) how many runs in a row saw something faulty, C(since) when that began, C(incident) which one it opened.
    C(runs) and C(probes) count since the file was made, and so do C(agent_minutes).
    """
    return {
        "test": None,
        "joined": None,
        "misses": 0,
        "failing": [],
        "failures": 0,
        "since": None,
        "incident": "",
        "runs": dict.fromkeys(RUN_STATES, 0),
        "probes": dict.fromkeys(OUTCOMES, 0),
        "agent_minutes": 0,
    }


def damaged_state(now: float) -> State:
    """Return the state after the kept one was lost: as if a dispatch had been tried just now, so none comes early."""
    return {**new_state(), "test": _test(now, "probe", "started")}


def is_state(found: object) -> bool:
    """Whether what a file holds has the shape of a state."""
    fresh = new_state()
    if not isinstance(found, dict) or set(found) != set(fresh):
        return False
    numbers = all(_is_number(found[name]) for name in ("misses", "failures", "agent_minutes"))
    counts = all(
        isinstance(found[name], dict)
        and set(found[name]) == set(fresh[name])
        and all(map(_is_number, found[name].values()))
        for name in ("runs", "probes")
    )
    failing = isinstance(found["failing"], list) and set(map(str, found["failing"])) <= set(LAYERS)
    since = found["since"] is None or _is_number(found["since"])
    return numbers and counts and failing and since and isinstance(found["incident"], str) and _are_tests(found)


def settled(state: State, now: float) -> State:
    """Return the state for this clock: what lies in its future, as after a clock was set back, counts as just now."""

    def settle(test: dict[str, Any] | None) -> dict[str, Any] | None:
        return {**test, "at": min(test["at"], now)} if test else None

    since = None if state["since"] is None else min(state["since"], now)
    return {**state, "test": settle(state["test"]), "joined": settle(state["joined"]), "since": since}


def see(records: Mapping[str, Mapping[str, Any]], settings: Settings) -> Seen:
    """Read the evidence records of a run; those of layers that were not asked are missing.

    Of the person's side only LiveKit's answer counts, and of the dispatch only whether an agent joined: a cold start is
    measured, it is no failure. Where no probe was made, a person who just got an agent, or has waited for one as long
    as a probe does, is a test as well.
    """
    layers = {layer: str(records[layer]["state"]) for layer in LAYERS if layer in records}
    because = {layer: str(records[layer]["summary"]) for layer in layers}
    if "worker" in records:
        layers["agent"], because["agent"] = str(records["worker"]["state"]), str(records["worker"]["summary"])
    client = (records.get("client") or {}).get("signals") or {}
    condition = ((records.get("agent") or {}).get("signals") or {}).get("condition")
    asleep = None if condition is None else condition == "asleep"
    if "client" in layers:
        layers["client"] = {True: "healthy", False: "faulty", None: "unknown"}[client.get("credentials_accepted")]
    tested = records.get("dispatch")
    if tested is None and layers.get("client") == "healthy":
        waiting = from_waiting_room(records["client"], settings.deadline_s)
        tested = waiting if waiting["signals"]["ran"] else None
    test = _tested(tested, asleep) if tested else None
    layers.pop("dispatch", None)
    if tested and test:
        layers["dispatch"] = {"joined": "healthy", "failed": "faulty", "unknown": "unknown"}[test["outcome"]]
        because["dispatch"] = str(tested["summary"])
    return Seen(
        layers,
        {layer: because[layer][:_MOST_WORDS] for layer, state in layers.items() if state != "healthy"},
        client.get("sessions"),
        asleep,
        test,
    )


def decide(state: State, seen: Seen, settings: Settings, now: float) -> Decision:
    """Say whether a dispatch may be tried now; C(state) is settled.

    It is tried at most once in an interval, however the last test ended that was killed. After one that failed or told
    nothing the wait is shorter, and doubles with each until it is the interval.
    """
    if not settings.probing:
        return Decision(False, "voiceops_dispatch_probe is never")
    if seen.sessions is None:
        return Decision(False, "it is not known whether people are in sessions")
    if seen.sessions:
        return Decision(False, f"{_number(seen.sessions, 'session')} with people must not be disturbed")
    last = state["test"]
    if last is None:
        return Decision(True, "no dispatch was tried before")
    due = last["at"] + _wait_s(state, settings)
    if now >= due:
        return Decision(True, f"the last was tried at {rfc3339(last['at'])}")
    if settings.keep_warm and seen.asleep and not state["misses"] and now >= last["at"] + settings.retry_s:
        return Decision(True, "the agent sleeps, and is kept warm")
    return Decision(False, f"the next is due at {rfc3339(due)}")


def begun(state: State, now: float) -> State:
    """Note a probe that is about to be made, so that one whose run is killed counts, too."""
    return {**state, "test": _test(now, "probe", "started")}


def advance(state: State, seen: Seen, settings: Settings, now: float) -> Outcome:
    """Take a run into the state; C(state) is settled."""
    test = {**seen.test, "at": _tested_at(state, seen.test, now)} if seen.test else None
    kept = {**state, **(_after_test(state, test) if test else {})}
    faulty = {layer for layer, found in seen.layers.items() if found == "faulty"}
    healthy = {layer for layer, found in seen.layers.items() if found == "healthy"}
    # What is not set up any more cannot be seen healthy again.
    possible = set(seen.layers) | ({"dispatch"} if settings.probing else set())
    failing = ((set(state["failing"]) | faulty) - healthy) & possible
    failures = state["failures"] + 1 if faulty else state["failures"] if failing else 0
    kept.update(
        failing=[layer for layer in LAYERS if layer in failing],
        failures=failures,
        since=(state["since"] or now) if failing else None,
        incident=state["incident"] if failing else "",
    )
    found = _run_state(kept, seen, settings, now)
    kept["runs"] = {**state["runs"], found: state["runs"][found] + 1}
    entry = {
        "at": rfc3339(now),
        "state": found,
        "layers": seen.layers,
        "because": seen.because,
        "sessions": seen.sessions,
        "failures": failures,
        "test": {name: value for name, value in test.items() if name != "at"} if test else None,
    }
    return Outcome(kept, entry, bool(faulty) and failures >= FAILURES and not kept["incident"])


def why(state: State, entry: Mapping[str, Any], settings: Settings, now: float) -> list[str]:
    """Say in sentences why the run that made C(entry) is not healthy; C(state) is the one after it."""
    told = [f"{layer}: {text}" for layer, text in entry["because"].items()]
    told += [
        f"{layer}: it was faulty when it was last asked" for layer in state["failing"] if layer not in entry["layers"]
    ]
    if not told and not _is_proven(state, entry["layers"], settings, now):
        last = (
            f"the last one joined at {rfc3339(state['joined']['at'])}" if state["joined"] else "none was seen to join"
        )
        told.append(f"dispatch: whether an agent joins is not known now, {last}")
    return told


def _run_state(state: State, seen: Seen, settings: Settings, now: float) -> str:
    if state["failing"]:
        return "fault"
    known = "unknown" not in seen.layers.values()
    return "healthy" if known and _is_proven(state, seen.layers, settings, now) else "inconclusive"


def _is_proven(state: State, layers: Mapping[str, str], settings: Settings, now: float) -> bool:
    """Whether an agent joined recently enough to say that one does."""
    if layers.get("dispatch") == "healthy":
        return True
    fresh_s = max(FRESH_INTERVALS * settings.interval_s, FRESH_S)
    return bool(state["joined"]) and now - state["joined"]["at"] <= fresh_s


def _wait_s(state: State, settings: Settings) -> float:
    """Return how long to wait after the last test."""
    if state["test"]["outcome"] == "started" or not state["misses"]:
        return settings.interval_s
    doublings = min(int(state["misses"]) - 1, _MOST_DOUBLINGS)
    return min(settings.interval_s, settings.retry_s * float(2**doublings))


def _tested_at(state: State, test: Mapping[str, Any], now: float) -> float:
    """Return when a test was made: a probe's time is when it began, so that its length does not add to the interval."""
    begun_at = state["test"]["at"] if state["test"] and state["test"]["outcome"] == "started" else now
    return float(begun_at if test["source"] == "probe" else now)


def _after_test(state: State, test: dict[str, Any]) -> State:
    """Return what of the state a test changes."""
    outcome = test["outcome"]
    brief = {name: test[name] for name in ("at", "source", "outcome", "joined_after_s", "start")}
    probed = test["source"] == "probe"
    return {
        "test": brief,
        "joined": brief if outcome == "joined" else state["joined"],
        "misses": 0 if outcome == "joined" else state["misses"] + 1,
        "probes": {**state["probes"], outcome: state["probes"][outcome] + probed},
        "agent_minutes": state["agent_minutes"] + test["agent_minutes"],
    }


def _tested(record: Mapping[str, Any], asleep: bool | None) -> dict[str, Any]:
    """Read a record of the layer C(dispatch) as a test, without the time."""
    signals = record["signals"]
    joined = signals.get("joined")
    probed = signals.get("source") != "waiting_room"
    return {
        "source": "probe" if probed else "person",
        "outcome": {True: "joined", False: "failed", None: "unknown"}[joined],
        "joined_after_s": signals.get("joined_after_s"),
        "start": {True: "cold", False: "warm", None: None}[asleep] if joined and probed else None,
        "agent_minutes": _agent_minutes(record) if probed else 0,
    }


def _agent_minutes(record: Mapping[str, Any]) -> int:
    """Return what a probe cost at most, each room that an agent joined counted in whole minutes, as bills are."""
    signals = record["signals"]
    rooms = sum(signals.get(name) is not None for name in ("joined_after_s", "retry_joined_after_s"))
    spans = [(parse_time(probe["since"]), parse_time(probe["until"])) for probe in record.get("probes") or []]
    seconds = sum(until - since for since, until in spans if since is not None and until is not None)
    return max(rooms, math.ceil((seconds - (signals.get("joined_after_s") or 0.0)) / 60)) if rooms else 0


def _test(at: float, source: str, outcome: str) -> dict[str, Any]:
    return {"at": at, "source": source, "outcome": outcome, "joined_after_s": None, "start": None}


def _are_tests(found: Mapping[str, Any]) -> bool:
    """Whether the state's two tests have their shape."""
    return all(
        test is None
        or (
            isinstance(test, dict)
            and set(test) == set(_test(0.0, "", ""))
            and _is_number(test["at"])
            and test["outcome"] in (*OUTCOMES, "started")
            and (test["joined_after_s"] is None or _is_number(test["joined_after_s"]))
        )
        for test in (found["test"], found["joined"])
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
