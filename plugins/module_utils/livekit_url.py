# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URL of a LiveKit project, as people write it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ansible_collections.voiceops.livekit.plugins.module_utils.redact import clip, redact

_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def http_url(url: object, variable: str = "voiceops_livekit_url") -> str:
    """Return the HTTP form of a project's URL (ws becomes http, wss https).

    Raises ValueError that names C(variable), and shows no password.
    """
    expected = f"{variable}: expected a URL such as wss://my-project.livekit.cloud"
    url = url.strip() if isinstance(url, str) else ""
    if not url:
        raise ValueError(f"{expected}, got nothing")
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(f"{expected}, got {clip(redact(url), 100)!r}") from None
    if "@" in parts.netloc:
        raise ValueError(f"{expected}, without a user name and password")
    if not well_formed or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"{expected}, got {clip(redact(url), 100)!r}")
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, parts.path.rstrip("/"), "", ""))
