# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.action.evidence_facts import clock_offset


@pytest.mark.parametrize("true_offset", [-420.0, 0.0, 180.25, 2400.0])
@pytest.mark.parametrize(("there", "back"), [(0.1, 0.1), (0.9, 0.1), (0.0, 2.0)])
def test_the_true_offset_lies_within_the_uncertainty(true_offset, there, back):
    sent = 1_770_000_000.0
    host_began = sent + there + true_offset
    host_ended = host_began + 0.5
    received = host_ended - true_offset + back

    clock = clock_offset(sent, host_began, host_ended, received)

    assert abs(clock["offset_ms"] - true_offset * 1000) <= clock["uncertainty_ms"] + 1
    assert clock["uncertainty_ms"] == pytest.approx((there + back) * 500, abs=1)
