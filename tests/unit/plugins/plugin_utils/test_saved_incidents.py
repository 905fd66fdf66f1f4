# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident is found by id, path or latest, and what cannot be used is refused with the variable's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils.incident import assemble, write
from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import find_incident
from ansible_collections.voiceops.livekit.plugins.plugin_utils.saved_incidents import SavedIncidentError, read

FIXTURE = Path(__file__).parents[2] / "fixtures" / "incidents" / "dormant.yml"
VARIABLE = "voiceops_incident"


def save(folder: Path, suffix: str) -> str:
    incident = assemble(**{**yaml.safe_load(FIXTURE.read_text(encoding="utf-8")), "suffix": suffix})
    write(incident, str(folder), {})
    return str(incident["incident_id"])


def refused(given: str, folder: Path) -> str:
    with pytest.raises(SavedIncidentError) as caught:
        read(VARIABLE, given, folder)
    assert str(caught.value).startswith(f"{VARIABLE}: ")
    return str(caught.value)


def test_it_is_found_by_its_id_its_file_its_folder_and_as_latest(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    art = tmp_path / "my incidents"
    name, newer = save(art, "0001"), save(art, "0002")
    assert read(VARIABLE, name, art)["incident_id"] == name
    for given in (f"~/my incidents/{name}/incident.json", f"$HOME/my incidents/{name}", str(art / name)):
        assert read(VARIABLE, given, Path("/nowhere"))["incident_id"] == name
    assert read(VARIABLE, "latest", art)["incident_id"] == newer
    (art / "latest").unlink()
    (art / "latest").write_text(f"{name}\n", encoding="utf-8")  # where links are impossible
    assert read(VARIABLE, "latest", art)["incident_id"] == name
    found = find_incident(art, "latest")
    assert found is not None
    assert found["incident_id"] == name
    (art / "latest").write_text(f"../my incidents/{name}\n", encoding="utf-8")
    assert find_incident(art, "latest") is None


def test_an_id_comes_before_a_path_of_the_same_name(tmp_path, monkeypatch):
    name = save(tmp_path / "art", "0001")
    other = tmp_path / "here" / name
    other.mkdir(parents=True)
    (other / "incident.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    assert read(VARIABLE, name, tmp_path / "art")["incident_id"] == name


@pytest.mark.parametrize("given", ["gone", "", "latest", "/nowhere/incident.json", "a\0b", "x" * 5000, "../art"])
def test_where_there_is_none_the_newest_that_there_are_are_named(tmp_path, given):
    names = [save(tmp_path / "art", f"{number:04x}") for number in range(7)]
    (tmp_path / "art" / "latest").unlink()
    said = refused(given, tmp_path / "art")
    assert "expected an incident's id, the path of its incident.json, or latest; there is no " in said
    assert said.endswith(f"The newest in {tmp_path / 'art'}: {', '.join(names[:1:-1])}.")


def test_where_there_are_none_at_all_it_says_so(tmp_path):
    assert refused("latest", tmp_path).endswith(f"{tmp_path} has no incidents.")
    assert refused("latest", tmp_path / "gone").endswith("cannot be listed (No such file or directory).")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "expected JSON in"),
        (b"{", "expected JSON in"),
        (b"\xff\xfe", "expected JSON in"),
        (b"[" * 100_000, "expected JSON in"),
        (b"[1]", "expected an incident record of the schema voiceops.incident/1 in"),
        (b"{}", "got none."),
        (b'{"schema": "voiceops.incident/2"}', "got one of 'voiceops.incident/2'."),
        (b'{"schema": ["voiceops.incident/1"]}', "got one of ['voiceops.incident/1']."),
        (b'{"schema": "voiceops.incident/1"}', "is no valid incident record. the record: 'incident_id' is a required"),
    ],
    ids=["empty", "cut off", "not UTF-8", "too deep", "a list", "no schema", "another version", "odd", "incomplete"],
)
def test_what_is_no_incident_is_refused_with_the_files_name(tmp_path, content, sentence):
    file = tmp_path / "incident.json"
    file.write_bytes(content)
    said = refused(str(file), tmp_path)
    assert sentence in said
    assert str(file) in said


def test_of_a_damaged_record_the_first_errors_are_told(tmp_path):
    name = save(tmp_path, "0001")
    file = tmp_path / name / "incident.json"
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    record["verdict"]["state"] = "broken"
    file.write_text(json.dumps(record), encoding="utf-8")
    assert "verdict.state: 'broken' is not one of ['fault', 'healthy', 'inconclusive']." in refused(name, tmp_path)
    record["attempt"] = record["clocks"] = record["notes"] = 1
    file.write_text(json.dumps(record), encoding="utf-8")
    assert refused(name, tmp_path).endswith("1 more errors.")
