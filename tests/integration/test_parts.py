# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine lacks of a real part's needs is named, and then the part is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts import LeftOutError, Part


def part(*needs: str) -> Part:
    return Part("some", "nothing runs against some", needs, lambda: b"recipe", lambda folder: None)


def test_programs_and_files_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    header = tmp_path / "some.h"
    wanted = part("sh", "no-such-program", str(header))

    assert wanted.lacks() == ["no-such-program", str(header)]
    with pytest.raises(LeftOutError, match=r"nothing runs against some \(install no-such-program, .*some\.h; "):
        wanted.made()

    header.touch()
    assert part("sh", str(header)).lacks() == []
    assert part("sh", str(header)).made().parent == tmp_path / "cache" / "voiceops.livekit"
