# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be deployed from the agent's folder: the commit that is checked out, and what differs from it."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import git_head, process
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact

# lk leaves these out of what it uploads, in every version.
_NOT_UPLOADED = (":(exclude,glob)**/livekit.toml", ":(exclude,glob)**/.env*", ":(exclude,glob)**/node_modules/**")
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=normal", "--", ".", *_NOT_UPLOADED)
# The repository around a folder that it ignores is not the folder's.
_IGNORED = ("check-ignore", "--quiet", ".")
MOST_CHANGES = 10


def source_of(folder: str, deployed_commit: str | None, deadline: float) -> dict[str, Any]:
    """Return what is known of the source in C(folder); C(deadline) is an absolute C(time.monotonic()).

    C(commit) is checked out, C(deployed_commit) serves now, C(same) compares them; C(changes) are files that differ
    from the commit, at most ten, C(dirty) says whether there are any. What is not known is None.
    """
    commit = git_head.commit_of(folder)
    if commit and _git(folder, _IGNORED, deadline) is not None:
        commit = None
    status = _git(folder, _STATUS, deadline) if commit else None
    # After a rename comes the old name, as an entry of its own without a state.
    changes = None if status is None else [entry[3:] for entry in status.split("\0") if entry[2:3] == " "]
    return {
        "commit": commit,
        "deployed_commit": deployed_commit,
        "same": commit.startswith(deployed_commit) if commit and deployed_commit else None,
        "dirty": None if changes is None else bool(changes),
        "changes": [redact(name) for name in (changes or [])[:MOST_CHANGES]],
    }


def _git(folder: str, arguments: tuple[str, ...], deadline: float) -> str | None:
    """Return what git prints in C(folder); None if it is missing, fails, or does not answer."""
    argv = ["git", "--no-optional-locks", *arguments]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = process.run(argv, deadline=deadline, cwd=os.path.expanduser(folder), env=environment)
    except process.ProgramError:
        return None
    return done.stdout if done.returncode == 0 else None
