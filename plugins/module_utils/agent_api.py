# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks LiveKit's agent API itself, as C(lk agent) does, where there is no lk: Twirp over HTTPS, and the log's stream.

Requests and answers are JSON, which every Twirp server takes beside protobuf: so nothing but the standard library is
needed, fields that are new are passed over, and an answer, put in order, is the document that C(lk --json) prints. The
addresses and the token are made as lk makes them (its sources, v2.5.0 to v2.18.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils import lk, process
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_log import INACTIVE
from ansible_collections.voiceops.livekit.plugins.module_utils.http_request import (
    Exchange,
    check_header,
    parse_url,
    proxy_in_the_way,
    request,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

# No call may take longer, whatever the deadline; the log is no call.
CALL_S = 10.0
ANSWER_BYTES = 1024 * 1024
TOKEN_S = 600
ADDRESS = "LK_AGENTS_URL"
CLOUD = ".livekit.cloud"
READS = {"status": "ListAgents", "versions": "ListAgentVersions", "secrets": "ListAgentSecrets"}
ACTS = {"restart": "RestartAgent", "rollback": "RollbackAgent"}
_CODES = {
    "unauthenticated": "unauthorized",
    "permission_denied": "unauthorized",
    "not_found": "no_agent",
    "bad_route": "unsupported",
    "unimplemented": "unsupported",
    "resource_exhausted": "rate_limited",
    "deadline_exceeded": "timeout",
    "unavailable": "unavailable",
    "internal": "unavailable",
    "unknown": "unavailable",
}
_STATUSES = {401: "unauthorized", 403: "unauthorized", 404: "no_agent", 429: "rate_limited"}
_ADVICE = {
    "unauthorized": "LiveKit refuses the credentials: check voiceops_livekit_api_key, voiceops_livekit_api_secret and "
    "the controller's clock",
    "no_agent": "the project has no such agent: check voiceops_agent_id and voiceops_livekit_url",
    "unsupported": "what answers is not LiveKit's agent API: check voiceops_livekit_url",
    "rate_limited": "LiveKit takes no more calls for now (its limit is about 1,000 a minute for a project): try again "
    "in a minute",
    "timeout": "LiveKit gave no answer in time",
    "network": "LiveKit cannot be reached from the controller: check its network, and voiceops_livekit_url",
    "unavailable": "LiveKit answers with an error of its own: try again, and look at its status page",
    "output": "something between here and LiveKit answered in its place: check the controller's network",
    "failed": "LiveKit refuses it",
}


def open_session(options: Mapping[str, Any], deadline: float) -> lk.Session:
    """Check the options, and find the agent's id; raise LkError if one of them will not do.

    The folder of the agent's source is often on lk's host alone, and is passed over if it is not here. Where neither
    it nor the options name the agent, it is the project's only one.
    """
    folder = options.get("agent_dir")
    is_here = bool(folder) and os.path.isdir(os.path.expanduser(str(folder)))
    session = lk.prepare(options if is_here else {**options, "agent_dir": None})
    if not session.has_credentials:
        raise lk.LkError(
            "options",
            "voiceops_livekit_api_key and voiceops_livekit_api_secret: expected the project's API credentials, without "
            "which LiveKit cannot be asked but by lk, got nothing",
        )
    session = session._replace(api_url=address_of(session.environment))
    return session if session.agent_id else session._replace(agent_id=_only_agent(session, deadline))


def address_of(environment: Mapping[str, str]) -> str:
    """Return the agent API's address: C(LK_AGENTS_URL), else it follows from the project's URL; raise LkError."""
    given, project = environment.get(ADDRESS), environment.get("LIVEKIT_URL") or ""
    if given:
        return given.rstrip("/")
    try:
        parts = urlsplit(project)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    # lk would derive an address from any URL; but no other host is to see a token for LiveKit's.
    if not host.endswith(CLOUD) or host == CLOUD[1:]:
        raise lk.LkError(
            "options",
            "voiceops_livekit_url: expected a project of LiveKit Cloud, such as wss://my-project.livekit.cloud, or "
            f"{ADDRESS} in voiceops_lk_environment beside it, got {clip(redact(project), 100)!r}",
        )
    return f"https://agents.{host.partition('.')[2]}"


def log_address(api_url: str, region: str | None) -> str:
    """Return where the logs of a server region are, by the agent API's address."""
    if urlsplit(api_url).hostname in ("localhost", "127.0.0.1"):
        return api_url
    at = f"{region}.agents." if region and re.fullmatch(r"[a-zA-Z0-9-]{1,63}", region) else "agents."
    return re.sub(r"^https://[a-zA-Z0-9-]+\.", f"https://{at}", api_url)


def read(session: lk.Session, what: str, deadline: float) -> lk.Answer:
    """Ask for C(status), C(versions) or C(secrets) of the agent; raise LkError if LiveKit does not tell."""
    document = call(session, READS[what], {"agent_id": session.agent_id}, deadline)
    if what == "status" and not document.get("agents"):
        raise lk.LkError("no_agent", _ADVICE["no_agent"])
    if what == "versions":
        versions = _dicts(document.get("versions"))
        document["versions"] = sorted(versions, key=lambda item: parse_time(item.get("createdAt")) or 0.0, reverse=True)
    return lk.Answer(document, [], session.subdomain, session.agent_id)


def act(session: lk.Session, arguments: list[str], deadline: float) -> process.Result:
    """Do what C(lk agent restart) or C(rollback --version V) do, as if lk had done it; raise LkError if it fails."""
    name, *rest = arguments
    message = {"agent_id": session.agent_id, **({"version": rest[1]} if name == "rollback" else {})}
    answer = call(session, ACTS[name], message, deadline)
    if not answer.get("success"):
        said = clip(redact(str(answer.get("message") or "it does not say why"), session.secrets), 300)
        raise lk.LkError("failed", f"{_ADVICE['failed']} (LiveKit said: {said})")
    return process.Result(0, f"LiveKit's agent API took {ACTS[name]} on\n", "", timed_out=False, truncated=False)


def logs(session: lk.Session, deadline: float, *, quiet_s: float, limit_bytes: int) -> process.Result:
    """Read the log as if lk had printed it: until it is quiet for C(quiet_s), since it never ends by itself.

    What LiveKit says in its place, as of an agent that sleeps, is the error output. Raises LkError for the rest.
    """
    deployments = read(session, "status", deadline).document
    region = _server_region(deployments)
    query = urlencode({"agent_id": session.agent_id, "log_type": "deploy"})
    url = f"{log_address(session.api_url or '', region)}/logs?{query}"
    exchange = _send(session, url, deadline, body_limit=limit_bytes, quiet_s=quiet_s)
    if exchange.status != 200:
        said = _error_of(exchange)
        # With which status is not known.
        if said is None or INACTIVE not in said["msg"]:
            _fail(session, exchange, said)
        return process.Result(1, "", said["msg"], timed_out=False, truncated=False)
    if exchange.broken and not exchange.body:
        raise lk.LkError("network", "the log broke off before its first line")
    is_cut = exchange.truncated and len(exchange.body.encode()) >= limit_bytes
    return process.Result(int(exchange.broken), exchange.body, "", timed_out=False, truncated=is_cut)


def call(session: lk.Session, method: str, message: Mapping[str, Any], deadline: float) -> dict[str, Any]:
    """Call a method of C(livekit.CloudAgent), and return its answer as L(as_lk_prints); raise LkError."""
    url = f"{session.api_url}/twirp/livekit.CloudAgent/{method}"
    until = min(deadline, time.monotonic() + CALL_S)
    exchange = _send(session, url, until, body=json.dumps(message).encode(), body_limit=ANSWER_BYTES)
    if exchange.status != 200:
        _fail(session, exchange, _error_of(exchange))
    document = _json_of(exchange)
    if document is None:
        late = exchange.truncated and time.monotonic() >= until
        raise lk.LkError("timeout" if late else "output", _told("timeout" if late else "output", _looks_of(exchange)))
    found = as_lk_prints(document)
    return found if isinstance(found, dict) else {}


def as_lk_prints(value: Any) -> Any:
    """Give a Twirp server's JSON the shape of C(lk --json): names in lowerCamelCase, and nothing that is unset.

    The names in C(attributes) are the user's own, and stay.
    """
    if isinstance(value, list):
        return [as_lk_prints(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = ((re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), str(name)), item) for name, item in value.items())
    shaped = ((name, item if name == "attributes" else as_lk_prints(item)) for name, item in named)
    return {name: item for name, item in shaped if item not in (None, "", 0, False, [], {})}


def token(key: str, secret: str, now: float) -> str:
    """Make the token with which lk asks: a JWT (RFC 7519) for agents alone, signed with the secret by HMAC-SHA256."""
    claims = {"iss": key, "nbf": int(now), "exp": int(now) + TOKEN_S, "agent": {"admin": True}}
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    body = ".".join(_base64(part) for part in parts)
    return f"{body}.{_base64(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _only_agent(session: lk.Session, deadline: float) -> str:
    """Return the id of the project's only agent; raise LkError if there are several, or none."""
    agents = _dicts(call(session, "ListAgents", {}, deadline).get("agents"))
    named = {str(item["agentId"]): item.get("agentName") for item in agents if item.get("agentId")}
    if len(named) == 1:
        return next(iter(named))
    listed = ", ".join(f"{agent_id} ({name})" if name else agent_id for agent_id, name in named.items())
    problem = f"the project has {len(named)}: {clip(listed, 300)}" if named else "the project has no agent"
    raise lk.LkError("no_agent_id", f"voiceops_agent_id: expected the agent's id (CA_…), got nothing, and {problem}")


def _server_region(document: Mapping[str, Any] | None) -> str | None:
    """Return where the agent's first deployment is, as lk does; raise LkError if it has none, and so no log."""
    agents = _dicts((document or {}).get("agents"))
    deployments = [item for agent in agents for item in _dicts(agent.get("agentDeployments"))]
    if not deployments:
        raise lk.LkError("no_agent", "the agent has no deployment, and so no log")
    region = deployments[0].get("serverRegion")
    return region if isinstance(region, str) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _send(session: lk.Session, url: str, deadline: float, **how: Any) -> Exchange:
    """Send a request with a token of its own, and return the answer; raise LkError if none came."""
    key, secret = session.environment["LIVEKIT_API_KEY"], session.environment["LIVEKIT_API_SECRET"]
    headers = {"Authorization": f"Bearer {token(key, secret, time.time())}"}
    if "body" in how:
        headers.update({"Content-Type": "application/json", "Accept": "application/json"})
    try:
        target = parse_url(url, ADDRESS)
        check_header("Authorization", headers["Authorization"], "voiceops_livekit_api_key")
    except ValueError as exc:
        raise lk.LkError("options", str(exc)) from exc
    exchange = request(target, deadline=deadline, method="POST" if "body" in how else "GET", headers=headers, **how)
    if exchange.status is None:
        reason = {"timeout": "timeout", "protocol": "output"}.get(exchange.failure or "", "network")
        beside = "; the environment names a proxy, which is not used" if proxy_in_the_way(target) else ""
        raise lk.LkError(reason, _told(reason, clip(redact(exchange.error, session.secrets), 300)) + beside)
    return exchange


def _fail(session: lk.Session, exchange: Exchange, said: Mapping[str, Any] | None) -> NoReturn:
    """Raise LkError for an answer that is an error: LiveKit's own, or of something on the way to it."""
    status = exchange.status or 0
    if said is None and _is_page(exchange) and status != 429 and status < 500:
        reason, words = "output", _looks_of(exchange)
    else:
        code = str((said or {}).get("code") or "")
        by_status = "unavailable" if status >= 500 else _STATUSES.get(status, "failed")
        reason = _CODES.get(code, "failed") if code else by_status
        if reason == "no_agent" and said is None:
            reason = "unsupported"
        text = str((said or {}).get("msg") or exchange.body)
        words = f"{code or f'HTTP {status}'}: {clip(redact(text, session.secrets).strip(), 300)}"
    raise lk.LkError(reason, _told(reason, words))


def _told(reason: str, words: str) -> str:
    return f"{_ADVICE[reason]} ({words})"


def _error_of(exchange: Exchange) -> dict[str, Any] | None:
    """Return the JSON of a Twirp error, or of the log's; None if the answer is no such error."""
    document = _json_of(exchange)
    return document if document is not None and isinstance(document.get("msg"), str) else None


def _json_of(exchange: Exchange) -> dict[str, Any] | None:
    try:
        document = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _is_page(exchange: Exchange) -> bool:
    return "html" in exchange.headers.get("content-type", "") or exchange.body.lstrip().startswith("<")


def _looks_of(exchange: Exchange) -> str:
    """Say what an answer is that LiveKit would not give."""
    kind = exchange.headers.get("content-type", "").partition(";")[0] or "nothing said of its kind"
    return f"HTTP {exchange.status}, {clip(redact(kind), 80)}"
