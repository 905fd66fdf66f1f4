# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident record: assembled from a run's findings, checked against its schema, written without ever losing data.

For the controller only. The shape is roles/report/files/incident.schema.json; where jsonschema is missing, the record
is written unchecked, and says so.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

try:
    import jsonschema

    HAS_JSONSCHEMA = True
except ImportError:  # beside an ansible-core that was installed alone
    HAS_JSONSCHEMA = False

from ansible_collections.voiceops.livekit.plugins.module_utils import whole_file
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

SCHEMA_NAME = "voiceops.incident/1"
SCHEMA_FILE = Path(__file__).parents[2] / "roles" / "report" / "files" / "incident.schema.json"
LATEST = "latest"
RECORD = "incident.json"

Incident = dict[str, Any]
Renderer = Callable[[Incident], str]

_ATTEMPT_KEYS = ("at", "source", "since", "until", "precision_s")
_MAX_MESSAGE = 200
_UNCHECKED = (
    "The record was not checked against its schema, since the Python that runs Ansible lacks jsonschema: "
    "install it with pip, as the collection's requirements.txt names it."
)


def incident_id(started_at: str, verdict_id: str, suffix: str) -> str:
    """Name an incident, such as 20260206T224812Z-cloud-agent-dormant-no-wake-3f2a: sorts by time, safe as a file name.

    C(started_at) is RFC 3339 UTC; C(suffix), four hexadecimal digits, keeps runs of the same second apart.
    """
    compact = re.sub(r"[-:]", "", started_at)[:15]
    slug = re.sub(r"[^a-z0-9]+", "-", verdict_id.lower()).strip("-")[:60]
    return f"{compact}Z-{slug or 'unnamed'}-{suffix}"


