# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets, control characters and excess length out of text before anyone else sees it.

Two ways to know a secret: its value, if the caller was given it, and its looks. Looks are judged generously: a masked
word too many costs a reader a moment, a missed one costs a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "[redacted]"
LIMIT = 64 * 1024
# Given values shorter than this would blot out ordinary text, and protect nothing.
SHORTEST_SECRET = 4
# The value of a name that only looks like a secret's is one from this length on: a shorter one may be a word.
SHORTEST_VALUE = 8
DEEPEST = 50
# No pattern below needs to see more than this to know a secret for one.
LONGEST_TOKEN = 4096

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles, links
    r"|\x1b[@-Z\\^_=>]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)

_USERINFO = re.compile(r"[a-z][a-z0-9+.-]{1,20}://([^\s/?#]{1,512})@", re.I)
_WORDS = r"password|passwd|passphrase|pwd|secret|credential"
_VALUE = r"""(?:\[redacted\](?!\w)|\\?"[^"\\\n]*\\?"|'[^'\n]*'|[^\s"'\\]+)"""
# What lk says of secrets and credentials as a whole, and we of a variable, is a sentence about them, and holds none.
_SENTENCE = r"(?:(?:secrets|credentials): (?:check|invalid|not|no|unable|failed|agent)|voiceops_\w+: expected)(?=\s|$)"
_SEPARATOR = r"""\\?["']?\s*(?:=>|[=:])\s*"""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"), MASK),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), MASK),
    # Data source names first, and up to the last @: their passwords often hold unescaped slashes.
    (
        re.compile(r"""\b((?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|redis|amqp)s?://)[^\s"']{1,512}@""", re.I),
        rf"\1{MASK}@",
    ),
    # But a user's name alone is no secret where people are told whom to log in as.
    (
        re.compile(
            r"""(?<![a-z0-9+.-])(?!ssh://[\w.-]{1,64}@)([a-z][a-z0-9+.-]{1,20}://)[^\s/"'<>@]{1,512}@""",
            re.I | re.ASCII,
        ),
        rf"\1{MASK}@",
    ),
    (
        re.compile(
            rf"""\b((?:proxy-)?authorization{_SEPARATOR}["']?)(?:(?:bearer|basic|digest|token)\s+)?[^\s"'\\]+""", re.I
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.I), rf"\1 {MASK}"),
    # INTERNAL_SERVICE_KEY=…, X-Api-Key: …, "apiKey": "…", password: …
    (
        re.compile(
            rf"(?<![\w.-])(?!{_SENTENCE})((?:[\w.-]*(?:{_WORDS}|[_.-](?:key|token)|apikey)|[\w.-]*[a-z](?-i:Key|Token))s?{_SEPARATOR})"
            rf"{_VALUE}",
            re.I,
        ),
        rf"\1{MASK}",
    ),
    # A bare "key" or "token" is also an everyday word: only with "=", or before something that looks like one.
    (re.compile(rf"(?<![\w.-])((?:key|token)s?=){_VALUE}", re.I), rf"\1{MASK}"),
    (
        re.compile(rf"(?<![\w.-])((?:key|token)s?{_SEPARATOR}[\"']?)(?=[\w./+=-]*\d)[\w./+=-]{{16,}}", re.I),
        rf"\1{MASK}",
    ),
)
# What all that these patterns match holds a part of: most texts hold none, and are done with at once.
_HINT = re.compile(r"[=:]|eyJ|sk-|-----BEGIN|bearer|basic", re.I)
_SENSITIVE_NAME = re.compile(rf"(?:{_WORDS}|(?:^|[_.-])(?:key|token)|apikey|[a-z](?-i:Key|Token))s?$", re.I)


