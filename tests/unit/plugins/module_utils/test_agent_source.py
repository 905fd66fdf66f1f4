# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the source in the agent's folder before it is deployed."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.agent_source import MOST_CHANGES, source_of


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *named, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def told(folder: Path, deployed: str | None = None) -> dict[str, Any]:
    return source_of(str(folder), deployed, time.monotonic() + 30)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one file, as it was committed."""
    (tmp_path / "agent.py").write_text("pass\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "agent.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_a_source_as_it_was_committed(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert told(repository, head[:12]) == {
        "commit": head,
        "deployed_commit": head[:12],
        "same": True,
        "dirty": False,
        "changes": [],
    }
    assert told(repository, "f" * 40)["same"] is False
    assert told(repository)["same"] is None


def test_what_differs_is_named_whether_it_is_changed_new_or_renamed(repository: Path) -> None:
    (repository / "new file.py").write_text("")
    (repository / "second.py").write_text("x = 1\n" * 9)
    git(repository, "add", "second.py")
    git(repository, "commit", "--quiet", "--message", "second")
    git(repository, "mv", "second.py", "third.py")
    (repository / "agent.py").write_text("raise\n")
    assert told(repository)["changes"] == ["agent.py", "third.py", "new file.py"]


def test_what_lk_does_not_upload_does_not_count(repository: Path) -> None:
    (repository / ".env.local").write_text("A=1\n")
    (repository / "livekit.toml").write_text("")
    (repository / "node_modules").mkdir()
    (repository / "node_modules" / "x.js").write_text("")
    assert (told(repository)["dirty"], told(repository)["changes"]) == (False, [])


def test_a_long_list_of_changes_is_cut(repository: Path) -> None:
    for number in range(MOST_CHANGES + 5):
        (repository / f"{number}.py").write_text("")
    assert (
        list(told(repository)["changes"]) == sorted(f"{number}.py" for number in range(MOST_CHANGES + 5))[:MOST_CHANGES]
    )


def test_changes_beside_the_agents_folder_are_not_its_own(repository: Path) -> None:
    folder = repository / "agent"
    folder.mkdir()
    (folder / "main.py").write_text("")
    git(repository, "add", "agent")
    git(repository, "commit", "--quiet", "--message", "second")
    (repository / "agent.py").write_text("raise\n")
    assert told(folder)["dirty"] is False


def test_a_folder_that_the_repository_around_it_ignores_is_in_none(repository: Path) -> None:
    (repository / ".gitignore").write_text("agent/\n")
    (repository / "agent").mkdir()
    assert (told(repository / "agent")["commit"], told(repository / "agent")["dirty"]) == (None, None)


def test_without_a_repository_or_git_it_is_not_known(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    assert (told(elsewhere)["commit"], told(elsewhere)["dirty"]) == (None, None)
    monkeypatch.setenv("PATH", str(elsewhere))
    assert told(repository)["dirty"] is None
