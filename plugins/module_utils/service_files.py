# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's files tell: the environment that it starts with, and which LiveKit its frontend was built for.

Environment files hold secrets. Of a variable, only whether it is set leaves this module; only the values of L(SHOWN)
are looked at. Files are those of systemd.exec(5) and of Next.js, which reads C(.env*) from its working folder and lets
variables that are set already win.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

SIGNALS = {
    "env_missing": "list[str]|None: required names that neither the unit nor an environment file sets; None if no name "
    "is required, or one may be set in a file that this user may not read",
    "env_changed_at": "str|None: when an environment file was last written, RFC 3339, the controller's clock",
    "env_changed": "str|None: before_start, if that was within 10 minutes before the service's last start, or "
    "after_start; else None, since a copy may keep a file's old time",
    "frontend_built_at": "str|None: when Next.js built what is served, RFC 3339, the controller's clock",
    "frontend_hosts": "list[str]|None: hosts of the WebSocket URLs in the frontend that was built; None if not all of "
    "it was read",
    "frontend_host_set": "str|None: host of NEXT_PUBLIC_LIVEKIT_URL as the service's environment sets it now",
    "frontend_url_newer": "bool|None: the file that sets it was written after the build; None if no file does",
}

FRONTEND_URL = "NEXT_PUBLIC_LIVEKIT_URL"
# The variables whose values matter; of any other one only whether it has a value.
SHOWN = ("PORT", FRONTEND_URL)
# In the order in which Next.js lets a later one win, in production.
_NEXT_FILES = (".env", ".env.production", ".env.local", ".env.production.local")
_LONGEST_FILE = 256 * 1024
# Who overwrites the environment restarts the service soon.
_SOON_S = 600.0
_BUILD_ID, _SCRIPTS = ".next/BUILD_ID", ".next/static/chunks"
_MOST_BYTES = 16 * 1024 * 1024
_MOST_HOSTS = 20
# A host that ends otherwise may be a name that somebody logs in by.
_SOCKET_HOST = re.compile(rb"\bwss?://([A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::\d{1,5})?(?![\w.:@-])")
_VARIABLE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_ENVIRONMENT_FILE = re.compile(r"(/.*?)(?: \(ignore_errors=(?:yes|no)\))?")


class Source(NamedTuple):
    """A place where variables are set. C(values) is None if it may not be read; one that does not exist has none."""

    values: Mapping[str, str] | None
    """Name to value, or to C(set) if the value does not matter; a variable that is empty is left out."""
    changed_at: float | None
    """When the file was last written, seconds since 1970 on this host's clock; None if there is no file."""


def sources(unit: Mapping[str, str]) -> Iterator[Source]:
    """Yield what sets the service's environment, a later one winning, from its unit's properties."""
    folder = working_folder(unit)
    if folder is None:
        yield Source(None, None)
    else:
        for name in _NEXT_FILES:
            yield read_source(folder / name)
    yield from of_systemd(unit)


def of_systemd(unit: Mapping[str, str]) -> Iterator[Source]:
    """Yield what systemd itself sets: C(Environment=), then the C(EnvironmentFile=)s, a later one winning."""
    try:
        words = shlex.split(unit.get("Environment", ""))
    except ValueError:
        words = []
    yield Source(_variables(words), None)
    for line in unit.get("EnvironmentFiles", "").splitlines():
        match = _ENVIRONMENT_FILE.fullmatch(line.strip())
        if match:
            yield read_source(Path(match[1]))


def merged(all_of_them: Iterator[Source]) -> dict[str, str]:
    """Return the variables that win; what was set before a source that may not be read is not known to win."""
    known: dict[str, str] = {}
    for source in all_of_them:
        known = {} if source.values is None else {**known, **source.values}
    return known


