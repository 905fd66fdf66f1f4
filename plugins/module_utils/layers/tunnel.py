# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2: does the public address reach the callback route? One GET without a key; 405 is the right answer.

The statuses and codes of ngrok's edge are those of https://ngrok.com/docs/errors/, as L(edge) reads them.
"""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import edge
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import (
    Exchange,
    Target,
    parse_url,
    proxy_in_the_way,
    request,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

SIGNALS = {
    "reachable": "bool|None: the app's route answered; None if that cannot be told, as after a 5xx",
    "dns_ok": "bool|None: the name resolved; None if the resolver could not be asked",
    "tcp_ok": "bool|None: the connection was accepted; None if not reached, or no route or time",
    "tls_ok": "bool|None: the certificate can be trusted; None without TLS, or with no authorities to judge by",
    "tls_error": "str|None: expired, not_yet_valid, self_signed, hostname, untrusted, no_ca_store or other",
    "tls_days_left": "float|None: days until the certificate expires, negative once it has",
    "scheme": "str: http or https",
    "host": "str: the host name of the callback URL",
    "status": "int|None: HTTP status of the GET; None without an answer",
    "error_code": "str|None: ngrok's code, such as ERR_NGROK_3200; None if the edge reported no error",
    "route_exists": "bool|None: False if the app itself answered 404; None if the app did not answer plainly",
    "redirect_host": "str|None: another host that the answer redirects to, such as an identity provider's",
    "html": "bool|None: the answer is a page for people; None without an answer",
    "edge_clock_offset_ms": "int|None: the Date header of what answered, the edge or the API behind it, minus this "
    "host's clock, to about a second",
    "failure": "str|None: dns, refused, unreachable, timeout, tls or protocol, if there was no answer",
}

# What a route that only takes POST with a key may say to a GET without one.
ROUTE_STATUSES = (400, 401, 403, 405, 415, 422)
# A time-out proves a fault only after a person would have given up, too.
PATIENCE_S = 3.0


def collect(options: dict[str, Any], deadline: float) -> Record:
    """Ask C(callback_url) by GET; return the record by C(deadline), an absolute C(time.monotonic())."""
    try:
        target = parse_url(options.get("callback_url"), "voiceops_callback_url")
    except ValueError as exc:
        return unknown("tunnel", redact(str(exc)))
    exchange = request(target, deadline=deadline, headers=edge.probe_headers(options))
    found = judge(exchange, target)
    limits = []
    if proxy_in_the_way(target):
        limits.append("the environment names a proxy for this address, but the probe goes without one")
        if exchange.status is None:
            found["reachable"] = None
    if exchange.tls_error == "no_ca_store":
        limits.append("this Python has no certificate authorities, so no certificate can be judged")
    state = {True: "healthy", False: "faulty", None: "unknown"}[found["reachable"]]
    summary = clip(redact(f"{target.host}: {describe(exchange, target)}"), 300)
    if state == "unknown":
        limits.append(f"whether the route is reachable stays open: {summary}")
    result = record(
        "tunnel",
        state,
        summary,
        signals=found,
        events=[event(rfc3339(exchange.started_at), f"our GET of the callback route: {answer(exchange)}", ours=True)],
        limits=limits,
        repeat=f"curl -sS -o /dev/null -D - {shlex.quote(redact(target.url))}",
    )
    window = {
        "since": rfc3339(exchange.started_at),
        "until": rfc3339(exchange.ended_at),
        "what": "GET of the callback",
        "status": exchange.status,
    }
    return {**result, "probes": [window]}


def judge(exchange: Exchange, target: Target) -> dict[str, Any]:
    """Derive the signals from what became of the GET."""
    code = edge.error_code(exchange)
    by_app = edge.answered_by_app(exchange, target)
    answered = exchange.status is not None
    return {
        "reachable": _reachable(exchange, by_app),
        "dns_ok": exchange.dns_ok,
        "tcp_ok": exchange.tcp_ok,
        "tls_ok": exchange.tls_ok,
        "tls_error": exchange.tls_error,
        "tls_days_left": exchange.tls_days_left,
        "scheme": target.scheme,
        "host": target.host,
        "status": exchange.status,
        "error_code": code,
        "route_exists": _route_exists(exchange.status) if by_app else None,
        "redirect_host": edge.redirect_host(exchange, target),
        "html": edge.is_html(exchange) if answered else None,
        "edge_clock_offset_ms": exchange.clock_offset_ms,
        "failure": exchange.failure,
    }


def _route_exists(status: int | None) -> bool | None:
    # Some frameworks answer 404 to a GET where there is a route for POST alone.
    return True if _is_route_status(status) else None


def _is_route_status(status: int | None) -> bool:
    return status is not None and (200 <= status < 300 or status in ROUTE_STATUSES)


def _reachable(exchange: Exchange, by_app: bool | None) -> bool | None:
    if exchange.status is None:
        return _failed_for_sure(exchange)
    if by_app is not True:
        return by_app
    return _route_exists(exchange.status)


def _failed_for_sure(exchange: Exchange) -> bool | None:
    """Return False if the failure is theirs; None if it may be our resolver's, our network's or our impatience's."""
    if exchange.failure == "timeout":
        return False if exchange.ended_at - exchange.started_at >= PATIENCE_S else None
    if exchange.failure in ("dns", "tls"):
        ok = exchange.dns_ok if exchange.failure == "dns" else exchange.tls_ok
        return False if ok is False else None
    return None if exchange.failure == "unreachable" else False


def answer(exchange: Exchange) -> str:
    """Name the answer in a few words: the status and the edge's code, or the failure."""
    if exchange.status is None:
        return exchange.failure or "no answer"
    code = edge.error_code(exchange)
    return f"{exchange.status} ({code})" if code else str(exchange.status)


def describe(exchange: Exchange, target: Target) -> str:
    """Say in one line what the answer means."""
    if exchange.status is None:
        return f"no answer ({exchange.failure}: {exchange.error})"
    elsewhere = edge.redirect_host(exchange, target)
    if elsewhere:
        return f"{answer(exchange)} redirects to {elsewhere}; a server's call ends there"
    if edge.error_code(exchange):
        return f"{answer(exchange)} comes from the tunnel's edge, not from the app"
    if exchange.status == 404:
        return "404 to a GET from the app: it has no such route, or one for POST alone"
    if _is_route_status(exchange.status):
        return f"the callback route answers, {exchange.status}"
    return f"{exchange.status} to a GET, which does not tell whether the route works"
