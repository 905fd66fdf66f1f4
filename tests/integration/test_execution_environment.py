# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an execution environment for the collection must hold, as it is written down and as ansible-builder reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]

COLLECTION = PROJECT / "ansible_collections/voiceops/livekit"
NEEDED = set(tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])
CORE = {requirement for requirement in NEEDED if requirement.startswith("ansible-core")}
# name [platform:…], as bindep has it.
SYSTEM = re.compile(r"[a-z0-9.+-]+( \[[a-z0-9: -]+\])?")
BUILDER = shutil.which("ansible-builder")


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("definition", ["meta/execution-environment.yml", "execution-environment.yml"])
def test_both_definitions_name_what_the_collection_needs(definition: str) -> None:
    # Paths are relative to the collection's root, which both files are read from.
    environment = load(PROJECT / definition)
    assert environment["version"] == 3
    dependencies = environment["dependencies"]
    assert set(lines(COLLECTION / dependencies["python"])) == NEEDED - CORE
    assert all(SYSTEM.fullmatch(line) for line in lines(COLLECTION / dependencies["system"]))


def test_the_image_has_the_core_and_the_runner_that_the_project_needs() -> None:
    dependencies = load(PROJECT / "execution-environment.yml")["dependencies"]
    assert {dependencies["ansible_core"]["package_pip"]} == CORE
    assert dependencies["ansible_runner"]["package_pip"] in NEEDED


def test_lk_can_be_taken_in_by_removing_the_comment_signs() -> None:
    text = (PROJECT / "execution-environment.yml").read_text(encoding="utf-8")
    option = [line.removeprefix("# ") for line in text[text.index("# additional_build_files") :].splitlines()]
    environment = yaml.safe_load("\n".join([text, *option]))
    assert environment["additional_build_files"] == [{"src": "lk", "dest": "bin"}]
    assert environment["additional_build_steps"] == {"append_final": ["COPY _build/bin/lk /usr/local/bin/lk"]}


@pytest.mark.skipif(BUILDER is None, reason="left out: what ansible-builder reads, since it is not installed")
def test_ansible_builder_lists_it() -> None:
    told = subprocess.run(
        [str(BUILDER), "introspect", "--sanitize", "."],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    listed = yaml.safe_load(told)
    # What ansible-core brings by itself, it leaves out.
    assert {line.partition("  #")[0] for line in listed["python"]} >= NEEDED - CORE - {"PyYAML>=6"}
    assert any(line.startswith("openssh-client") for line in listed["system"])
