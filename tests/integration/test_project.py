# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the project as a whole: its files agree on versions and dependencies, and name no machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
# In parts, so that this file may be searched like any other.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("galaxy", "ansible", "com"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|work)/")


def tracked() -> list[Path]:
    """The files that git knows, or would on the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [PROJECT / name for name in listed.split("\0") if name and (PROJECT / name).is_file()]


def requirements(name: str) -> set[str]:
    """The requirements in a file, following those that it includes."""
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    own = {line for line in lines if line and not line.startswith(("#", "-r"))}
    return own.union(*(requirements(line.removeprefix("-r ")) for line in lines if line.startswith("-r ")))


def test_every_list_of_dependencies_is_the_same() -> None:
    assert requirements("requirements.txt") == set(PYPROJECT["project"]["dependencies"])


def test_the_lowest_ansible_core_is_the_same_everywhere() -> None:
    runtime = yaml.safe_load((PROJECT / "meta/runtime.yml").read_text(encoding="utf-8"))
    (lowest,) = (r for r in PYPROJECT["project"]["dependencies"] if r.startswith("ansible-core"))
    assert runtime["requires_ansible"] == f"{lowest.removeprefix('ansible-core')}.0"


def test_the_version_is_the_same_everywhere() -> None:
    galaxy = yaml.safe_load((PROJECT / "galaxy.yml").read_text(encoding="utf-8"))
    changelog = yaml.safe_load((PROJECT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))
    assert galaxy["version"] == PYPROJECT["project"]["version"]
    assert galaxy["version"] in changelog["releases"]


def test_every_plugin_was_added_in_the_release_whose_changelog_names_it() -> None:
    releases = yaml.safe_load((PROJECT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    added = {each["name"]: version for version, release in releases.items() for each in release.get("modules", [])}
    said = {
        path: re.search(r"^version_added: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
        for kind in ("modules", "filter", "lookup")
        for path in (PROJECT / "plugins" / kind).glob("*.py")
    }
    named = {path: added.get(path.stem) if path.parent.name == "modules" else None for path in said}
    assert {path: version for path, version in said.items() if named[path] and named[path] != version} == {}
    assert [path for path, version in said.items() if not named[path] and version in releases] == []


# Before bash 4.4, as on macOS, an empty array counts as unset.
EMPTY_ARRAY = re.compile(r'(?<!\+)"\$\{\w+\[@\]\}"')


def test_the_demo_runs_by_the_bash_of_macos() -> None:
    assert EMPTY_ARRAY.findall((PROJECT / "tests" / "demo").read_text(encoding="utf-8")) == []


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path}: {host}" for host in REGISTRIES if host in text]
        found += [f"{path}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert not found
