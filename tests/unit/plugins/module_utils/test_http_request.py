# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to servers that answer well, badly, slowly, or not at all."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import http_request as http

ROOT = Path(__file__).resolve().parents[4]
# More than enough for any answer from loopback; a test that waits for it has failed.
AMPLE_S = 20.0
# For what never answers: the test takes this long.
SHORT_S = 2.0


def ask(url: str, seconds: float = AMPLE_S, **request: Any) -> http.Exchange:
    return http.request(http.parse_url(url, "url"), deadline=time.monotonic() + seconds, **request)


def test_an_answer_is_told_phase_by_phase(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (405, {"X-Who": "app", "Content-Type": "text/plain"}, b"no"))
    exchange = ask(f"{server.url}/api?x=1")
    assert (exchange.dns_ok, exchange.tcp_ok, exchange.tls_ok, exchange.failure) == (True, True, None, None)
    assert (exchange.status, exchange.body, exchange.truncated) == (405, "no", False)
    assert exchange.headers["x-who"] == "app"
    assert exchange.started_at <= exchange.ended_at
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/api?x=1")
    assert server.requests[0].headers["user-agent"] == http.USER_AGENT


def test_method_headers_and_body_arrive(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (201, {}, b""))
    ask(server.url, method="POST", headers={"X-Key": "k"}, body=b"{}")
    request = server.requests[0]
    assert (request.method, request.path, request.body, request.headers["x-key"]) == ("POST", "/", b"{}", "k")


def test_a_redirect_is_an_answer(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (302, {"Location": "https://idp.ngrok.com/oauth2"}, b""))
    exchange = ask(server.url)
    assert (exchange.status, exchange.headers["location"]) == (302, "https://idp.ngrok.com/oauth2")
    assert len(server.requests) == 1


def test_a_body_is_read_up_to_the_limit(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (200, {}, b"a" * 200_000))
    exchange = ask(server.url)
    assert (len(exchange.body), exchange.truncated) == (http.BODY_LIMIT, True)
    assert len(ask(server.url, body_limit=300_000).body) == 200_000


def test_broken_utf_8_and_pages_are_text_like_any(serve: Callable[..., Any]) -> None:
    server = serve(lambda _request: (200, {"Content-Type": "text/html"}, b"<html>\xff\xfe{{ x }}"))
    assert ask(server.url).body == "<html>��{{ x }}"


@pytest.mark.parametrize(
    ("date", "offset"),
    [("now", 0), ("an hour ahead", 3_600_000), ("nonsense", None), ("Mon, 99 Foo 2026 99:99:99 GMT", None), ("", None)],
)
def test_the_date_header_tells_the_servers_clock(listen: Callable[..., int], date: str, offset: int | None) -> None:
    ahead = {"now": 0, "an hour ahead": 3600}.get(date)
    text = date if ahead is None else time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + ahead))
    answer = f"HTTP/1.1 200 OK\r\nDate: {text}\r\nContent-Length: 0\r\n\r\n".encode()
    measured = ask(f"http://127.0.0.1:{listen(lambda c: answered(c, answer))}").clock_offset_ms
    if offset is None:
        assert measured is None
    else:
        assert measured == pytest.approx(offset, abs=5_000)


def answered(connection: socket.socket, answer: bytes) -> None:
    connection.recv(65536)
    connection.sendall(answer)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00\xff" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200\r\n" + b"a: b\r\n" * 1000,
        b"HTTP/1.1 abc\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_failure_of_the_protocol(listen: Callable[..., int], garbage: bytes) -> None:
    exchange = ask(f"http://127.0.0.1:{listen(lambda c: answered(c, garbage))}")
    assert (exchange.tcp_ok, exchange.status, exchange.failure) == (True, None, "protocol")


