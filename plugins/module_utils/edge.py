# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answered a request to the public address: the app, or the edge in front of it?

A status alone does not tell: an offline ngrok domain answers 404 as a missing route does, a spent quota 403 as a wrong
key. ngrok names its own answers by a header, C(ngrok-error-code) (https://ngrok.com/docs/errors/).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import PROBE_HEADER, Exchange, Target

_NGROK_CODE = re.compile(r"\bERR_NGROK_\d{1,6}\b")
# A gateway's statuses: without a code there is no telling whose they are.
GATEWAY_STATUSES = (502, 503, 504)


def probe_headers(options: Mapping[str, Any]) -> dict[str, str]:
    """Give the header that marks a request as ours; what stands in for a missing or odd id is unique as well."""
    probe_id = str(options.get("probe_id") or "")
    return {PROBE_HEADER: probe_id if re.fullmatch(r"[\w-]{1,64}", probe_id, re.ASCII) else str(uuid.uuid4())}


def is_html(exchange: Exchange) -> bool:
    """Say whether the answer is a page for people."""
    return (
        "html" in exchange.headers.get("content-type", "").lower() or exchange.body.lstrip()[:9].lower() == "<!doctype"
    )


def error_code(exchange: Exchange) -> str | None:
    """Return ngrok's error code, such as C(ERR_NGROK_3200): from the header, else from a page that shows it."""
    shown = _NGROK_CODE.search(exchange.headers.get("ngrok-error-code", ""))
    if shown is None and is_html(exchange):
        shown = _NGROK_CODE.search(exchange.body)
    return shown[0] if shown else None


def redirect_host(exchange: Exchange, target: Target) -> str | None:
    """Return the host that a redirect leads to, if it is another: an identity provider, mostly."""
    if exchange.status not in (301, 302, 303, 307, 308):
        return None
    try:
        host = urlsplit(exchange.headers.get("location", "")).hostname
    except ValueError:
        return None
    return host if host and host != target.host else None


def answered_by_app(exchange: Exchange, target: Target) -> bool | None:
    """Say whether the app itself answered; None if nobody did, or a nameless gateway may have."""
    if exchange.status is None or (exchange.status in GATEWAY_STATUSES and error_code(exchange) is None):
        return None
    return error_code(exchange) is None and redirect_host(exchange, target) is None
