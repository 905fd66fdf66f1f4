# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the evidence of several hosts together: one clock, one time line, two witnesses of the agent's calls.

Pure: records in, new records out. All times are RFC 3339 UTC; after this, all of them are on the controller's clock.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import dispatch, logline, own_worker, room_agents
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_status import condition_of
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import inspector
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, Record
from ansible_collections.voiceops.livekit.plugins.module_utils.service_log import by_tools, is_no_users, recount
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    UNMEASURED_CLOCK_S,
    in_windows,
    may_be_ours,
    parse_time,
    span,
)

# Added to the signals of the layer service: what its journal and the tunnel's inspector say together.
SIGNALS = {
    "calls": "int|None: calls of the agent in the attempt's span that the journal or the inspector heard; 0 only if "
    "one of the two would have heard a call",
    "call_statuses": "list[int]|None: the API's answers to these calls; empty if there were none",
    "called_for_attempt": "bool|None: the agent called at the attempt, and for it: no call is of the room where a "
    "person waits and nobody took the job",
    "clock_error_ms": "int|None: the host's clock minus that of LiveKit and the tunnel's edge, else the controller's",
    "clock_error_uncertainty_ms": "int|None: how far that may be off",
}

# Whose clocks are told by the Date of their answers: the layer and its signal.
_SERVER_CLOCKS = (("client", "server_clock_offset_ms"), ("tunnel", "edge_clock_offset_ms"))
# A Date has whole seconds, and its way here takes a while.
DATE_UNCERTAINTY_MS = 1000

# The agent's secret that holds the API's address.
URL_SECRET = "NEXT_APP_URL"
CLOCKS_DIFFER_S = 60.0
# A deploy, and its renewing of the secrets' times, are this near to each other.
DEPLOY_S = 60.0
# Of which layer, if one of these signals is known, None in those means none.
_KNOWN_ABSENCES = (
    ("tunnel", ("status", "failure"), ("error_code", "redirect_host", "failure")),
    ("callback", ("answered_by_app",), ("error_code",)),
    ("service", ("silence_counts",), ("first_error",)),
)
_TURNED_AWAY = re.compile(r"permission denied|connection refused|host key verification failed|too many auth", re.I)
_NO_ANSWER = re.compile(r"timed out|time-?out|no route to host|host is down", re.I)
# The layers whose events can be the answer to a probe of ours; a person in a room never is.
_CALLED_LAYERS = ("tunnel", "callback", "service")


@dataclass(frozen=True)
class Run:
    """What the run knows beside the evidence.

    C(started_at) is in seconds since 1970; C(probes) are windows of our own earlier probes, C([{since, until, what}]);
    C(clocks) are C({host: {offset_ms, uncertainty_ms}}), each host's clock minus the controller's; C(hosts) names the
    host of each layer. C(agent_name) is the dispatch name that the inventory gives, '' for automatic dispatch;
    None if it gives none.
    C(dispatch_deadline_s) is how many seconds of waiting prove that no agent joins.
    """

    attempt: Mapping[str, Any]
    started_at: float
    probes: Sequence[Mapping[str, Any]] = ()
    clocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    synthetic_users: Sequence[str] = ()
    agent_name: str | None = None
    dispatch_deadline_s: float = dispatch.DEADLINE_S


