# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 4: what does the API answer to the agent's own call? A few POSTs, sent at once, tagged as ours.

The two of C(validate) write nothing: the right key with a body that is invalid, and a wrong key. C(fake_user) adds the
call that misled the reader of the first incident: a session of a user who does not exist, which ends in a foreign key
error. Whatever these provoke is ours, and never the cause of anything.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.voiceops.livekit.plugins.module_utils import edge
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import (
    Exchange,
    Target,
    check_header,
    parse_url,
    request,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.tunnel import answer
from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, event, record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

SIGNALS = {
    "probe": "str: validate or fake_user",
    "status": "int|None: HTTP status of the right key with the body {}; None without a key or an answer",
    "wrong_key_status": "int|None: HTTP status of a wrong key; None without an answer",
    "key_accepted": "bool|None: the API took our key; None after an error, or if it complains of the body and refused "
    "no wrong key",
    "wrong_key_rejected": "bool|None: a wrong key was refused, 401 or 403; False if it was let in; None if not shown",
    "route_exists": "bool|None: False if the app itself answered 404, or 405 to a POST; None after an error",
    "error_code": "str|None: ngrok's code if its edge answered instead of the app",
    "fake_user_status": "int|None: HTTP status of the fake user's session; None unless the probe is fake_user",
    "prisma_code": "str|None: Prisma error code in the answer to a probe of ours; never a cause",
    "answered_by_app": "bool|None: the app answered, not the edge; None if nobody did, or a nameless gateway",
}

FAKE_USER = "00000000-0000-0000-0000-000000000000"
_PRISMA = re.compile(r"\bP[1-6]\d{3}\b")
_INVALID = (400, 415, 422)
_REFUSED = (401, 403)

# The probes' names, as they appear in the time line.
RIGHT_KEY, WRONG_KEY, AS_FAKE_USER = "right key, invalid body", "wrong key", "fake user"


class _Call(NamedTuple):
    key: str
    body: dict[str, str]


def collect(options: dict[str, Any], deadline: float) -> Record:
    """POST to C(callback_url); return the record by C(deadline), an absolute C(time.monotonic()).

    The record has the extra key C(probes): the windows of our own calls, C([{since, until, what, status}]).
    """
    key = str(options.get("callback_key") or "")
    header = str(options.get("callback_key_header") or "X-Internal-Service-Key")
    try:
        target = parse_url(options.get("callback_url"), "voiceops_callback_url")
        check_header(header, key or "none", "voiceops_callback_key")
    except ValueError as exc:
        return unknown("callback", redact(str(exc), [key]))
    calls = _calls(options, key)
    exchanges = _send_all(calls, target, header, edge.probe_headers(options), deadline)
    found = judge(exchanges, target, str(options.get("callback_probe") or "validate"))
    limits = _limits(found, exchanges, bool(key))
    result = record(
        "callback",
        _state(found),
        clip(redact(_summary(found, exchanges), [key]), 300),
        signals=found,
        events=[
            event(rfc3339(exchange.started_at), f"our POST ({name}): {answer(exchange)}", ours=True)
            for name, exchange in exchanges.items()
        ],
        limits=limits,
        repeat=redact(_repeat(target, header), [key]),
    )
    windows = [
        {
            "since": rfc3339(call.started_at),
            "until": rfc3339(call.ended_at),
            "what": f"POST, {name}",
            "status": call.status,
        }
        for name, call in exchanges.items()
    ]
    return {**result, "probes": windows}


def _calls(options: Mapping[str, Any], key: str) -> dict[str, _Call]:
    """List the calls to make by name; those that need the key are left out without one."""
    calls = {WRONG_KEY: _Call("voiceops-wrong-key", {})}
    if key:
        calls[RIGHT_KEY] = _Call(key, {})
    if key and options.get("callback_probe") == "fake_user":
        users = options.get("synthetic_users") or [FAKE_USER]
        calls[AS_FAKE_USER] = _Call(key, {"type": "free_practice", "userId": str(users[0])})
    return calls


def _send_all(
    calls: Mapping[str, _Call], target: Target, header: str, headers: Mapping[str, str], deadline: float
) -> dict[str, Exchange]:
    """Make the calls at the same time; each ends by the deadline."""
    exchanges: dict[str, Exchange] = {}

    def send(name: str, call: _Call) -> None:
        exchanges[name] = request(
            target,
            deadline=deadline,
            method="POST",
            headers={**headers, header: call.key, "Content-Type": "application/json"},
            body=json.dumps(call.body).encode(),
        )

    threads = [threading.Thread(target=send, args=item, daemon=True) for item in calls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(sorted(exchanges.items(), key=lambda item: item[1].started_at))


def judge(exchanges: Mapping[str, Exchange], target: Target, probe: str) -> dict[str, Any]:
    """Derive the signals from what became of the calls, by name."""
    right, wrong, fake = (exchanges.get(name) for name in (RIGHT_KEY, WRONG_KEY, AS_FAKE_USER))
    right_status, wrong_status = _app_status(right, target), _app_status(wrong, target)
    by_app = [edge.answered_by_app(exchange, target) for exchange in exchanges.values()]
    codes = [code for code in map(edge.error_code, exchanges.values()) if code]
    prisma = [match[0] for match in (_PRISMA.search(exchange.body) for exchange in exchanges.values()) if match]
    return {
        "probe": probe,
        "status": right.status if right else None,
        "wrong_key_status": wrong.status if wrong else None,
        "key_accepted": _key_accepted(right_status, wrong_status),
        "wrong_key_rejected": _rejected(wrong_status),
        "route_exists": _route_exists([right_status, wrong_status]),
        "error_code": codes[0] if codes else None,
        "fake_user_status": fake.status if fake else None,
        "prisma_code": prisma[0] if prisma else None,
        "answered_by_app": True if True in by_app else False if False in by_app else None,
    }


def _app_status(exchange: Exchange | None, target: Target) -> int | None:
    """Return the status if it is surely the app's."""
    return exchange.status if exchange and edge.answered_by_app(exchange, target) else None


def _key_accepted(right: int | None, wrong: int | None) -> bool | None:
    if right in _REFUSED:
        return False
    if right in _INVALID:
        # An API that looks at the body first complains of it whatever the key.
        return True if wrong in _REFUSED else None
    return True if right is not None and 200 <= right < 300 else None


def _rejected(wrong: int | None) -> bool | None:
    if wrong in _REFUSED:
        return True
    return False if wrong is not None and 200 <= wrong < 300 else None


def _route_exists(statuses: Sequence[int | None]) -> bool | None:
    known = [status for status in statuses if status is not None]
    if any(200 <= status < 300 or status in _INVALID + _REFUSED for status in known):
        return True
    return False if any(status in (404, 405) for status in known) else None


def _state(found: Mapping[str, Any]) -> str:
    if found["key_accepted"]:
        return "healthy"
    broken = found["key_accepted"] is False or found["route_exists"] is False or found["answered_by_app"] is False
    return "faulty" if broken else "unknown"


def _limits(found: Mapping[str, Any], exchanges: Mapping[str, Exchange], has_key: bool) -> list[str]:
    limits = []
    if not has_key:
        limits.append("expected the service key in voiceops_callback_key, got nothing; only a wrong key was tried")
    elif found["key_accepted"] and 200 <= found["status"] < 300:
        limits.append("the API took an invalid body; it may have written something")
    if found["key_accepted"] is None and found["status"] in _INVALID:
        alike = found["wrong_key_status"] in _INVALID
        why = "the API answers alike whatever the key" if alike else "a wrong key was not seen to be refused"
        limits.append(f"{why}, so it is open whether the API took ours")
    if found["status"] is not None and found["status"] >= 500:
        limits.append("an error in answer to our own probe says nothing of the user's call")
    for name, exchange in exchanges.items():
        if exchange.status is None:
            limits.append(redact(f"no answer to the probe with {name}: {exchange.failure}: {exchange.error}"))
    return limits


def _summary(found: Mapping[str, Any], exchanges: Mapping[str, Exchange]) -> str:
    answers = ", ".join(f"{name}: {answer(exchange)}" for name, exchange in exchanges.items())
    verdicts = {
        True: "the API takes our key",
        False: "the API refuses our key",
        None: "whether the key is right is open",
    }
    if found["error_code"]:
        return f"the tunnel's edge answers instead of the API ({answers})"
    if found["route_exists"] is False:
        return f"the API has no such route for POST ({answers})"
    return f"{verdicts[found['key_accepted']]} ({answers})"


def _repeat(target: Target, header: str) -> str:
    return (
        f'curl -sS -i -X POST {shlex.quote(target.url)} -H "{header}: $INTERNAL_SERVICE_KEY"'
        " -H 'Content-Type: application/json' -d '{}'"
    )
