# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what LiveKit's command line program C(lk) prints, versions 2.5 to 2.18. No reader raises on any text."""

from __future__ import annotations

import json
import re
from typing import Any

Version = tuple[int, int, int]
# How lk itself reads the project's subdomain from its URL, in every version.
_SUBDOMAIN = re.compile(r"^(?:https?|wss?)://([^.]+)\.")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?")
_MOMENT = re.compile(r"^(\d{4})(-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z$")
_NEVER_YEARS = ("0001", "1970")


def parse_version(text: str) -> Version | None:
    """Read C(lk version 2.13.2); None if there is no version in it."""
    match = re.search(r"\b(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def subdomain(url: str) -> str | None:
    """Return the first label of a project's URL, as lk reads it; None if there is none."""
    match = _SUBDOMAIN.match(url or "")
    return match[1] if match else None


def plain(text: str) -> str:
    """Take out escape sequences, and of each line what a carriage return overwrote."""
    lines = _ESCAPES.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def parse_table(text: str) -> list[dict[str, str]] | None:
    """Read the first table in C(text) into rows by header name; None if there is no table.

    Rows with another number of cells than the header are left out: nothing could be said of them.
    """
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.split("\n") if line.startswith("│")]
    if not lines:
        return None
    header, *rows = lines
    return [dict(zip(header, row)) for row in rows if len(row) == len(header)]


def parse_json(text: str) -> dict[str, Any] | None:
    """Read the JSON object that begins at the first line starting with a brace; None if there is none."""
    start = re.search(r"^\{", text, re.M)
    if not start:
        return None
    try:
        value, _end = json.JSONDecoder().raw_decode(text, start.start())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def moment(cell: object) -> str | None:
    """Read a time as RFC 3339 in UTC with whole seconds; None for lk's and Go's ways to write "never"."""
    match = _MOMENT.match(cell) if isinstance(cell, str) else None
    return f"{match[1]}{match[2]}Z" if match and match[1] not in _NEVER_YEARS else None


def parse_toml(text: str) -> dict[str, str]:
    """Read C(subdomain) and C(agent_id) from a livekit.toml, those that are there; all else in it is passed over."""
    names = {
        "project.subdomain": "subdomain",
        "project_subdomain": "subdomain",
        "agent.id": "agent_id",
        "cloud.id": "agent_id",
    }
    found: dict[str, str] = {}
    table = ""
    for line in text.split("\n"):
        heading = re.match(r"\s*\[\s*([\w.-]+)\s*\]\s*(?:#.*)?$", line)
        if heading:
            table = heading[1] + "."
        pair = re.match(r"""\s*(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""", line)
        if pair and table + pair[1] in names:
            found.setdefault(names[table + pair[1]], pair[2] or pair[3] or "")
    return found