def correlate(evidence: Mapping[str, Record], run: Run, extra: Mapping[str, Record] | None = None) -> dict[str, Any]:
    """Return C(evidence) (merged), C(clocks), C(timeline) and C(red_herrings).

    C(extra) may hold C(inspector), the tunnel's record from its own host, C(worker), that of an agent worker which the
    team runs itself, and C(agent_after), the agent's record after the dispatch probe. The time line has
    C([{at, layer, host, what, self}]) in the order of time. Red herrings are sentences: what looks like a cause and is
    none.
    """
    extra = extra or {}
    merged = copy.deepcopy(dict(evidence))
    probes = [*run.probes, *(probe for record in merged.values() for probe in record.get("probes") or [])]
    if "inspector" in extra:
        merged["tunnel"] = _with_inspector(merged.get("tunnel"), extra["inspector"])
    agent = own_worker.joined(merged.get("agent"), extra.get("worker"))
    if agent is not None:
        merged["agent"] = agent
    if "tunnel" in merged:
        _join_tunnel(merged)
    if "tunnel" in merged and "secrets" in merged:
        signals = merged["tunnel"]["signals"]
        secret = (merged["secrets"]["signals"].get("updated_at") or {}).get(URL_SECRET)
        signals["url_secret_older"] = _is_older(secret, signals.get("tunnel_started_at"))
    if "agent" in merged and merged["agent"]["signals"].get("name") is None:
        merged["agent"]["signals"]["name"] = run.agent_name
    if "client" in merged and "agent" in merged:
        room_agents.doubt_others(merged["client"], merged["agent"]["signals"].get("name"))
    _merge_dispatch(merged, extra.get("agent_after"), run)
    if "secrets" in merged and "agent" in merged:
        merged["secrets"]["signals"]["changed_after_deploy"] = _changed_after(
            merged["secrets"]["signals"].get("last_change"), merged["agent"]["signals"].get("deployed_at")
        )
    clocks = _clocks(merged, run)
    if "service" in merged:
        within = span(run.attempt, run.started_at, _uncertainty(merged["service"]))
        tunnel, dispatched = (merged[layer]["signals"] if layer in merged else {} for layer in ("tunnel", "dispatch"))
        merged["service"] = by_tools(merged["service"], tunnel.get("inspector_tools") or [])
        merged["service"] = recount(merged["service"], within, probes, run.synthetic_users)
        signals = merged["service"]["signals"]
        self_hosted = "agent" in merged and merged["agent"]["signals"].get("worker_self_hosted") is True
        signals.update(calls_heard(signals, tunnel, self_hosted))
        signals["called_for_attempt"] = called_for_attempt(signals["calls"], dispatched)
        signals.update(_clock_error(signals, clocks))
    _name_known_absences(merged)
    return {
        "evidence": merged,
        "clocks": clocks,
        "timeline": _timeline(merged, run, probes),
        "red_herrings": _red_herrings(merged, run, probes),
    }


def _join_tunnel(evidence: Mapping[str, Record]) -> None:
    """Add to the tunnel what the callback and the service tell of it."""
    signals = evidence["tunnel"]["signals"]
    callback, service = (evidence[layer]["signals"] if layer in evidence else {} for layer in ("callback", "service"))
    if signals.get("reachable") is None and callback.get("route_exists") is True:
        # A POST went all the way.
        signals["reachable"] = True
    port, ports = service.get("port"), signals.get("tunnel_ports")
    if port is not None and ports:
        # What forwards to another port is the tunnel of something else.
        own = [(url, to) for url, to in zip(signals["tunnel_urls"], ports) if to in (port, None)]
        signals.update(tunnel_urls=[url for url, _to in own], tunnel_ports=[to for _url, to in own])
    signals["serves_host"] = inspector.serves_host(signals)


def _changed_after(changed: Any, deployed: Any) -> bool | None:
    """Whether secrets were changed by something else than the deploy, which renews the times of all of them."""
    times = parse_time(changed), parse_time(deployed)
    return None if times[0] is None or times[1] is None else times[0] - times[1] > DEPLOY_S


def _is_older(secret: Any, began: Any) -> bool | None:
    """True if a secret was set before something began, by more than the clocks may differ; else None."""
    times = parse_time(secret), parse_time(began)
    return True if times[0] is not None and times[1] is not None and times[1] - times[0] > CLOCKS_DIFFER_S else None


def _name_known_absences(evidence: Mapping[str, Record]) -> None:
    """Make of None an empty text where a layer was heard out and there is none: that is not unknown."""
    for layer, witness, names in _KNOWN_ABSENCES:
        signals = evidence[layer]["signals"] if layer in evidence else {}
        if any(signals.get(name) not in (None, False) for name in witness):
            signals.update({name: "" for name in names if signals.get(name) is None})


def calls_heard(journal: Mapping[str, Any], edge: Mapping[str, Any], self_hosted: bool = False) -> dict[str, Any]:
    """Return L(SIGNALS) from those of the service and the tunnel.

    A call that one witness heard was made; silence counts only of a witness that would have heard one. C(self_hosted)
    says that the agent may call the service by another way than the tunnel.
    """
    counts = [count for count in (journal.get("callbacks"), edge.get("inspector_callbacks")) if count]
    # These the tunnel itself gives when nothing answers behind it.
    through = [status for status in edge.get("inspector_statuses") or [] if status not in (502, 503, 504)]
    statuses = [*(journal.get("callback_statuses") or []), *through]
    own = inspector.serves_host(edge) is True
    edge_silent = edge.get("inspector_callbacks") == 0 and edge.get("inspector_covers") is True and own
    if edge_silent and (counts or statuses) and not self_hosted:
        # What the journal tells came by another way than the tunnel: whose it was is unknown.
        return {"calls": None, "call_statuses": None}
    if counts or statuses:
        return {"calls": max([*counts, 1]), "call_statuses": list(dict.fromkeys(statuses)) or None}
    journal_silent = journal.get("callbacks") == 0 and journal.get("silence_counts") is True
    silent = journal_silent or edge_silent
    return {"calls": 0 if silent else None, "call_statuses": [] if silent else None}