def assemble(
    *,
    started_at: str,
    finished_at: str,
    attempt: Mapping[str, Any],
    verdict: Mapping[str, Any],
    causes: Iterable[Mapping[str, Any]],
    evidence: Mapping[str, Any],
    timeline: Iterable[Mapping[str, Any]] = (),
    clocks: Mapping[str, Any] | None = None,
    problems: Iterable[str] = (),
    red_herrings: Iterable[str] = (),
    conflicts: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    notes: Iterable[str] = (),
    suffix: str | None = None,
) -> Incident:
    """Put a run's findings together as an incident record of plain JSON data.

    A layer without a record, or with one that breaks the schema, becomes an unknown record, and an event or a clock
    that breaks it is left out; C(problems) then says so. A broken collector never costs the other layers. C(suffix) is
    random by default. Times are RFC 3339 UTC.
    """
    rules = schema()
    records, record_problems = _checked_records(evidence, rules)
    entries, entry_problems = _checked_timeline(timeline, rules)
    unchecked = [] if HAS_JSONSCHEMA else [_UNCHECKED]
    known_clocks, clock_problems = _checked_clocks(clocks or {}, rules)
    return {
        "schema": SCHEMA_NAME,
        "incident_id": incident_id(started_at, str(verdict.get("id", "")), suffix or secrets.token_hex(2)),
        "started_at": started_at,
        "finished_at": finished_at,
        "attempt": {key: _plain(attempt[key]) for key in _ATTEMPT_KEYS if attempt.get(key) is not None},
        "verdict": _plain(verdict),
        "causes": _plain(list(causes)),
        "evidence": records,
        "timeline": entries,
        "clocks": known_clocks,
        "remediation": None,
        "problems": _sentences([*problems, *record_problems, *entry_problems, *clock_problems, *unchecked]),
        "red_herrings": _sentences(red_herrings),
        "conflicts": _sentences(conflicts),
        "settings": _plain(settings or {}),
        "notes": _sentences([*notes, *_scaled(records["dispatch"]["signals"])]),
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of an incident record."""
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


def validate(incident: object) -> list[str]:
    """Check a record against the schema and return what is wrong with it, one sentence each; empty if it is valid."""
    return _errors(incident, schema())


def write(incident: Incident, artifacts: str, renderers: Mapping[str, Renderer]) -> tuple[str, list[str]]:
    """Write the record and its reports to a new folder C(artifacts)/C(incident_id), and point C(latest) to it.

    incident.json comes first, so a report that cannot be rendered costs only that report. Returns the folder's path
    and what went wrong on the way, one sentence each. Raises OSError if the record itself cannot be written.
    Folders made here are for their owner alone (0700), and so are the files (0600).
    """
    root = Path(artifacts)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / incident["incident_id"]
    folder.mkdir(mode=0o700)
    whole_file.write(folder / RECORD, json.dumps(incident, indent=2, ensure_ascii=False) + "\n")
    problems = _render(folder, incident, renderers)
    try:
        _point(root / LATEST, folder.name)
    except OSError as exc:
        problems.append(f"{root / LATEST} could not be pointed to this incident: {exc.strerror or exc}.")
    return str(folder), problems


def keep(incident: Incident, artifacts: str, renderers: Mapping[str, Renderer]) -> tuple[str, list[str], str | None]:
    """Write as C(write) does, into a temporary folder if C(artifacts) cannot be written.

    Returns the folder's path, what went wrong on the way, and, if it is not the folder that was asked for, the
    sentence that names the variable to mend. Raises OSError if there is no place at all to write to.
    """
    try:
        return (*write(incident, artifacts, renderers), None)
    except OSError as exc:
        reason = exc.strerror or str(exc)
    path, problems = write(incident, tempfile.mkdtemp(prefix="voiceops-"), renderers)
    error = f"voiceops_artifacts: expected a folder that can be written to, got {artifacts} ({reason}). Kept in {path}."
    return path, problems, error


def update(
    folder: str, remediation: Mapping[str, Any], renderers: Mapping[str, Renderer]
) -> tuple[Incident, list[str]]:
    """Put a remediation into the record in C(folder), in one step, and render the reports that are given anew.

    Returns the record and what went wrong with the reports, one sentence each. Raises OSError if the record cannot be
    read or written, and ValueError if it would not be valid.
    """
    place = Path(folder)
    incident: Incident = {**read(folder), "remediation": _plain(remediation)}
    errors = validate(incident)
    if errors:
        raise ValueError(" ".join(errors))
    whole_file.write(place / RECORD, json.dumps(incident, indent=2, ensure_ascii=False) + "\n")
    return incident, _render(place, incident, renderers)


def read(folder: str) -> Incident:
    """Read the record in C(folder). Raises OSError or ValueError if there is none."""
    found: Incident = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
    return found


def _render(folder: Path, incident: Incident, renderers: Mapping[str, Renderer]) -> list[str]:
    problems = []
    for name, render in renderers.items():
        try:
            whole_file.write(folder / name, render(incident))
        except Exception as exc:  # whatever a report breaks on, the record is already safe
            problems.append(f"{name} could not be written ({type(exc).__name__}: {exc}); incident.json is complete.")
    return problems


def _scaled(signals: Mapping[str, Any]) -> list[str]:
    """Say so where the dispatch probe's deadline was not the standard one, since a short one convicts a slow agent."""
    deadline, scaled = signals.get("deadline_s"), signals.get("scaled")
    if not isinstance(deadline, (int, float)) or not isinstance(scaled, (int, float)):
        return []
    return [f"The dispatch probe's deadline was {deadline:g} s, {scaled:.2g} of the standard."]


def _checked_records(evidence: Mapping[str, Any], rules: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a valid record for every layer, and a problem for each that had to be replaced."""
    records, problems = {}, []
    for layer in LAYERS:
        record = _plain(evidence.get(layer))
        if record is None:
            records[layer] = unknown(layer, "this layer was not asked")
            continue
        errors = _errors(record, {**rules["properties"]["evidence"]["properties"][layer], "$defs": rules["$defs"]})
        if errors:
            problems.append(f"The record of the layer {layer} was not valid and is left out: {errors[0]}")
            record = unknown(layer, problems[-1])
        records[layer] = record
    return records, problems


def _checked_timeline(
    timeline: Iterable[Mapping[str, Any]], rules: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the valid events in the order of time, and a problem for each of the others."""
    rule = {**rules["properties"]["timeline"]["items"], "$defs": rules["$defs"]}
    entries = [_plain(entry) for entry in timeline]
    errors = {number: found for number, entry in enumerate(entries) if (found := _errors(entry, rule))}
    valid = [entry for number, entry in enumerate(entries) if number not in errors]
    problems = [f"An event of the time line was not valid and is left out: {found[0]}" for found in errors.values()]
    return sorted(valid, key=lambda entry: parse_time(entry["at"]) or 0.0), problems


def _checked_clocks(clocks: Mapping[str, Any], rules: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the valid clocks by host, and a problem for each of the others."""
    rule = {**rules["properties"]["clocks"]["additionalProperties"], "$defs": rules["$defs"]}
    known: dict[str, Any] = _plain(clocks)
    errors = {host: found for host, clock in known.items() if (found := _errors(clock, rule))}
    problems = [f"The clock of {host} was not valid and is left out: {found[0]}" for host, found in errors.items()]
    return {host: clock for host, clock in known.items() if host not in errors}, problems


def _errors(value: object, rules: Mapping[str, Any]) -> list[str]:
    if not HAS_JSONSCHEMA:
        return []
    found = jsonschema.Draft202012Validator(rules).iter_errors(value)
    return [_sentence(error) for error in sorted(found, key=lambda error: [str(step) for step in error.absolute_path])]


def _sentence(error: Any) -> str:
    where = ".".join(str(step) for step in error.absolute_path) or "the record"
    message = error.message if len(error.message) <= _MAX_MESSAGE else f"{error.message[: _MAX_MESSAGE - 1]}…"
    return f"{where}: {message}."


def _sentences(values: Iterable[object]) -> list[str]:
    """Return the values that say something, each once, in order."""
    return list(dict.fromkeys(text for text in (str(value).strip() for value in values) if text))


def _plain(value: Any) -> Any:
    """Copy data so that JSON keeps it: NaN becomes null, and what JSON does not know becomes its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value)


def _point(link: Path, target: str) -> None:
    """Make C(link) point to its neighbour C(target) in one step; a file with the name where links are impossible."""
    part = link.with_name(f".{link.name}.{target}")
    try:
        os.symlink(target, part)
    except (OSError, NotImplementedError):
        whole_file.write(part, f"{target}\n")
    try:
        os.replace(part, link)
    except OSError:
        part.unlink()
        raise
