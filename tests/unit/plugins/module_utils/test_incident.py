# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is valid, complete, for its owner alone, and never lost."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.voiceops.livekit.plugins.module_utils import incident as incidents
from ansible_collections.voiceops.livekit.plugins.module_utils.incident import (
    assemble,
    incident_id,
    keep,
    schema,
    validate,
    write,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "incidents"
NAMES = ("dormant", "pi_unreachable", "healthy", "hostile")


def findings(name: str = "dormant", **changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load((FIXTURES / f"{name}.yml").read_text(encoding="utf-8")), **changes}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_valid_and_survives_json(name: str) -> None:
    incident = assemble(**findings(name))
    assert validate(incident) == []
    assert json.loads(json.dumps(incident)) == incident
    assert tuple(incident["evidence"]) == LAYERS


def test_without_jsonschema_the_record_is_made_unchecked_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = assemble(**findings(suffix="aaaa"))
    monkeypatch.setattr(incidents, "HAS_JSONSCHEMA", False)
    unchecked = assemble(**findings(suffix="aaaa"))
    (told,) = unchecked.pop("problems")
    assert "lacks jsonschema: install it with pip" in told
    assert (checked.pop("problems"), unchecked) == ([], checked)


def test_the_schema_is_one() -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema",), "voiceops.incident/2", "schema: 'voiceops.incident/1' was expected"),
        (("verdict", "state"), "broken", "verdict.state: 'broken' is not one of"),
        (("verdict", "mood"), "good", "verdict: Additional properties are not allowed ('mood' was unexpected)"),
        (("surprise",), 1, "the record: Additional properties are not allowed ('surprise' was unexpected)"),
        (("attempt", "at"), "22:39", "attempt.at: '22:39' does not match"),
        (("timeline", 0, "self"), "no", "timeline.0.self: 'no' is not of type 'boolean'"),
        (("evidence", "agent", "layer"), "client", "evidence.agent.layer: 'agent' was expected"),
        (("clocks", "mac", "uncertainty_ms"), -1, "clocks.mac.uncertainty_ms: -1 is less than the minimum of 0"),
        (("incident_id",), "../../etc", "incident_id: '../../etc' does not match"),
    ],
)
def test_what_breaks_the_contract_is_told_in_a_sentence(path: tuple[Any, ...], value: Any, said: str) -> None:
    incident = assemble(**findings())
    target = incident
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    (error,) = validate(incident)
    assert error.startswith(said)


def test_an_error_stays_short_whatever_it_quotes() -> None:
    assert max(map(len, validate({**assemble(**findings()), "started_at": "x" * 100_000}))) < 300


def test_a_missing_layer_and_a_broken_one_become_unknown_and_cost_no_other() -> None:
    given = findings()
    del given["evidence"]["dispatch"]
    given["evidence"]["agent"] = {"layer": "agent", "state": "confused"}
    incident = assemble(**given)
    assert validate(incident) == []
    assert incident["evidence"]["dispatch"]["summary"] == "this layer was not asked"
    assert incident["evidence"]["agent"]["state"] == "unknown"
    assert "layer agent was not valid" in incident["problems"][0]
    assert incident["evidence"]["service"]["signals"] == given["evidence"]["service"]["signals"]


def test_an_invalid_event_is_left_out_and_told_while_the_others_stay_in_order() -> None:
    given = findings()
    given["timeline"] = [*reversed(given["timeline"]), {"at": None, "what": "broken"}]
    incident = assemble(**given)
    assert validate(incident) == []
    assert [entry["at"] for entry in incident["timeline"]] == sorted(entry["at"] for entry in findings()["timeline"])
    assert len([text for text in incident["problems"] if "event of the time line" in text]) == 1


def test_an_invalid_clock_is_left_out_and_told_and_costs_not_the_record() -> None:
    clock = {"offset_ms": 1.0, "uncertainty_ms": 2.0}
    masked = {"offset_ms": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "uncertainty_ms": 2.0}

    incident = assemble(**findings(clocks={"mac": clock, "pi-hub": masked}))

    assert validate(incident) == []
    assert incident["clocks"] == {"mac": clock}
    assert any("The clock of pi-hub was not valid" in problem for problem in incident["problems"])


def test_what_json_does_not_know_is_kept_as_well_as_it_can_be() -> None:
    given = findings()
    given["evidence"]["client"]["signals"].update(nan=math.nan, path=Path("/x"), pair=(1, 2), **{"7": None})
    signals = assemble(**given)["evidence"]["client"]["signals"]
    assert (signals["nan"], signals["path"], signals["pair"], signals["7"]) == (None, "/x", [1, 2], None)


