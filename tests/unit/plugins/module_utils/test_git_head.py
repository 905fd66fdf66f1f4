# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit that is checked out, as git's own files tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.git_head import commit_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text(COMMIT + "\n")
    (tmp_path / "agent folder").mkdir()
    return tmp_path


def test_of_a_branch_also_from_a_folder_inside(repository: Path) -> None:
    assert commit_of(str(repository)) == COMMIT
    assert commit_of(str(repository / "agent folder")) == COMMIT


def test_of_a_detached_head(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text(COMMIT.replace("0", "f"))
    assert commit_of(str(repository)) == COMMIT.replace("0", "f")


def test_of_packed_references(repository: Path) -> None:
    (repository / ".git" / "refs" / "heads" / "main").unlink()
    packed = f"# pack-refs with: peeled\n{'f' * 40} refs/heads/main2\n{COMMIT} refs/heads/main\n"
    (repository / ".git" / "packed-refs").write_text(packed)
    assert commit_of(str(repository)) == COMMIT


def test_of_a_worktree(repository: Path, tmp_path: Path) -> None:
    own = repository / ".git" / "worktrees" / "other"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/main\n")
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "other"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {own}\n")
    assert commit_of(str(tree)) == COMMIT


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref:", "nonsense", "0123"])
def test_what_is_not_known(repository: Path, head: str) -> None:
    (repository / ".git" / "HEAD").write_text(head)
    assert commit_of(str(repository)) is None


def test_of_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("")
    assert commit_of(str(tmp_path)) is None