def test_a_body_that_breaks_off_is_kept(listen: Callable[..., int]) -> None:
    port = listen(lambda c: answered(c, b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n{"))
    exchange = ask(f"http://127.0.0.1:{port}")
    assert (exchange.status, exchange.body, exchange.truncated, exchange.failure) == (500, "{", True, None)
    assert exchange.broken is True


def test_a_body_that_falls_silent_is_read_no_further(listen: Callable[..., int]) -> None:
    def talk(connection: socket.socket) -> None:
        answered(connection, b"HTTP/1.1 200 OK\r\n\r\nfirst")
        hold(connection)

    exchange = ask(f"http://127.0.0.1:{listen(talk)}", quiet_s=0.2)
    assert (exchange.body, exchange.truncated, exchange.broken, exchange.failure) == ("first", True, False, None)
    assert exchange.ended_at - exchange.started_at < AMPLE_S


def test_a_chunked_body_that_breaks_off_is_kept(listen: Callable[..., int]) -> None:
    port = listen(lambda c: answered(c, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz"))
    exchange = ask(f"http://127.0.0.1:{port}")
    assert (exchange.status, exchange.truncated, exchange.failure) == (200, True, None)


def hold(connection: socket.socket) -> None:
    """Read until the other side hangs up, and say nothing."""
    while connection.recv(65536):
        pass


def test_a_server_that_never_answers_ends_with_the_deadline(listen: Callable[..., int]) -> None:
    exchange = ask(f"http://127.0.0.1:{listen(hold)}", SHORT_S)
    assert (exchange.tcp_ok, exchange.status, exchange.failure) == (True, None, "timeout")


def drip(*beginnings: bytes) -> Callable[[socket.socket], None]:
    """Send a beginning, then a byte at a time, each well within any time-out for a single read, until hung up on."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        for beginning in beginnings:
            connection.sendall(beginning)
        while True:
            connection.sendall(b"a")
            threading.Event().wait(SHORT_S / 10)

    return talk


def test_headers_that_drip_end_with_the_deadline(listen: Callable[..., int]) -> None:
    port = listen(drip(b"HTTP/1.1 200 OK\r\nX: "))
    exchange = ask(f"http://127.0.0.1:{port}", SHORT_S)
    assert (exchange.status, exchange.failure) == (None, "timeout")


@pytest.mark.parametrize("length", [b"Content-Length: 9999\r\n", b""])
def test_a_body_that_drips_ends_with_the_deadline_and_is_kept(listen: Callable[..., int], length: bytes) -> None:
    port = listen(drip(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"))
    exchange = ask(f"http://127.0.0.1:{port}", SHORT_S)
    assert (exchange.status, exchange.truncated, exchange.failure) == (200, True, None)
    assert set(exchange.body) == {"a"}


def test_a_closed_port_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    exchange = ask(f"http://127.0.0.1:{port}")
    assert (exchange.dns_ok, exchange.tcp_ok, exchange.failure) == (True, False, "refused")


def test_a_name_that_does_not_exist_fails_in_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    # The resolver of a machine without a network says "try again" of every name.
    def no_such_name(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    exchange = ask("http://gone.example/")
    assert (exchange.dns_ok, exchange.tcp_ok, exchange.failure) == (False, None, "dns")


def test_a_resolver_that_has_no_answer_yet_says_nothing_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def try_again(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", try_again)
    exchange = ask("http://gone.example/")
    assert (exchange.dns_ok, exchange.failure) == (None, "dns")


def test_a_resolver_that_hangs_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: released.wait())
    exchange = ask("http://slow.example/", SHORT_S)
    released.set()
    assert (exchange.dns_ok, exchange.failure) == (None, "timeout")


def test_a_name_too_long_for_dns_fails_in_dns() -> None:
    assert ask(f"http://{'a' * 70}.example/").failure == "dns"


def test_a_deadline_in_the_past_is_a_time_out() -> None:
    assert ask("http://127.0.0.1:1/", -1).failure == "timeout"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "   ",
        "proto.example/api",
        "ftp://a/b",
        "http://",
        "http://[::1",
        "http://a:b/",
        "http://a:99999/",
        "http://a b/",
    ],
)
def test_what_is_no_url_is_refused_by_the_variables_name(url: str | None) -> None:
    with pytest.raises(ValueError, match=r"^voiceops_callback_url: expected a URL such as"):
        http.parse_url(url, "voiceops_callback_url")


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="without a user name and password") as caught:
        http.parse_url("https://user:hunter22@host/", "voiceops_callback_url")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "port", "path"),
    [
        ("https://a.example", 443, "/"),
        ("http://a.example:8080/b c?d=é", None, None),
        ("http://a.example:8080/bé?d=é", 8080, "/b%C3%A9?d=%C3%A9"),
        ("http://[::1]:81/a%20b", 81, "/a%20b"),
    ],
)
def test_urls_are_taken_apart(url: str, port: int | None, path: str | None) -> None:
    if port is None:
        with pytest.raises(ValueError, match="expected a URL"):
            http.parse_url(url, "v")
    else:
        target = http.parse_url(url, "v")
        assert (target.port, target.path) == (port, path)


@pytest.mark.parametrize("key", ["secret\n", " secret", "sécret", "se\x00cret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match=r"in voiceops_callback_key, got \d+ characters$") as caught:
        http.check_header("X-Key", key, "voiceops_callback_key")
    assert key.strip() not in str(caught.value)


def test_a_header_name_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^voiceops_callback_key_header: expected the name"):
        http.check_header("X Key:", "k", "voiceops_callback_key")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.example/", True),
        ("http://127.0.0.1/", False),
        ("http://localhost/", False),
        ("http://b.example/", False),
    ],
)
def test_a_proxy_is_noticed_but_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "b.example")
    assert http.proxy_in_the_way(http.parse_url(url, "v")) is expected


def test_only_the_environment_is_asked_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_arguments: object) -> None:
        raise AssertionError("macOS asks SystemConfiguration, which kills a forked worker")

    monkeypatch.setattr("urllib.request.getproxies", crash)
    monkeypatch.setattr("urllib.request.proxy_bypass", crash)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert http.proxy_in_the_way(http.parse_url("http://a.example/", "v")) is True


def test_the_version_is_the_collections() -> None:
    galaxy = ROOT / "galaxy.yml"
    if not galaxy.exists():
        pytest.skip("an installed collection has no galaxy.yml")
    assert re.search(r"^version: (\S+)$", galaxy.read_text(), re.M)[1] == http.VERSION  # type: ignore[index]


# --- TLS

CONFIG = """\
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
subjectAltName = {name}
[req]
distinguished_name = empty
[empty]
"""


def self_sign(folder: Path, begins: float, ends: float, name: str) -> tuple[Path, Path]:
    """Make a key and a certificate that it signs itself; C(openssl req) alone cannot make an expired one."""
    (folder / "openssl.cnf").write_text(CONFIG.format(name=name))
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("01")
    dates = [time.strftime("%y%m%d%H%M%SZ", time.gmtime(moment)) for moment in (begins, ends)]
    for command in (
        "req -new -newkey rsa:2048 -nodes -subj /CN=test -config openssl.cnf -keyout key.pem -out request.pem",
        "ca -batch -selfsign -config openssl.cnf -keyfile key.pem -in request.pem -out certificate.pem -notext"
        f" -startdate {dates[0]} -enddate {dates[1]}",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder / "key.pem", folder / "certificate.pem"


@pytest.fixture
def certified(tmp_path: Path, listen: Callable[..., int]) -> Callable[..., tuple[int, Path]]:
    """Start a TLS server whose own certificate expires in some days; returns the port, and the certificate."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl program")

    def start(days: int, name: str = "IP:127.0.0.1", begins: int = -30) -> tuple[int, Path]:
        now = time.time()
        key, certificate = self_sign(tmp_path, now + begins * 86400, now + days * 86400, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def talk(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                answered(tls, b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")

        return listen(talk), certificate

    return start


def test_a_trusted_certificate_tells_its_expiry(
    certified: Callable[..., tuple[int, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = certified(7)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    exchange = ask(f"https://127.0.0.1:{port}")
    assert (exchange.status, exchange.tls_ok, exchange.tls_error) == (405, True, None)
    assert exchange.tls_days_left == pytest.approx(7, abs=0.1)


def test_a_self_signed_certificate_is_not_trusted_and_nothing_is_sent(
    certified: Callable[..., tuple[int, Path]],
) -> None:
    port, _certificate = certified(7)
    exchange = ask(f"https://127.0.0.1:{port}")
    assert (exchange.tcp_ok, exchange.tls_ok, exchange.tls_error) == (True, False, "self_signed")
    assert (exchange.status, exchange.failure) == (None, "tls")
    assert exchange.tls_days_left == pytest.approx(7, abs=0.1)


def test_an_expired_certificate_tells_since_when(
    certified: Callable[..., tuple[int, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = certified(-3)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    exchange = ask(f"https://127.0.0.1:{port}")
    assert (exchange.tls_ok, exchange.tls_error, exchange.failure) == (False, "expired", "tls")
    assert exchange.tls_days_left == pytest.approx(-3, abs=0.1)


def test_a_certificate_that_is_not_valid_yet_is_told_apart(
    certified: Callable[..., tuple[int, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = certified(9, begins=2)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(f"https://127.0.0.1:{port}").tls_error == "not_yet_valid"


def test_a_certificate_for_another_name(
    certified: Callable[..., tuple[int, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = certified(7, "DNS:other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(f"https://127.0.0.1:{port}").tls_error == "hostname"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 50, b""])
def test_what_is_no_tls_is_a_failure_of_tls(listen: Callable[..., int], garbage: bytes) -> None:
    exchange = ask(f"https://127.0.0.1:{listen(lambda c: answered(c, garbage))}")
    assert (exchange.tcp_ok, exchange.tls_ok, exchange.tls_error, exchange.failure) == (True, False, "other", "tls")


def test_a_handshake_that_hangs_ends_with_the_deadline(listen: Callable[..., int]) -> None:
    exchange = ask(f"https://127.0.0.1:{listen(hold)}", SHORT_S)
    assert (exchange.tcp_ok, exchange.tls_ok, exchange.failure) == (True, None, "timeout")


def test_expiry_is_read_from_either_form_of_date() -> None:
    utc_time = b"\x17\x0d260101000000Z\x17\x0d491231235959Z"
    generalized = b"\x18\x0f20260101000000Z\x18\x0f20991231235959Z"
    assert http._days_left(utc_time) is not None
    assert http._days_left(generalized) > http._days_left(utc_time)  # type: ignore[operator]
    assert http._days_left(b"\x17\x0d260101000000Z\x17\x0d269931235959Z") is None
    assert http._days_left(b"") is None
