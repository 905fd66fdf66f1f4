# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets given to C(lk): as options, in a file of C(KEY=VALUE) lines, as files to mount."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from lab.lk_cli.options import Values
from lab.lk_cli.output import SKIPS_PROMPTS_SINCE, LkError, Output, ask
from lab.lk_cli.project import skip_prompts

HIDDEN = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "LIVEKIT_URL")
"""LiveKit injects these by itself: they are never listed and never sent."""

REFUSES_EMPTY_SINCE = (2, 12, 9)
IGNORES_EMPTY_SINCE = (2, 13, 2)
_FILES = (".env.production", ".env", ".env.staging", ".env.development", ".env.local", ".env.test")
_MAX_FILE = 1024 * 1024
_LINE = re.compile(
    r"""^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:][ \t]*"""
    r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\n]*?))[ \t]*(?:\s#.*)?$""",
    re.MULTILINE,
)
_STRAY = re.compile(r"[\w.\s]*([^\w.\s=:])")
_VARIABLE = re.compile(r"\$\{?([A-Z0-9_]+)\}?")


def dotenv(text: str) -> dict[str, str]:
    """Read C(KEY=VALUE) lines as godotenv does; variables stand for earlier lines, not for the environment."""
    found: dict[str, str] = {}
    for name, literal, quoted, bare in _LINE.findall(text):
        value = quoted.replace("\\n", "\n").replace('\\"', '"') if quoted else bare
        found[name] = literal or _VARIABLE.sub(lambda match: found.get(match[1], ""), value)
    return found


def given_secrets(values: Values, required: bool, out: Output) -> list[dict[str, Any]]:
    """Give the secrets to be sent, as protocol messages; raises C(LkError) for C(required) ones that are missing."""
    secrets = dict(_mounted(Path(path)) for path in values.get("secret-mount", ()))
    for pair in values.get("secrets", ()):
        # godotenv takes a text without a sign between the two for the value of a secret without a name.
        pairs = dotenv(pair) or {"": pair}
        if stray := _STRAY.match(pair):
            raise LkError(
                f"failed to parse secrets: invalid key-value pair: {pair}: "
                f'unexpected character "{stray[1]}" in variable name near "{pair}"'
            )
        secrets.update({name: _secret(name, value.encode()) for name, value in pairs.items()})
    if "secrets-file" in values or (required and not secrets):
        for name, value in _from_file(values, out).items():
            secrets.setdefault(name, _secret(name, value.encode()))
    sent = [secret for name, secret in secrets.items() if name not in HIDDEN]
    if required and not sent:
        hidden = "no valid secrets provided, LIVEKIT_ secrets are ignored and injected automatically to your agent"
        raise LkError(hidden if secrets else "no secrets provided")
    return sent


def _from_file(values: Values, out: Output) -> dict[str, str]:
    name = values.get("secrets-file") or _detected(values, out)
    if not name:
        return {}
    try:
        found = dotenv(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise LkError(f"open {name}: {(error.strerror or '').lower()}") from error
    if out.new or not values.get("silent"):
        out.status(f"Using secrets file [{name}]")
    empty = [key for key, value in found.items() if not value]
    if out.version < REFUSES_EMPTY_SINCE:
        return found
    if empty and not values.get("ignore-empty-secrets"):
        hint = ", or use --ignore-empty-secrets to skip empty values" if out.version >= IGNORES_EMPTY_SINCE else ""
        raise LkError(
            f"failed to parse secrets file: secret {empty[0]} is empty, either remove it or provide a value{hint}"
        )
    if empty and (out.new or not values.get("silent")):
        out.status(f"Skipped {len(empty)} empty secret(s): {', '.join(empty)}")
    return {key: value for key, value in found.items() if value}


def _detected(values: Values, out: Output) -> str:
    """Choose among the usual files in the working directory."""
    extant = [name for name in _FILES if Path(name).exists()]
    if not extant:
        return ""
    if out.version < SKIPS_PROMPTS_SINCE or not skip_prompts(values):
        ask("Select secrets file")
    elif len(extant) > 1:
        raise LkError("multiple env files found; set --secrets-file in non-interactive mode")
    return extant[0]


def _mounted(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LkError(f"failed to get secret file: stat {path}: {(error.strerror or '').lower()}") from error
    if len(content) > _MAX_FILE:
        raise LkError(f"secret file size is too large (must be under 1 MB): {path}")
    return path.name, _secret(path.name, content, "FILE")


def _secret(name: str, value: bytes, kind: str = "ENVIRONMENT") -> dict[str, Any]:
    return {"name": name, "value": base64.b64encode(value).decode(), "kind": f"AGENT_SECRET_KIND_{kind}"}
