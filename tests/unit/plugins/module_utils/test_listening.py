# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a sound."""

from __future__ import annotations

import array

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.listening import is_loud


@pytest.mark.parametrize(
    ("samples", "loud"),
    [([], False), ([0] * 480, False), ([40, -40] * 240, False), ([8000, -8000] * 240, True), ([-32768] * 480, True)],
    ids=["nothing", "silence", "comfort noise", "speech", "the loudest"],
)
def test_sound_is_told_from_silence(samples: list[int], loud: bool) -> None:
    assert is_loud(array.array("h", samples).tobytes()) is loud
