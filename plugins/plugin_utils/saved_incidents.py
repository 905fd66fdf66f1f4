# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds and reads the incident that a variable names, or says what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import incident as incidents
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import latest

RECORD = "incident.json"
NEWEST = 5
ERRORS = 3


class SavedIncidentError(ValueError):
    """A saved incident cannot be used; the text names the variable and what was expected."""


def read(variable: str, given: str, artifacts: Path) -> dict[str, Any]:
    """Return the record of the incident that C(variable) names by its id, its path or C(latest), checked.

    Ids are those of the folder C(artifacts). Raises SavedIncidentError.
    """
    path = _find(given, artifacts)
    if path is None:
        raise SavedIncidentError(
            f"{variable}: expected an incident's id, the path of its {RECORD}, or {incidents.LATEST}; "
            f"there is no {given!r}. {_there(artifacts)}"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SavedIncidentError(f"{variable}: {path} cannot be read ({exc.strerror or exc}).") from exc
    except (ValueError, RecursionError) as exc:
        raise SavedIncidentError(f"{variable}: expected JSON in {path}, got: {exc}.") from exc
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != incidents.SCHEMA_NAME:
        raise SavedIncidentError(
            f"{variable}: expected an incident record of the schema {incidents.SCHEMA_NAME} in {path}, "
            f"got {f'one of {schema!r}' if schema else 'none'}."
        )
    if errors := incidents.validate(record):
        told = [*errors[:ERRORS], *([f"{len(errors) - ERRORS} more errors."] if len(errors) > ERRORS else [])]
        raise SavedIncidentError(f"{variable}: {path} is no valid incident record. {' '.join(told)}")
    return dict(record)


def _find(given: str, artifacts: Path) -> Path | None:
    """Return the record's file. An id comes before a path of the same name; a path may also be the folder's."""
    if given == incidents.LATEST:
        places = [artifacts / latest(artifacts) / RECORD]
    else:
        path = Path(os.path.expanduser(os.path.expandvars(given)))
        ids = [artifacts / given / RECORD] if given == os.path.basename(given) else []
        places = [*ids, path / RECORD, path]
    return next((place for place in places if given and os.path.isfile(place)), None)


def _there(artifacts: Path) -> str:
    try:
        names = sorted(name for name in os.listdir(artifacts) if os.path.isfile(artifacts / name / RECORD))
    except OSError as exc:
        return f"{artifacts} cannot be listed ({exc.strerror or exc})."
    newest = [name for name in reversed(names) if name != incidents.LATEST][:NEWEST]
    return f"The newest in {artifacts}: {', '.join(newest)}." if newest else f"{artifacts} has no incidents."
