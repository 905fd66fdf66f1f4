# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import (
    KEEP_PROBES_S,
    PROBES_FILE,
    add_probes,
    artifacts_dir,
    read_probes,
)

PROBE = {"since": "2026-02-06T22:48:00.000Z", "until": "2026-02-06T22:48:01.000Z", "what": "callback"}


@pytest.mark.parametrize(
    ("playbook_dir", "expected"),
    [
        ("runbooks/playbooks", "runbooks/artifacts"),
        ("runbooks", "runbooks/artifacts"),
        ("site/ansible_collections/voiceops/livekit/playbooks", "artifacts"),
    ],
)
def test_artifacts_lie_beside_the_project_of_the_playbook(tmp_path, monkeypatch, playbook_dir, expected):
    monkeypatch.chdir(tmp_path)
    assert artifacts_dir(None, str(tmp_path / playbook_dir)) == tmp_path / expected


def test_a_given_folder_is_taken_with_its_home_and_spaces(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert artifacts_dir("~/my incidents", "anywhere") == tmp_path / "my incidents"


def test_probes_are_kept_for_a_day(tmp_path):
    add_probes(tmp_path, [PROBE], 1000.0)
    add_probes(tmp_path, [{**PROBE, "what": "dispatch"}], 1000.0 + KEEP_PROBES_S)
    assert [probe["what"] for probe in read_probes(tmp_path, 1000.0 + KEEP_PROBES_S - 1)] == ["dispatch"]


@pytest.mark.parametrize("content", ["", "not json", '{"since": 1}', "[1, null]", "5", '[{"ended": "x"}]'])
def test_a_damaged_file_of_probes_means_that_none_are_known(tmp_path, content):
    (tmp_path / PROBES_FILE).write_text(content, encoding="utf-8")
    assert read_probes(tmp_path, 1000.0) == []
