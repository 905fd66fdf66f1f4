# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveKit's access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 (RFC 7515); standard library only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

LEEWAY = 60.0
"""Seconds by which C(exp) and C(nbf) may be missed, as LiveKit's own check allows."""


class TokenError(ValueError):
    """A token that is not accepted; the message is what LiveKit answers, which holds the whole token."""


def sign(claims: dict[str, Any], secret: str) -> str:
    """Make a token of C(claims) signed with the API secret."""
    header = {"alg": "HS256", "typ": "JWT"}
    body = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{body}.{_encode(_signature(body, secret))}"


def verify(token: str, api_key: str, secret: str, now: float) -> dict[str, Any]:
    """Give the claims of a token signed with C(secret), issued by C(api_key) and valid at C(now) (epoch seconds).

    Raises C(TokenError) for every other text.
    """
    try:
        body, _unused, signature = token.rpartition(".")
        header, claims = (json.loads(_decode(part)) for part in body.split("."))
        given = _decode(signature)
    except (ValueError, binascii.Error) as error:
        raise TokenError("invalid authorization token") from error
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "HS256":
        raise TokenError("invalid authorization token")
    if claims.get("iss") != api_key:
        raise TokenError(f"invalid API key: {claims.get('iss')}")
    if not hmac.compare_digest(given, _signature(body, secret)):
        raise TokenError(f"invalid token: {token}, error: token signature is invalid: signature is invalid")
    _check_times(token, claims, now)
    return claims


def _check_times(token: str, claims: dict[str, Any], now: float) -> None:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise TokenError("invalid authorization token")
    if now > expires + LEEWAY:
        raise TokenError(f"invalid token: {token}, error: token has invalid claims: token is expired")
    if now < begins - LEEWAY:
        raise TokenError(f"invalid token: {token}, error: token has invalid claims: token is not valid yet")


def _signature(body: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
