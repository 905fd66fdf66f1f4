# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.action.evidence_facts import Sample, clock_bounds, read_time
from ansible_collections.voiceops.livekit.plugins.modules import evidence_facts

SENT = 1_770_000_000.0


def sample(true_offset: float, there: float, back: float, resolution: float = 0.0, sent: float = SENT) -> Sample:
    """An exchange that took C(there) seconds to the host and C(back) from it."""
    shown = sent + there + true_offset
    shown -= shown % resolution if resolution else 0.0
    return Sample(sent, shown, shown + resolution, sent + there + back)


@pytest.mark.parametrize("true_offset", [-420.0, 0.0, 180.25, 2400.0])
@pytest.mark.parametrize(("there", "back"), [(0.1, 0.1), (0.9, 0.1), (0.0, 2.0)])
@pytest.mark.parametrize("resolution", [0.0, 1.0])
def test_the_true_offset_lies_within_the_uncertainty(true_offset, there, back, resolution):
    clock = clock_bounds([sample(true_offset, there, back, resolution)])

    assert abs(clock["offset_ms"] - true_offset * 1000) <= clock["uncertainty_ms"] + 0.2
    assert clock["uncertainty_ms"] == pytest.approx((there + back + resolution) * 500, abs=0.2)


def test_several_samples_bound_the_offset_more_sharply_than_any_of_them():
    slow_there, slow_back = sample(7.0, 0.4, 0.01), sample(7.0, 0.01, 0.4, sent=SENT + 1)

    clock = clock_bounds([slow_there, slow_back])

    assert clock["offset_ms"] == pytest.approx(7000, abs=11)
    assert clock["uncertainty_ms"] == pytest.approx(10, abs=0.2)


def test_a_clock_that_was_set_between_two_samples_is_as_unsure_as_that():
    clock = clock_bounds([sample(0.0, 0.1, 0.1), sample(60.0, 0.1, 0.1, sent=SENT + 1)])

    assert clock["offset_ms"] - clock["uncertainty_ms"] <= 0
    assert clock["offset_ms"] + clock["uncertainty_ms"] >= 60_000


def test_without_a_sample_nothing_is_known():
    assert clock_bounds([]) == {}


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("1770000000.250000000\n", (1770000000.25, 1770000000.25)),
        ("1770000000.N\n", (1770000000.0, 1770000001.0)),
        ("1770000000.%N", (1770000000.0, 1770000001.0)),
        ("Fri Feb  6 22:39:00 UTC 2026", None),
        ("", None),
        ("sh: date: not found", None),
    ],
)
def test_what_date_prints(text, times):
    assert read_time(text) == times


def test_every_secret_is_some_layers_and_no_layer_gets_anothers():
    secret = {name for name, spec in evidence_facts.ARGUMENT_SPEC.items() if spec.get("no_log")}
    assert {name for names in evidence_facts.SECRETS.values() for name in names} == secret
    assert evidence_facts.SECRETS.keys() <= set(evidence_facts.LAYERS)

    given = dict.fromkeys(evidence_facts.ARGUMENT_SPEC, "given")
    for layer in evidence_facts.LAYERS:
        kept = evidence_facts.needed(given, [layer]).keys()
        assert kept & secret == set(evidence_facts.SECRETS.get(layer, ()))
        assert kept - secret == given.keys() - secret
    assert evidence_facts.needed(given, ["callback", "client"]).keys() & secret >= {"callback_key", "client_token"}
