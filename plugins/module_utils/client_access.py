# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the person's browser gets in with: the URL of LiveKit, and the token, where the operator gives them.

The token is read here for its claims, and shown to LiveKit, which says whether it is good; nobody joins a room by that.
Nothing of it is kept but what L(SIGNALS) names.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils import edge
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import (
    Exchange,
    parse_url,
    proxy_in_the_way,
    request,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit_url import http_url
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import attempt_moment, rfc3339

SIGNALS: dict[str, str] = {
    "project": "str: the LiveKit Cloud project of the URL that the browser uses; None if it is no such URL.",
    "asked_project": "str: that of the URL which this diagnosis asks; None if it is no such URL.",
    "url_failure": "str: why no LiveKit server answers at the browser's URL: dns, refused, tls or not_livekit; '' if "
    "one does; None if that URL is not given, or the fault may be this network's.",
    "token_refused": "str: why LiveKit refuses the person's token now: key, signature, expired, not valid yet, other; "
    "'' if it does not; None if no token is given, or LiveKit did not say.",
    "token_fault": "str: what the token's own times say of the attempt: expired, not valid yet, or '' if it was valid; "
    "None without a token, or too near to tell.",
    "token_issued_at": "str: from when the token is valid, RFC 3339; None if it does not say.",
    "token_room": "str: the room that the token is for; None if it does not say.",
    "token_agents": "list: the agent names that the token's room configuration asks for; None without a token.",
    "token_may_publish": "bool: the token lets the person publish; None without a token.",
}

# LiveKit's servers and SDKs all allow for this much (auth/verifier.go in livekit/protocol).
LEEWAY_S = 60.0
# The browser's SDK asks this path why it was refused; it wants the same token as joining does.
_VALIDATE = "/rtc/validate"
# In this order: a signature is checked before the times are.
_REFUSALS = (
    ("key", re.compile(r"invalid API key", re.I)),
    ("signature", re.compile(r"signature|cryptographic primitive", re.I)),
    ("not valid yet", re.compile(r"not valid yet|\bnbf\b", re.I)),
    ("expired", re.compile(r"expired|\bexp\b", re.I)),
)
_CLOUD = ".livekit.cloud"


def claims_of(token: object) -> dict[str, Any] | None:
    """Return a JWT's claims, unverified; None if C(token) is no JWT."""
    parts = token.strip().split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def project_of(url: object) -> str | None:
    """Return the project's subdomain in a LiveKit Cloud URL; None of any other URL."""
    try:
        host = urlsplit(str(url or "")).hostname or ""
    except ValueError:
        return None
    return host.split(".")[0] if host.endswith(_CLOUD) and host != _CLOUD[1:] else None


def told_by_token(
    token: object, attempt: Mapping[str, Any] | None, now: float, offset_ms: int | None
) -> dict[str, Any]:
    """Return the C(token_…) signals that the token's claims tell; C(offset_ms) is LiveKit's clock minus ours.

    Empty if C(token) is no JWT.
    """
    claims = claims_of(token)
    if claims is None:
        return {}
    video = claims.get("video")
    video = video if isinstance(video, dict) else {}
    begins, ends = _seconds(claims.get("nbf", claims.get("iat"))), _seconds(claims.get("exp"))
    at, precision = attempt_moment(attempt, now)
    return {
        "token_fault": _fault(begins, ends, at + (offset_ms or 0) / 1000, precision + 1),
        "token_issued_at": _moment(begins),
        "token_room": video.get("room") if isinstance(video.get("room"), str) else None,
        "token_agents": _agents(claims.get("roomConfig")),
        "token_may_publish": video.get("canPublish", True) is True,
    }


def fault_in(access: Mapping[str, Any]) -> str:
    """Say in a sentence why the person cannot get in, by signals of L(SIGNALS); empty if these know of no reason."""
    if access.get("url_failure"):
        return f"no LiveKit server answers at the browser's URL: {access['url_failure']}"
    if access.get("token_refused") in ("key", "signature"):
        return f"LiveKit refuses the person's token for its {access['token_refused']}"
    return f"the person's token was {access['token_fault']} at the attempt" if access.get("token_fault") else ""


def identity_of(token: object) -> str | None:
    """Return the identity that the token is for; None if there is none."""
    claims = claims_of(token) or {}
    return claims["sub"] if isinstance(claims.get("sub"), str) else None


def wrong(options: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the URL and the token that were given, a sentence each that names the variable."""
    said = []
    if options.get("client_url"):
        try:
            http_url(options["client_url"], "voiceops_client_url")
        except ValueError as exc:
            said.append(str(exc))
    token = options.get("client_token")
    if token and claims_of(token) is None:
        said.append("voiceops_client_token: expected a JWT, got something else, which tells nothing")
    return said


def ask(options: Mapping[str, Any], deadline: float) -> dict[str, Any]:
    """Show LiveKit the token, if there is one, at the browser's URL; return C(url_failure) and C(token_refused)."""
    url = options.get("client_url") or options.get("livekit_url")
    token = str(options.get("client_token") or "").strip()
    try:
        target = parse_url(f"{http_url(url)}{_VALIDATE}", "voiceops_client_url")
    except ValueError:
        return {}
    headers = edge.probe_headers(options)
    if claims_of(token):
        headers["Authorization"] = f"Bearer {token}"
    exchange = request(target, deadline=deadline, headers=headers)
    # Of the URL that this diagnosis was given it is not known whether the browser uses it, too.
    sure = bool(options.get("client_url")) and not proxy_in_the_way(target)
    return {
        "url_failure": url_failure(exchange) if sure else None,
        "token_refused": refusal(exchange) if claims_of(token) else None,
    }


def url_failure(exchange: Exchange) -> str | None:
    """Say whose fault it is that LiveKit does not answer, if that is certain."""
    if exchange.status is not None:
        return {200: "", 401: "", 404: "not_livekit"}.get(exchange.status)
    if exchange.dns_ok is False:
        return "dns"
    if exchange.tls_ok is False and exchange.tls_error != "no_ca_store":
        return "tls"
    return "refused" if exchange.failure == "refused" else None


def refusal(exchange: Exchange) -> str | None:
    """Say why LiveKit refuses the token that it was shown; empty if it takes it, None if it does not say."""
    if exchange.status == 200:
        return ""
    if exchange.status != 401:
        return None
    return next((name for name, pattern in _REFUSALS if pattern.search(exchange.body)), "other")


def _fault(begins: float | None, ends: float | None, at: float, precision: float) -> str | None:
    """Say whether the token was valid at a moment known to C(precision) seconds."""
    if ends is None:
        return None
    if at - precision > ends + LEEWAY_S:
        return "expired"
    if begins is not None and at + precision < begins - LEEWAY_S:
        return "not valid yet"
    sure = at + precision <= ends + LEEWAY_S and (begins is None or at - precision >= begins - LEEWAY_S)
    return "" if sure else None


def _agents(room: object) -> list[str]:
    """Return the names in the token's room configuration; C(agentName) is its JSON name in LiveKit's protocol."""
    agents = room.get("agents") if isinstance(room, dict) else None
    wanted = [item for item in agents if isinstance(item, dict)] if isinstance(agents, list) else []
    return [str(item.get("agentName") or item.get("agent_name") or "") for item in wanted]


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _moment(epoch: float | None) -> str | None:
    try:
        return rfc3339(epoch) if epoch else None
    except (ValueError, OverflowError, OSError):
        return None
