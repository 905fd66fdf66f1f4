# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be shown is masked, what a reader needs stays."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import (
    LIMIT,
    MASK,
    clean,
    clip,
    known,
    redact,
    redact_data,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJBUElrZXkifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"token was {JWT} at last", JWT),
        (f"cut {JWT[:60]}", JWT[:60]),
        ("Authorization: Bearer abc.def", "abc.def"),
        ('{"authorization":"Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ("curl -H 'Proxy-Authorization: Digest 0a1b'", "0a1b"),
        ("sent Bearer AbCdEf123456", "AbCdEf123456"),
        ("X-Internal-Service-Key: s3rv1ce", "s3rv1ce"),
        ("x-api-key: abc", "abc"),
        ("INTERNAL_SERVICE_KEY=plain", "plain"),
        ('INTERNAL_SERVICE_KEY="two words"', "two words"),
        ("LIVEKIT_API_SECRET='it is long'", "it is long"),
        ('{"apiKey": "abc"}', "abc"),
        ('"{\\"accessToken\\":\\"abc\\"}"', "abc"),
        ("password: hunter2", "hunter2"),
        ("GET /x?token=abc&y=1", "abc"),
        ("key: 0123456789abcdef0123", "0123456789abcdef0123"),
        ("OPENAI is sk-proj-abcdefgh1234", "sk-proj-abcdefgh1234"),
        ("https://user:pa55@example.org/x", "pa55"),
        ("https://ghost@example.org/x", "ghost"),
        ("ssh://pi:pa55@pi-hub.local:2222", "pa55"),
        ("DATABASE_URL is postgresql://app:p/w@rd@db:5432/x", "p/w@rd"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "MIIabc"),
    ],
)
def test_secrets_are_known_by_their_looks(text: str, hidden: str) -> None:
    shown = redact(text)
    assert hidden not in shown
    assert MASK in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'OPENAI_API_KEY'",
        "Environment variable not found: DATABASE_URL",
        "OPENAI_API_KEY is not set",
        "voiceops_livekit_api_secret: expected the project's API credentials, got nothing",
        "unable to list agent secrets: failed to do request",
        "unable to list agent secrets: agent not found",
        "Foreign key constraint failed on the field: `userId`",
        "invalid authorization token: signature is invalid",
        "could not find the key: missing",
        "GET http://127.0.0.1:3003/api/internal/sessions?at=22:39 500",
        "wss://my-project.livekit.cloud",
        "ssh -t ssh://pi@pi-hub.local:2222 sudo systemctl start proto-trainer-next",
        "ngrok-error-code: ERR_NGROK_3200",
        "keyboard=us",
        "2026-02-06T22:39:00Z CA_abc123def456",
    ],
)
def test_what_a_reader_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_given_values_are_masked_in_every_form_they_take() -> None:
    secret = 'p@ss "w/rd'
    text = 'plain p@ss "w/rd; url p%40ss%20%22w%2Frd; json p@ss \\"w/rd'
    assert redact(text, [secret]) == f"plain {MASK}; url {MASK}; json {MASK}"


def test_values_too_short_or_no_text_are_no_secrets() -> None:
    assert redact("an abc of it", ["", "abc", None, 7]) == "an abc of it"


def test_a_longer_secret_is_not_left_half_by_a_shorter_one() -> None:
    assert redact("service-key-2", ["service-key", "service-key-2"]) == MASK


@pytest.mark.parametrize("before", [0, 1, 5, 17])
def test_the_cut_leaves_no_half_of_a_secret(before: int) -> None:
    given = "correct horse battery staple"
    for secret, secrets in ((given, [given]), ("OPENAI_API_KEY=abcdefghijklmnop", [])):
        text = "x " * (LIMIT // 2 - before) + secret + " y" * LIMIT
        shown = redact(text, secrets)
        assert len(shown) <= LIMIT + 1
        assert "corr" not in shown
        assert "abcd" not in shown


def test_the_cut_of_a_line_without_spaces_leaves_no_half_of_a_secret() -> None:
    assert "sk-" not in redact(";" * (LIMIT - 8) + "sk-abcdefghijklmnop" + ";" * LIMIT)


@pytest.mark.parametrize("piece", ["a", "key", "a-", "://", "eyJ", "\x1b]", '"', "postgres://", "password", "k=", " "])
def test_long_lines_cost_little(piece: str) -> None:
    assert len(redact(piece * (10_000_000 // len(piece)))) < 40 * LIMIT


def test_control_characters_go() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07a\x00\x9bb\tc\r\nd\re\x1b") == "red ab\tc\nd\ne"


def test_clip_says_that_it_cut() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"


def test_anything_may_be_passed() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert redact(None) == "None"
    assert redact(b"\xff").startswith("b'")
    assert redact_data({"a": loop})["a"]


def test_data_is_redacted_deep() -> None:
    data = {
        "LIVEKIT_API_SECRET": "abc",
        "headers": {"Authorization": "x", "Accept": "*/*"},
        "names": ["OPENAI_API_KEY", "the geheim value"],
        "secrets": {"names": ["A"]},
        "key_accepted": True,
        "callback_key": None,
        "primaryKey": "id7",
        "wrong_key_status": 401,
        "geheim": ("geheim", 1.5),
    }
    assert redact_data(data, ["geheim"]) == {
        "LIVEKIT_API_SECRET": MASK,
        "headers": {"Authorization": MASK, "Accept": "*/*"},
        "names": ["OPENAI_API_KEY", f"the {MASK} value"],
        "secrets": {"names": ["A"]},
        "key_accepted": True,
        "callback_key": None,
        "primaryKey": MASK,
        "wrong_key_status": 401,
        MASK: [MASK, 1.5],
    }


@pytest.mark.parametrize("kept", [4, 5, 11])
def test_the_beginning_of_a_secret_that_was_cut_elsewhere_is_masked(kept: int) -> None:
    cut = clip("the line says hidden-value at its end", len("the line says ") + kept + 1)
    shown = redact(f"{cut} (1 more)", ["hidden-value"])
    assert shown == redact(shown, ["hidden-value"]) == f"the line says {MASK}… (1 more)"


@pytest.mark.parametrize("text", ["hidd", "hid…", "hidden values are …", "…"])
def test_no_more_than_that_is_masked(text: str) -> None:
    assert redact(text, ["hidden-value"]) == text


@pytest.mark.parametrize(
    ("environment", "text", "shown"),
    [
        ({"P": "http://brad:pa55%2Fword@proxy:3128"}, "brad pa55/word pa55%2Fword", f"brad {MASK} {MASK}"),
        ({"P": "http://brad:pa:ss@proxy"}, "says pa:ss", f"says {MASK}"),
        ({"P": "http://a-token@proxy:3128"}, "via //a-token@proxy, a-token", f"via {MASK}proxy, a-token"),
        ({"P": "http://proxy:3128/?a=b@c"}, "proxy 3128 b@c", "proxy 3128 b@c"),
        ({"P": "http://brad:@proxy"}, "brad: there", "brad: there"),
        ({"API_TOKEN": "opaque-4711"}, "an opaque-4711 one", f"an {MASK} one"),
        ({"USE_KEY": "true", "PASSWORD": ""}, "that is true", "that is true"),
        ({"FLAG": 1, "LANG": "C", "HOST": "pi-hub.local"}, "1 C pi-hub.local", "1 C pi-hub.local"),
    ],
)
def test_what_is_secret_in_an_environment(environment: dict[str, Any], text: str, shown: str) -> None:
    secrets = known({"env": {"no_log": True}, "other": {}}, {"env": environment, "other": "there"})
    assert redact(text, secrets) == shown
