# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request, phase by phase: name, connection, encryption, answer. Says which failed, and always ends in time.

Redirects are not followed, since where they lead is evidence. Proxies are not used, since the phases behind one are
hidden: L(proxy_in_the_way) says when the environment wants one.
"""

from __future__ import annotations

import calendar
import contextlib
import email.utils
import errno
import http.client
import ipaddress
import os
import queue
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

VERSION = "0.1.0"
USER_AGENT = f"voiceops.livekit/{VERSION} probe"
PROBE_HEADER = "X-Probe-Id"
BODY_LIMIT = 64 * 1024

# X509_V_ERR_* of OpenSSL's x509_vfy.h, by what a person would do about them.
_VERIFY_KINDS = {
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "self_signed",
    62: "hostname",
    64: "hostname",
}
_VERIFY_UNTRUSTED = (2, 20, 21)
# DER of X.509's Validity, two UTCTime (tag 0x17) or GeneralizedTime (0x18), always in UTC: RFC 5280, 4.1.2.5.
_NOT_AFTER = re.compile(rb"(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Target(NamedTuple):
    """Where a request goes. C(path) includes the query, and is ready to be sent."""

    url: str
    scheme: str
    host: str
    port: int
    path: str


@dataclass
class Exchange:
    """What became of a request. A phase that was not reached, or whose end the deadline cut off, is None."""

    started_at: float
    """Seconds since 1970 on this host's clock."""
    dns_ok: bool | None = None
    tcp_ok: bool | None = None
    tls_ok: bool | None = None
    tls_error: str | None = None
    """expired, not_yet_valid, self_signed, hostname, untrusted, no_ca_store, or other."""
    tls_days_left: float | None = None
    """Days until the certificate expires, negative after that."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case; values of repeated headers joined by commas."""
    body: str = ""
    truncated: bool = False
    """Whether the body goes on after what was read, or might."""
    broken: bool = False
    """Whether the connection broke in the middle of the body."""
    clock_offset_ms: int | None = None
    """The server's clock minus ours by its Date header, which has whole seconds."""
    failure: str | None = None
    """dns, refused, unreachable, timeout, tls or protocol, if there is no status."""
    error: str = ""
    """What failed, in the system's words."""
    ended_at: float = 0.0


class _PhaseError(Exception):
    """A phase failed; carries the kind for C(Exchange.failure)."""

    def __init__(self, kind: str, error: object) -> None:
        super().__init__(str(error))
        self.kind = kind