def clip(text: str, limit: int) -> str:
    """Return at most C(limit) characters of C(text), ending in C(…) if some were left out."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def clean(text: str) -> str:
    """Take out ANSI escape sequences and control characters; line breaks become C(\\n), tabs stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _forms(secrets: Iterable[object]) -> list[str]:
    """List what to look for, longest first: each value as it is, as in a URL, and as in JSON."""
    values = {secret for secret in secrets if isinstance(secret, str) and len(secret) >= SHORTEST_SECRET}
    forms = {form for value in values for form in (value, quote(value, safe=""), json.dumps(value)[1:-1])}
    return sorted(forms, key=lambda form: (-len(form), form))


def _head(text: str, forms: list[str]) -> str:
    """Return the first L(LIMIT) characters, or fewer, so that the cut leaves no half of a secret behind."""
    if len(text) <= LIMIT:
        return text
    cut = LIMIT
    for form in forms:
        start = text.find(form, max(0, LIMIT - len(form) + 1), LIMIT + len(form) - 1)
        if start != -1:
            cut = min(cut, start)
    spaces = [text.rfind(space, cut - LONGEST_TOKEN, cut) for space in " \n\t"]
    return text[: max(*spaces, cut - LONGEST_TOKEN)] + "…"


def _without_halves(text: str, forms: list[str]) -> str:
    """Mask the beginnings of secrets that L(clip) left, where they were not known."""
    if "…" in text:
        for form in forms:
            for length in range(len(form) - 1, SHORTEST_SECRET - 1, -1):
                text = text.replace(f"{form[:length]}…", f"{MASK}…")
    return text


def redact(text: object, secrets: Iterable[object] = ()) -> str:
    """Return C(text) fit to be shown: secrets masked, control characters gone, at most about L(LIMIT) characters.

    C(secrets) are values known to be secret; what is no string, or too short to be a secret, is ignored.
    Anything may be passed, and nothing is raised. A text that was redacted before comes back unchanged.
    """
    forms = _forms(secrets)
    shown = clean(_head(text if isinstance(text, str) else str(text), forms))
    for form in forms:
        shown = shown.replace(form, MASK)
    shown = _without_halves(shown, forms)
    if _HINT.search(shown):
        for pattern, replacement in _PATTERNS:
            shown = pattern.sub(replacement, shown)
    return shown


def known(spec: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> list[str]:
    """List the secrets among a module's parameters: those that its argument spec marks C(no_log).

    Of a dict, which is an environment, only what L(of_environment) finds.
    """
    values = [params.get(name) for name, each in spec.items() if each.get("no_log")]
    inner = [secret for value in values if isinstance(value, dict) for secret in of_environment(value)]
    return [value for value in values if isinstance(value, str) and value] + inner


def of_environment(environment: Mapping[str, Any]) -> list[str]:
    """List what is secret in an environment: what stands before the host in a URL, and values of names such as API_KEY.

    Anything else may be ordinary text, such as a 1 or a host's name, which must not be masked wherever it stands.
    """
    found = []
    for name, value in environment.items():
        text = str(value)
        for userinfo in _USERINFO.findall(text):
            password = userinfo.partition(":")[2]
            # A user's name alone is too ordinary a word.
            found += [f"//{userinfo}@", password, unquote(password)]
        if _is_sensitive(name) and len(text) >= SHORTEST_VALUE:
            found.append(text)
    return [secret for secret in found if len(secret) >= SHORTEST_SECRET]


def redact_data(value: Any, secrets: Iterable[object] = ()) -> Any:
    """Redact every string in nested dicts and lists, keys included; other values stay as they are.

    A string under a name such as C(api_secret) or C(Authorization) is masked whatever it looks like.
    """
    return _redact_data(value, list(secrets), 0)


def _redact_data(value: Any, secrets: list[object], depth: int) -> Any:
    if depth > DEEPEST:
        return MASK
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {
            redact(name, secrets) if isinstance(name, str) else name: MASK
            if isinstance(item, str) and item and _is_sensitive(name)
            else _redact_data(item, secrets, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_redact_data(item, secrets, depth + 1) for item in value]
    return value


def _is_sensitive(name: object) -> bool:
    return isinstance(name, str) and (
        name.lower() in ("authorization", "proxy-authorization") or bool(_SENSITIVE_NAME.search(name))
    )