def called_for_attempt(calls: int | None, dispatch_signals: Mapping[str, Any]) -> bool | None:
    """Return the signal of that name from the number of C(calls) and those of the layer dispatch."""
    if not calls:
        return None if calls is None else False
    # A person waits: only a job that was taken can have called.
    return dispatch_signals.get("accepted") if dispatch_signals.get("source") == "waiting_room" else True


def _with_inspector(tunnel: Record | None, found: Record) -> Record:
    signals = {name: found["signals"].get(name) for name in inspector.SIGNALS}
    signals["tunnel_host_reachable"] = _answers(found)
    if tunnel is None:
        return {**copy.deepcopy(found), "signals": {**found["signals"], **signals}}
    return {
        **tunnel,
        "signals": {**tunnel["signals"], **signals},
        "events": [*tunnel["events"], *found["events"]],
        "limits": [*tunnel["limits"], *found["limits"]],
    }


def _answers(found: Record) -> bool | None:
    """Say whether a host answers at all: one that refuses the connection or the key is no less awake than any other.

    What ssh says is that of OpenSSH on Linux and macOS. A name that does not resolve tells nothing of the host.
    """
    reachable: bool | None = found["signals"].get("host_reachable")
    if reachable is not False:
        return reachable
    why = str(found["summary"])
    return True if _TURNED_AWAY.search(why) else False if _NO_ANSWER.search(why) else None


def _merge_dispatch(merged: dict[str, Record], agent_after: Record | None, run: Run) -> None:
    """Let a waiting room be the test where no probe ran, and add the agent's status after the dispatch."""
    probed = merged.get("dispatch")
    if "client" in merged and not (probed and probed["signals"].get("ran")):
        waiting = dispatch.from_waiting_room(merged["client"], run.dispatch_deadline_s)
        if probed is None or waiting["signals"]["source"] == "waiting_room":
            merged["dispatch"] = waiting
    if "dispatch" not in merged:
        return
    signals = merged["dispatch"]["signals"]
    # The agent's own record was read while the person waited, so after that room's dispatch.
    after = merged.get("agent") if signals.get("source") == "waiting_room" else agent_after
    if after is not None:
        status = after["signals"].get("status")
        # A status that no document lists says neither that the agent woke nor that it did not.
        signals["agent_status_after"] = status if condition_of(status) else None
        signals["agent_log_crashed"] = after["signals"].get("log_crashed")


def _uncertainty(service: Record) -> float:
    """Give how far the service's times may be off, in seconds."""
    uncertainty_ms = service["signals"].get("local_time_uncertainty_ms")
    return UNMEASURED_CLOCK_S if uncertainty_ms is None else float(uncertainty_ms) / 1000


def _clocks(evidence: Mapping[str, Record], run: Run) -> dict[str, Any]:
    """Add the clocks of LiveKit and of what answered at the tunnel's address, by their Date, to the hosts' clocks.

    That is the edge's where it answered by itself: it passes on the Date of the API's answers, and so the host's clock.
    """
    clocks = dict(run.clocks)
    for layer, name in _SERVER_CLOCKS:
        signals = evidence[layer]["signals"] if layer in evidence else {}
        offset_ms = signals.get(name)
        if offset_ms is not None:
            by_edge = bool(signals.get("error_code") or signals.get("redirect_host"))
            who = "livekit" if layer == "client" else "edge" if by_edge else "api"
            clocks[who] = {"offset_ms": offset_ms, "uncertainty_ms": DATE_UNCERTAINTY_MS}
    return clocks