def parse_url(url: object, variable: str) -> Target:
    """Take an http or https URL apart. Raises ValueError that names C(variable), and shows no password."""
    wanted = f"{variable}: expected a URL such as https://host.example/path"
    text = "" if url is None else str(url).strip()
    if not text:
        raise ValueError(f"{wanted}, got nothing")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        userinfo = "@" in parts.netloc
    except ValueError as exc:
        raise ValueError(f"{wanted}: {exc}") from None
    if userinfo:
        raise ValueError(f"{wanted}, without a user name and password")
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError(f"{wanted}, got {text[:120]!r}")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?") if parts.query else ""
    )
    return Target(text, parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def check_header(name: str, value: str, variable: str) -> None:
    """Raise ValueError that names C(variable), without the value, if the pair cannot be sent as an HTTP header."""
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{variable}_header: expected the name of an HTTP header, got {name[:80]!r}")
    if not _HEADER_VALUE.fullmatch(value):
        # Worded so that what comes after "key:" is not taken for one and redacted.
        raise ValueError(
            f"expected printable ASCII, no spaces or line breaks around it, in {variable}, got {len(value)} characters"
        )


def is_loopback(host: str) -> bool:
    """Say whether C(host) is this machine by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def proxy_in_the_way(target: Target) -> bool:
    """Say whether the environment (C(HTTPS_PROXY) and the like) wants C(target) to be asked by way of a proxy."""
    # getproxies() and proxy_bypass() ask macOS' SystemConfiguration, which crashes in a forked worker.
    proxies = urllib.request.getproxies_environment()
    if is_loopback(target.host) or target.scheme not in proxies:
        return False
    return not urllib.request.proxy_bypass_environment(f"{target.host}:{target.port}", proxies)  # type: ignore[attr-defined]


def request(
    target: Target,
    *,
    deadline: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    body_limit: int = BODY_LIMIT,
    quiet_s: float | None = None,
) -> Exchange:
    """Send one request and return by C(deadline), an absolute C(time.monotonic()), with what there is by then.

    At most C(body_limit) bytes of the body are read, and nothing after it began and was quiet for C(quiet_s). Bad
    answers of any kind are results. Only headers that cannot be sent raise ValueError, see L(check_header).
    """
    exchange = Exchange(started_at=time.time())
    sock: socket.socket | None = None
    try:
        addresses = _resolve(target, deadline, exchange)
        sock = _connect(addresses, deadline, exchange)
        if target.scheme == "https":
            sock = _encrypt(sock, addresses, target, deadline, exchange)
        _converse(sock, target, method, dict(headers or {}), body, body_limit, quiet_s, deadline, exchange)
    except _PhaseError as failure:
        exchange.failure, exchange.error = failure.kind, str(failure)
    finally:
        if sock is not None:
            sock.close()
        exchange.ended_at = time.time()
    return exchange


def _left(deadline: float) -> float:
    """Return the seconds left, as a socket's timeout; raises _PhaseError if there are none."""
    if (left := deadline - time.monotonic()) <= 0:
        raise _PhaseError("timeout", "no time left")
    return left


def _resolve(target: Target, deadline: float, exchange: Exchange) -> list[Any]:
    """Look the name up in a thread of its own: getaddrinfo knows no time limit."""
    answers: queue.Queue[Any] = queue.Queue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as exc:
            answers.put(exc)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise _PhaseError("timeout", f"looking up {target.host} takes too long") from None
    if isinstance(answer, Exception):
        # "Try again" is our resolver's trouble, and says nothing of the name.
        exchange.dns_ok = None if getattr(answer, "errno", None) == socket.EAI_AGAIN else False
        raise _PhaseError("dns", f"{target.host}: {answer}")
    exchange.dns_ok = True
    addresses: list[Any] = answer
    return addresses


def _connect(addresses: list[Any], deadline: float, exchange: Exchange) -> socket.socket:
    """Try the addresses in turn, each with its share of the time; the last one's failure counts."""
    failure = _PhaseError("unreachable", "the name has no address")
    for number, (family, socktype, protocol, _name, address) in enumerate(addresses):
        share = _left(deadline) / (len(addresses) - number)
        try:
            sock = _open(family, socktype, protocol, address, share)
            exchange.tcp_ok = True
            return sock
        except socket.timeout:
            exchange.tcp_ok = None
            failure = _PhaseError("timeout", f"connecting to {address[0]} port {address[1]} takes too long")
        except OSError as exc:
            refused = exc.errno in (errno.ECONNREFUSED, errno.ECONNRESET)
            # Where there is no route, it is our network as likely as theirs that is down.
            exchange.tcp_ok = False if refused else None
            kind = "refused" if refused else "unreachable"
            failure = _PhaseError(kind, f"{address[0]} port {address[1]}: {exc.strerror}")
    raise failure


def _open(family: int, socktype: int, protocol: int, address: Any, seconds: float) -> socket.socket:
    sock = socket.socket(family, socktype, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _encrypt(
    sock: socket.socket, addresses: list[Any], target: Target, deadline: float, exchange: Exchange
) -> socket.socket:
    """Shake hands; fails if the certificate cannot be trusted."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    try:
        sock.settimeout(_left(deadline))
        wrapped = context.wrap_socket(sock, server_hostname=target.host)
    except socket.timeout:
        raise _PhaseError("timeout", "the TLS handshake takes too long") from None
    except ssl.SSLCertVerificationError as exc:
        exchange.tls_error = _verify_kind(exc)
        # Without certificate authorities of our own we cannot judge theirs.
        exchange.tls_ok = None if exchange.tls_error == "no_ca_store" else False
        exchange.tls_days_left = _expiry_without_trust(addresses, target, deadline)
        raise _PhaseError("tls", exc.verify_message) from None
    except (OSError, ValueError) as exc:
        exchange.tls_ok, exchange.tls_error = False, "other"
        raise _PhaseError("tls", exc) from None
    exchange.tls_ok = True
    exchange.tls_days_left = _days_left(wrapped.getpeercert(binary_form=True))
    return wrapped


def _verify_kind(exc: ssl.SSLCertVerificationError) -> str:
    if exc.verify_code in _VERIFY_UNTRUSTED:
        paths = ssl.get_default_verify_paths()
        has_store = paths.cafile or (paths.capath and os.path.isdir(paths.capath) and os.listdir(paths.capath))
        return "untrusted" if has_store else "no_ca_store"
    return _VERIFY_KINDS.get(exc.verify_code, "other")


def _expiry_without_trust(addresses: list[Any], target: Target, deadline: float) -> float | None:
    """Shake hands once more, only to read when the certificate that was refused expires; sends nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(_PhaseError, OSError), _connect(addresses, deadline, Exchange(started_at=0)) as sock:
        sock.settimeout(_left(deadline))
        with context.wrap_socket(sock, server_hostname=target.host) as wrapped:
            return _days_left(wrapped.getpeercert(binary_form=True))
    return None


def _days_left(certificate: bytes | None) -> float | None:
    """Read a DER certificate's expiry. The standard library decodes only certificates that were verified."""
    match = _NOT_AFTER.search(certificate or b"")
    if match is None:
        return None
    short = (match[1] or b"").decode()
    # RFC 5280: two-digit years from 50 on are of the last century.
    digits = match[2].decode() if match[2] else ("19" if short >= "50" else "20") + short
    try:
        expires = calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S"))
    except ValueError:
        return None
    return round((expires - time.time()) / 86400, 2)


def _converse(
    sock: socket.socket,
    target: Target,
    method: str,
    headers: dict[str, str],
    body: bytes | None,
    body_limit: int,
    quiet_s: float | None,
    deadline: float,
    exchange: Exchange,
) -> None:
    """Send the request and read the answer into C(exchange)."""
    sock.settimeout(_left(deadline))
    # A socket's timeout starts anew with every byte; whoever drips bytes is cut off by the alarm.
    alarm = threading.Timer(_left(deadline), _hang_up, [sock])
    alarm.daemon = True
    alarm.start()
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    try:
        sent_at = time.time()
        host = f"[{target.host}]" if ":" in target.host else target.host.encode("idna").decode()
        standard = target.port == (443 if target.scheme == "https" else 80)
        connection.request(
            method,
            target.path,
            body=body,
            headers={
                "Host": host if standard else f"{host}:{target.port}",
                "Accept": "*/*",
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
        )
        response = connection.getresponse()
        # Headers that the alarm cut off look complete, and may lack the one that matters.
        _left(deadline)
        exchange.status = response.status
        exchange.headers = _joined(response)
        exchange.clock_offset_ms = _clock_offset(exchange.headers, sent_at, time.time())
        exchange.body, exchange.truncated, exchange.broken = _read_body(response, sock, body_limit, quiet_s, deadline)
    except (OSError, http.client.HTTPException) as exc:
        if isinstance(exc, socket.timeout) or time.monotonic() >= deadline:
            raise _PhaseError("timeout", "no complete answer in time") from None
        raise _PhaseError("protocol", f"no HTTP answer: {type(exc).__name__}: {exc}") from None
    finally:
        alarm.cancel()
        connection.close()


def _hang_up(sock: socket.socket) -> None:
    """End both directions below any encryption, so that whoever reads sees the end at once."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _joined(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): ", ".join(response.headers.get_all(name, [])) for name in response.headers}


def _read_body(
    response: http.client.HTTPResponse, sock: socket.socket, limit: int, quiet_s: float | None, deadline: float
) -> tuple[str, bool, bool]:
    """Read up to C(limit) bytes; say whether there may be more, and whether the connection broke: no failures."""
    body, ended = b"", ""
    try:
        while len(body) <= limit:
            chunk = response.read1(limit + 1 - len(body))
            if not chunk:
                break
            body += chunk
            sock.settimeout(_left(deadline) if quiet_s is None else quiet_s)
        ended = "limit" if len(body) > limit else "broken" if response.length else ""
    except (_PhaseError, socket.timeout):
        ended = "silence"
    except (OSError, http.client.HTTPException):
        ended = "broken"
    # What the alarm cut off looks like the end of a body of unknown length.
    late = time.monotonic() >= deadline
    return body[:limit].decode("utf-8", "replace"), bool(ended) or late, ended == "broken" and not late


def _clock_offset(headers: Mapping[str, str], sent_at: float, received_at: float) -> int | None:
    """Return the Date header minus our clock in ms; None if there is none, or a cache may have kept it."""
    if "date" not in headers or headers.get("age", "0") != "0":
        return None
    try:
        # Date is cut to whole seconds: half of one is the best guess.
        server = email.utils.parsedate_to_datetime(headers["date"]).timestamp() + 0.5
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return round((server - (sent_at + received_at) / 2) * 1000)
