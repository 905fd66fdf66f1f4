# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 seen from inside: ngrok's inspector lists the calls that came through the tunnel, so it can prove a silence.

The API is that of https://ngrok.com/docs/agent/api/, on the host that runs ngrok, without authentication. It lists
whole requests, with their secrets: only method, path, status and time leave this module.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils import logline, process
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import PROBE_HEADER, parse_url, request
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import (
    SAME_CALL_S,
    host_clock,
    may_be_ours,
    parse_time,
    rfc3339,
    span,
)

SIGNALS = {
    "inspector_readable": "bool|None: the inspector lists requests; None if it was not asked",
    "inspector_covers": "bool|None: a request from before the attempt is listed, so the list reaches back; else None",
    "inspector_callbacks": "int|None: POSTs to the callback's path in the span, ours and those of tools such as curl "
    "left out; None if unreadable",
    "inspector_statuses": "list[int]|None: the statuses of these, oldest first; a call without an answer has none",
    "inspector_tools": "list[dict]|None: the calls of the route by tools such as curl, with no agent's call near them: "
    "each with at, tool, status",
    "inspector_oldest": "str|None: time of the oldest request listed, RFC 3339, the controller's clock",
    "tunnel_urls": "list[str]|None: public URLs of the tunnels that run; None if they could not be listed",
    "tunnel_ports": "list[int|None]|None: the port that each of these forwards to, as ngrok tells it",
    "serves_host": "bool|None: one of these URLs is of the callback's host; None if they could not be listed; filled "
    "in when the evidence is brought together",
    "tunnel_started_at": "str|None: when ngrok was started, RFC 3339, the controller's clock; None unless one runs",
    "url_secret_older": "bool|None: True if the agent's secret NEXT_APP_URL was last set before that, else None: a "
    "deploy renews the times of all secrets; filled in from the layer secrets",
    "tunnel_host_reachable": "bool|None: ngrok's host answers the controller, even if it lets nobody in; None if not "
    "asked, or if only its name is unknown; filled in when the evidence is brought together",
}

DEFAULT_URL = "http://127.0.0.1:4040"
# The inspector keeps bodies: a long list may be too much to read, a short one reaches back less.
_LIST_LENGTHS = (500, 50)
# [[dd-]hh:]mm:ss, as ps(1p) has it, and the program's name or, on macOS, its path.
_PROCESS = re.compile(r"\s*(?:(?:(\d{1,5})-)?(\d\d?):)?(\d\d?):(\d\d)\s+(?:.*/)?ngrok", re.ASCII)
_BODY_LIMIT = 8 * 1024 * 1024
_MOST_EVENTS = 50
_REPEAT = "curl -sS {url}/api/requests/http | jq -c '.requests[] | [.start, .request.uri, .response.status]'"