def environment_signals(
    unit: Mapping[str, str], required: Iterable[str], started: float | None, offset: float
) -> dict[str, Any]:
    """Return the signals of the environment.

    C(started) is when the service last became active, seconds since 1970 on this host's clock, and C(offset) that clock
    minus the controller's, in seconds.
    """
    found = list(sources(unit))
    set_names = {name for source in found for name in source.values or ()}
    missing = [name for name in required if name not in set_names]
    known = all(source.values is not None for source in found) or not missing
    times = [source.changed_at for source in found if source.changed_at is not None]
    newest = max(times) if times else None
    return {
        "env_missing": missing if known and required else None,
        "env_changed_at": None if newest is None else rfc3339(newest - offset),
        "env_changed": None if newest is None or started is None else _when_changed(newest, started),
    }


def _when_changed(changed_at: float, started: float) -> str | None:
    if changed_at > started:
        return "after_start"
    return "before_start" if started - changed_at <= _SOON_S else None


def working_folder(unit: Mapping[str, str]) -> Path | None:
    """Return the unit's WorkingDirectory; None if it has none, or one that only systemd can tell."""
    text = unit.get("WorkingDirectory", "").lstrip("!-")
    return Path(text) if text.startswith("/") else None


def read_source(path: Path) -> Source:
    """Read a file of variables, at most its first 256 KiB."""
    try:
        # A pipe, as password managers make them, would wait for its other end.
        if not path.is_file():
            return Source(None if path.exists() else {}, None)
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE).decode("utf-8", "replace")
        return Source(_variables(text.splitlines()), path.stat().st_mtime)
    except (OSError, ValueError):
        return Source(None, None)


def _variables(lines: list[str]) -> dict[str, str]:
    found = {}
    for match in map(_VARIABLE.fullmatch, lines):
        if match and match[2].strip("\"'"):
            found[match[1]] = match[2].strip("\"'") if match[1] in SHOWN else "set"
    return found


def frontend_signals(unit: Mapping[str, str], offset: float, deadline: float) -> dict[str, Any]:
    """Return the signals of the frontend by C(deadline), an absolute C(time.monotonic()).

    Next.js writes the values of C(NEXT_PUBLIC_) variables into the scripts when it builds: a later change needs another
    build. C(offset) is this host's clock minus the controller's, in seconds.
    """
    signals: dict[str, Any] = {name: None for name in SIGNALS if name.startswith("frontend_")}
    folder = working_folder(unit)
    built_at = None if folder is None else _written_at(folder / _BUILD_ID)
    if folder is None or built_at is None:
        return signals
    url, set_at = _setting(FRONTEND_URL, sources(unit))
    signals["frontend_built_at"] = rfc3339(built_at - offset)
    signals["frontend_hosts"] = built_hosts(folder / _SCRIPTS, deadline)
    signals["frontend_host_set"] = _host(url)
    signals["frontend_url_newer"] = None if set_at is None else set_at > built_at
    return signals


def _setting(name: str, all_of_them: Iterable[Source]) -> tuple[str | None, float | None]:
    """Return the value that wins, and when its file was written; a file that may not be read might have another one."""
    value, set_at = None, None
    for source in all_of_them:
        if source.values is None:
            value, set_at = None, None
        elif name in source.values:
            value, set_at = source.values[name], source.changed_at
    return value, set_at


def built_hosts(scripts: Path, deadline: float) -> list[str] | None:
    """List the hosts of the WebSocket URLs in the scripts of a folder; None unless all of them could be read."""
    found: dict[str, None] = {}
    left = _MOST_BYTES
    try:
        for path in _files(scripts):
            with open(path, "rb") as file:
                content = file.read(left + 1)
            left -= len(content)
            if left < 0 or time.monotonic() >= deadline:
                return None
            found.update(dict.fromkeys(match.decode().lower().rstrip(".") for match in _SOCKET_HOST.findall(content)))
    except OSError:
        return None
    found.pop("localhost", None)
    return sorted(found) if len(found) <= _MOST_HOSTS else None


def _files(folder: Path) -> Iterator[str]:
    def give_up(error: OSError) -> None:
        raise error

    for parent, _folders, names in os.walk(folder, onerror=give_up):
        yield from (os.path.join(parent, name) for name in names if name.endswith(".js"))


def _written_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None