def test_sentences_are_told_once_and_only_if_they_say_something() -> None:
    assert assemble(**findings(notes=["a", " ", "", "a", "b"]))["notes"] == ["a", "b"]


def test_a_scaled_deadline_is_told() -> None:
    assert assemble(**findings("healthy"))["notes"] == ["The dispatch probe's deadline was 9 s, 0.1 of the standard."]
    assert assemble(**findings("dormant"))["notes"] == []


def test_ids_sort_by_time_and_are_safe_as_file_names() -> None:
    early = incident_id("2026-02-06T22:48:12.480Z", "cloud_agent_dormant_no_wake", "3f2a")
    late = incident_id("2026-02-06T22:48:13Z", "../../a/B\n" + "x" * 200, "0000")
    assert early == "20260206T224812Z-cloud-agent-dormant-no-wake-3f2a"
    assert early < late
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[a-z0-9-]{1,60}-[0-9a-f]{4}", late)


def test_runs_of_the_same_second_get_ids_of_their_own() -> None:
    given = findings()
    del given["suffix"]
    assert len({assemble(**copy.deepcopy(given))["incident_id"] for _run in range(8)}) > 1


def test_it_is_written_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    incident = assemble(**findings())
    before = os.umask(0)
    try:
        path, problems = write(incident, str(tmp_path / "a" / "b"), {"incident.md": lambda _incident: "hello"})
    finally:
        os.umask(before)
    folder = Path(path)
    assert problems == []
    assert json.loads((folder / "incident.json").read_text(encoding="utf-8")) == incident
    assert (folder / "incident.md").read_text(encoding="utf-8") == "hello"
    assert [mode(tmp_path / "a" / "b"), mode(folder)] == [0o700, 0o700]
    assert {entry.name: mode(entry) for entry in folder.iterdir()} == {"incident.json": 0o600, "incident.md": 0o600}


def test_latest_follows_the_newest(tmp_path: Path) -> None:
    for suffix in ("0001", "0002"):
        incident = assemble(**findings(suffix=suffix))
        path, _problems = write(incident, str(tmp_path), {})
        assert (tmp_path / "latest").resolve() == Path(path)
        assert not Path(os.readlink(tmp_path / "latest")).is_absolute()
    assert sorted(entry.name[-4:] for entry in tmp_path.iterdir()) == ["0001", "0002", "test"]


def test_where_links_are_impossible_latest_is_a_file_with_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    for suffix in ("0001", "0002"):
        path, problems = write(assemble(**findings(suffix=suffix)), str(tmp_path), {})
        assert problems == []
    assert (tmp_path / "latest").read_text(encoding="utf-8").strip() == Path(path).name


def test_a_latest_that_is_in_the_way_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    path, problems = write(assemble(**findings()), str(tmp_path), {})
    assert (Path(path) / "incident.json").is_file()
    assert len(problems) == 1
    assert "latest could not be pointed" in problems[0]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [Path(path).name, "latest"]


def test_a_report_that_cannot_be_rendered_costs_only_itself(tmp_path: Path) -> None:
    def broken(_incident: dict[str, Any]) -> str:
        raise KeyError("colour")

    path, problems = write(
        assemble(**findings()), str(tmp_path), {"incident.md": broken, "incident.html": lambda _incident: "fine"}
    )
    assert sorted(entry.name for entry in Path(path).iterdir()) == ["incident.html", "incident.json"]
    assert problems == ["incident.md could not be written (KeyError: 'colour'); incident.json is complete."]
    assert (tmp_path / "latest").exists()


def test_broken_utf8_in_the_evidence_can_be_written(tmp_path: Path) -> None:
    given = findings()
    given["evidence"]["agent"]["summary"] = b"caf\xe9".decode("utf-8", errors="surrogateescape")
    path, _problems = write(assemble(**given), str(tmp_path), {"incident.md": lambda incident: incident["notes"]})
    read = json.loads((Path(path) / "incident.json").read_text(encoding="utf-8"))
    assert read["evidence"]["agent"]["summary"] == "caf\udce9"


def test_a_folder_that_cannot_be_written_to_is_named_and_the_record_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    in_the_way = tmp_path / "file"
    in_the_way.write_text("", encoding="utf-8")
    incident = assemble(**findings())
    path, problems, error = keep(incident, str(in_the_way), {})
    assert problems == []
    assert error is not None
    assert error.startswith(f"voiceops_artifacts: expected a folder that can be written to, got {in_the_way} (")
    assert path in error
    assert json.loads((Path(path) / "incident.json").read_text(encoding="utf-8")) == incident


def test_a_folder_that_can_be_written_to_needs_no_other(tmp_path: Path) -> None:
    path, problems, error = keep(assemble(**findings()), str(tmp_path), {})
    assert (Path(path).parent, problems, error) == (tmp_path, [], None)