class Call(NamedTuple):
    """One request that came through the tunnel. C(at) is seconds since 1970, the controller's clock.

    C(tool) names what made it, such as curl, if that is no agent.
    """

    at: float
    method: str
    path: str
    status: int | None
    ours: bool
    tool: str = ""


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Ask the inspector at C(inspector_url); return the record by C(deadline), an absolute C(time.monotonic())."""
    try:
        target = parse_url(options.get("inspector_url") or DEFAULT_URL, "voiceops_inspector_url")
        path = parse_url(options.get("callback_url"), "voiceops_callback_url").path
    except ValueError as exc:
        return unknown("tunnel", redact(str(exc)), signals=dict.fromkeys(SIGNALS))
    base = f"{target.scheme}://{target.url.split('//', 1)[1].split('/', 1)[0]}"
    repeat = _REPEAT.format(url=shlex.quote(base))
    tunnels, _why = _fetch(f"{base}/api/tunnels", "tunnels", deadline)
    listed, why = None, ""
    for length in _LIST_LENGTHS:
        listed, why = _fetch(f"{base}/api/requests/http?limit={length}", "requests", deadline)
        if listed is not None:
            break
    signals: dict[str, Any] = dict.fromkeys(SIGNALS)
    if tunnels is not None:
        running = [(url, port) for url, port in map(tunnel_of, tunnels) if url]
        signals.update(tunnel_urls=[url for url, _port in running], tunnel_ports=[port for _url, port in running])
    now = float(options.get("now") or time.time())
    offset, uncertainty = host_clock(options)
    elapsed = None if tunnels is None else ngrok_elapsed(deadline)
    signals["tunnel_started_at"] = None if elapsed is None else rfc3339(time.time() - offset - elapsed)
    if listed is None:
        signals["inspector_readable"] = False
        return unknown("tunnel", f"ngrok's inspector at {base}: {why}", repeat=repeat, signals=signals)

    calls = read_calls(listed, offset, options.get("probes") or [], _users(options))
    when = span(options.get("attempt"), now, uncertainty)
    signals.update(judge(calls, path, when))
    count = signals["inspector_callbacks"]
    shown = [call for call in calls if _is_callback(call, path)]
    no_tunnel = signals["tunnel_urls"] == []
    return record(
        "tunnel",
        "faulty" if no_tunnel else "healthy",
        "ngrok runs without a tunnel"
        if no_tunnel
        else f"ngrok's inspector lists {count} calls of the route in the attempt",
        signals=signals,
        events=[_event(call) for call in shown[-_MOST_EVENTS:]],
        limits=_limits(signals, [call for call in shown if call.tool and when[0] <= call.at <= when[1]]),
        repeat=repeat,
    )


def _fetch(url: str, key: str, deadline: float) -> tuple[list[Any] | None, str]:
    """Get a list from the API: (list, ""), or (None, why not)."""
    exchange = request(parse_url(url, "voiceops_inspector_url"), deadline=deadline, body_limit=_BODY_LIMIT)
    if exchange.status is None:
        return None, clip(redact(f"{exchange.failure}: {exchange.error}"), 200)
    if exchange.truncated:
        return None, "its answer is too long, or does not end"
    try:
        answer = json.loads(exchange.body)
    except (ValueError, RecursionError):
        answer = None
    items = answer.get(key) if isinstance(answer, dict) else None
    if exchange.status != 200 or not isinstance(items, list):
        return None, f"expected a JSON list of {key}, got something else with status {exchange.status}"
    return items, ""


def ngrok_elapsed(deadline: float) -> float | None:
    """Return since how many seconds ngrok runs on this host; None if no one does, several do, or ps cannot say.

    That is of use for the start of the tunnel's address, and needs no clock to be right.
    """
    try:
        listed = process.run(["ps", "-A", "-o", "etime=", "-o", "comm="], deadline=min(deadline, time.monotonic() + 2))
    except process.ProgramError:
        return None
    found = [match for match in map(_PROCESS.fullmatch, map(str.rstrip, listed.stdout.splitlines())) if match]
    if len(found) != 1:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found[0].groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def serves_host(signals: Mapping[str, Any]) -> bool | None:
    """Say, by the tunnel's signals, whether a tunnel that runs has the callback's host; None if that is not known."""
    urls, host = signals.get("tunnel_urls"), signals.get("host")
    if urls is None or not host:
        return None
    return str(host).lower().rstrip(".") in map(host_of, urls)


def host_of(url: Any) -> str:
    """Return the host that a URL names, in small letters; empty if it names none."""
    try:
        return (urlsplit(str(url)).hostname or "").rstrip(".")
    except ValueError:
        return ""


def tunnel_of(tunnel: Any) -> tuple[str | None, int | None]:
    """Return the public URL, and the port that it forwards to, of an item of C(/api/tunnels)."""
    fields = tunnel if isinstance(tunnel, dict) else {}
    url, config = fields.get("public_url"), fields.get("config")
    address = str(config.get("addr") or "") if isinstance(config, dict) else ""
    match = re.fullmatch(r"(?:.*:)?(\d{1,5})/?", address, re.ASCII)
    return (clip(redact(url), 300) if isinstance(url, str) else None), (int(match[1]) if match else None)


def read_calls(
    listed: Iterable[Any], offset: float, probes: Sequence[Mapping[str, Any]], synthetic_users: Sequence[str]
) -> list[Call]:
    """Read the items of C(/api/requests/http) that make sense, oldest first.

    C(offset) is this host's clock minus the controller's, in seconds; C(probes) are our windows on the latter.
    """
    calls = []
    for item in listed:
        asked = item.get("request") if isinstance(item, dict) else None
        start = parse_time(item.get("start")) if isinstance(asked, dict) else None
        if asked is None or start is None:
            continue
        at = start - offset
        status = _status(item)
        ours = may_be_ours(at, status, probes) or _marked_ours(asked, synthetic_users)
        tool = logline.tool(_headers(asked).get("user-agent", ""))
        calls.append(Call(at, str(asked.get("method")).upper(), _path(asked.get("uri")), status, ours, tool))
    return sorted(calls, key=lambda call: call.at)


def judge(calls: Sequence[Call], path: str, when: tuple[float, float]) -> dict[str, Any]:
    """Derive the signals of the calls (oldest first) for the callback's path and the attempt's span."""
    start, end = when
    of_route = [call for call in calls if _is_callback(call, path)]
    agents = [call for call in of_route if not (call.ours or call.tool)]
    counted = [call for call in agents if start <= call.at <= end]
    return {
        "inspector_readable": True,
        "inspector_covers": True if calls and calls[0].at < start else None,
        "inspector_callbacks": len(counted),
        "inspector_statuses": [call.status for call in counted if call.status is not None],
        "inspector_tools": [
            {"at": rfc3339(call.at), "tool": call.tool, "status": call.status}
            for call in of_route
            if call.tool and all(abs(call.at - each.at) > SAME_CALL_S for each in agents)
        ],
        "inspector_oldest": rfc3339(calls[0].at) if calls else None,
    }


def _limits(signals: Mapping[str, Any], of_tools: Iterable[Call]) -> list[str]:
    limits = [] if signals["inspector_covers"] else ["ngrok's inspector lists no request from before the attempt"]
    names = ", ".join(dict.fromkeys(call.tool for call in of_tools))
    return [*limits, f"calls of {names} in the attempt do not count as the agent's"] if names else limits


def _users(options: Mapping[str, Any]) -> list[str]:
    return [str(user) for user in options.get("synthetic_users") or [] if user]


def _is_callback(call: Call, path: str) -> bool:
    return call.method == "POST" and call.path.rstrip("/") == _path(path).rstrip("/")


def _path(uri: Any) -> str:
    try:
        return urlsplit(str(uri)).path
    except ValueError:
        return ""


def _status(item: Mapping[str, Any]) -> int | None:
    """Return the answer's status; None while there is none. Older versions have the text "200 OK" alone."""
    response = item.get("response")
    response = response if isinstance(response, dict) else {}
    match = re.match(r"[1-5]\d\d\b", str(response.get("status_code") or response.get("status")))
    return int(match[0]) if match else None


def _headers(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return a request's headers by their names in lower case; ngrok lists the values of each."""
    headers = asked.get("headers")
    items = headers.items() if isinstance(headers, dict) else ()
    return {
        str(name).lower(): " ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in items
    }


def _marked_ours(asked: Mapping[str, Any], synthetic_users: Sequence[str]) -> bool:
    """Say whether a request carries our marks, or the id of a user who is never real."""
    values = _headers(asked)
    if PROBE_HEADER.lower() in values or "voiceops.livekit/" in values.get("user-agent", ""):
        return True
    try:
        raw = base64.b64decode(str(asked.get("raw") or "")).decode("utf-8", "replace").lower()
    except ValueError:
        raw = ""
    return any(user.lower() in raw for user in synthetic_users)


def _event(call: Call) -> dict[str, Any]:
    outcome = call.status if call.status is not None else "no answer yet"
    who = f", of {call.tool}" if call.tool else ""
    what = f"through the tunnel: POST {clip(redact(call.path), 120)}: {outcome}{who}"
    return event(rfc3339(call.at), what, ours=call.ours)