def _clock_error(signals: Mapping[str, Any], clocks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is wrong with the service host's clock: by LiveKit's and the edge's, or the controller's instead."""
    own, own_uncertainty = signals.get("local_time_offset_ms"), signals.get("local_time_uncertainty_ms")
    if not isinstance(own, (int, float)) or not isinstance(own_uncertainty, (int, float)):
        return dict.fromkeys(("clock_error_ms", "clock_error_uncertainty_ms"))
    servers = [clocks[who]["offset_ms"] for who in ("livekit", "edge") if who in clocks]
    if not servers:
        return {"clock_error_ms": own, "clock_error_uncertainty_ms": own_uncertainty}
    if "edge" not in clocks:
        # LiveKit's alone may be wrong: the controller's is the second opinion.
        servers.append(0)
    # Where they contradict each other, the truth lies somewhere between them.
    low, high = min(servers), max(servers)
    return {
        "clock_error_ms": own - round((low + high) / 2),
        "clock_error_uncertainty_ms": own_uncertainty + DATE_UNCERTAINTY_MS + round((high - low) / 2),
    }


def _timeline(evidence: Mapping[str, Record], run: Run, probes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    events = [
        {
            "at": event["at"],
            "layer": layer,
            "host": run.hosts.get(layer, ""),
            "what": event["what"],
            "self": event["self"] or (layer in _CALLED_LAYERS and _is_ours(event, probes, run.synthetic_users)),
        }
        for layer in LAYERS
        if layer in evidence
        for event in evidence[layer]["events"]
    ]
    return sorted(events, key=lambda event: parse_time(event["at"]) or 0.0)


def _is_ours(event: Mapping[str, Any], probes: Iterable[Mapping[str, Any]], synthetic_users: Iterable[str]) -> bool:
    moment = parse_time(event["at"])
    named = any(user and user in event["what"] for user in synthetic_users)
    return named or (moment is not None and may_be_ours(moment, logline.status(event["what"]), probes))


def _red_herrings(evidence: Mapping[str, Record], run: Run, probes: Sequence[Mapping[str, Any]]) -> list[str]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in _misleading_entries(evidence, run):
        groups.setdefault((" and ".join(entry["codes"]), _why_not_the_users(entry, run, probes)), []).append(entry)
    found = [_herring(codes, why, entries, run) for (codes, why), entries in groups.items()]
    agent = evidence["agent"]["signals"] if "agent" in evidence else {}
    if agent.get("logs") == "asleep":
        found.append(
            "That the agent has shut down due to inactivity is said by the log's endpoint. Sleep is normal, and says"
            " nothing of the agent's state at the attempt."
        )
    callback = evidence["callback"]["signals"] if "callback" in evidence else {}
    code = callback.get("prisma_code")
    if code:
        found.append(f"{code} in the API's answer to our own probe is our fake user's, not the user's.")
    return found


def _misleading_entries(evidence: Mapping[str, Record], run: Run) -> list[dict[str, Any]]:
    """Return the service's errors that are not of the attempt: ours, or outside of its span."""
    if "service" not in evidence:
        return []
    start, end = span(run.attempt, run.started_at, _uncertainty(evidence["service"]))
    return [
        entry
        for entry in evidence["service"].get("entries") or []
        if entry.get("codes") and (is_no_users(entry) or not start <= (parse_time(entry["at"]) or 0.0) <= end)
    ]


def _why_not_the_users(entry: Mapping[str, Any], run: Run, probes: Iterable[Mapping[str, Any]]) -> str:
    if entry.get("tool"):
        return f"of {entry['tool']}, which is no agent"
    if not entry.get("self"):
        return "outside of the attempt's span"
    user = entry.get("user")
    if user and user in run.synthetic_users:
        return f"of the synthetic user {user}"
    return "of our own probe" if in_windows(parse_time(entry["at"]) or 0.0, probes) else "of a synthetic user"


def _herring(codes: str, why: str, entries: Sequence[Mapping[str, Any]], run: Run) -> str:
    at = entries[0]["at"]
    more = f" (and {len(entries) - 1} times more)" if len(entries) > 1 else ""
    distance = _distance(at, run.attempt.get("at"))
    return f"{codes} at {str(at)[11:19]} UTC{distance}{more} is {why}: it says nothing of the attempt."


def _distance(at: Any, attempt_at: Any) -> str:
    moment, attempt = parse_time(at), parse_time(attempt_at)
    if moment is None or attempt is None:
        return ""
    minutes = round(abs(moment - attempt) / 60)
    amount = f"{minutes} minute{'' if minutes == 1 else 's'}" if minutes else f"{abs(moment - attempt):.0f} s"
    return f", {amount} {'after' if moment >= attempt else 'before'} the attempt,"
