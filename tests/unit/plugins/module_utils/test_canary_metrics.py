# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics are what promtool takes, and say what the run found."""

from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import canary, canary_metrics
from ansible_collections.voiceops.livekit.plugins.module_utils.canary_metrics import Family, exposition

from ...canary_world import HOUR, MIDNIGHT, STANDARD, asked, probed
from ...exposition import lint, parse, value

NOW = MIDNIGHT
AGENT = "proj.livekit.cloud/automatic"


def text_after(*runs: canary.Outcome, agent: str = AGENT) -> str:
    return exposition(canary_metrics.families(agent, runs[-1].state, runs[-1].entry))


def run(records: dict, state: canary.State | None = None, now: float = NOW) -> canary.Outcome:
    return canary.advance(state or canary.new_state(), canary.see(records, STANDARD), STANDARD, now)


def test_they_are_valid_and_follow_the_conventions() -> None:
    found = parse(text_after(run({**asked(tunnel="faulty"), "dispatch": probed(NOW, True, 18.3)})))
    assert lint(found) == []
    assert all(name.startswith("voiceops_canary_") for name in found)
    assert all(dict(labels)["agent"] == AGENT for metric in found.values() for labels in metric.samples)


def test_they_say_what_the_run_found() -> None:
    found = parse(text_after(run({**asked(asleep=True, tunnel="faulty"), "dispatch": probed(NOW, True, 18.3)})))
    prefix = "voiceops_canary"
    assert value(found, f"{prefix}_last_run_timestamp_seconds") == NOW
    states = {state: value(found, f"{prefix}_state", state=state) for state in canary.RUN_STATES}
    assert states == {"healthy": 0, "fault": 1, "inconclusive": 0}
    assert value(found, f"{prefix}_layer_state", layer="tunnel", state="faulty") == 1
    assert value(found, f"{prefix}_layer_state", layer="agent", state="faulty") == 0
    assert value(found, f"{prefix}_last_join_duration_seconds", start="cold") == 18.3
    assert value(found, f"{prefix}_last_test_success") == 1
    assert value(found, f"{prefix}_outage_start_timestamp_seconds") == NOW
    assert value(found, f"{prefix}_probes_total", outcome="joined") == 1
    assert value(found, f"{prefix}_agent_seconds_total") == 60
    assert value(found, f"{prefix}_incident_open") == 0


def test_what_is_not_known_has_no_sample() -> None:
    found = parse(text_after(run(asked(sessions=None, without=("tunnel",)))))
    missing = ("sessions", "last_test_success", "last_join_duration_seconds", "outage_start_timestamp_seconds")
    assert [name for name in missing if f"voiceops_canary_{name}" in found] == []
    assert value(found, "voiceops_canary_layer_state", layer="tunnel", state="healthy") is None


def test_a_probe_that_was_killed_says_nothing_of_success() -> None:
    state = canary.begun(run({**asked(), "dispatch": probed(NOW, True)}).state, NOW + HOUR)
    found = parse(text_after(run(asked(), state, NOW + 2 * HOUR)))
    assert value(found, "voiceops_canary_last_test_success") is None
    assert value(found, "voiceops_canary_last_join_timestamp_seconds") == NOW


@pytest.mark.parametrize("agent", ['a"b', "back\\slash", "two\nlines", "é ☃", '\\"\n', "a{b}=,c"])
def test_whatever_an_agent_is_called_is_read_back_as_it_was(agent: str) -> None:
    found = parse(text_after(run(asked()), agent=agent))
    assert {dict(labels)["agent"] for metric in found.values() for labels in metric.samples} == {agent}
    assert "/" not in canary_metrics.file_name(agent)
    assert canary_metrics.file_name(agent).endswith(".prom")


def test_a_help_with_a_line_break_stays_on_its_line() -> None:
    found = parse(exposition([Family("a_total", "counter", "one\ntwo \\ three", [({}, 1)])]))
    assert found["a_total"] == ("counter", "one\ntwo \\ three", {frozenset(): 1.0})


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name of letters"):
        exposition([Family(name, "gauge", "x", [({}, 1)])])
    with pytest.raises(ValueError, match="expected a name of letters"):
        exposition([Family("a", "gauge", "x", [({name: "y"}, 1)])])


@pytest.mark.parametrize(
    "text",
    [
        "a 1\n",
        "# HELP a x\n# TYPE a gauge\na 1",
        "# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a x\n# TYPE a gauge\na 1 1700000000\n",
        "# HELP a x\n# TYPE a gauge\na NaN\n",
        '# HELP a x\n# TYPE a gauge\na{b="c"d="e"} 1\n',
        '# HELP a x\n# TYPE a gauge\na{b="\\x"} 1\n',
        "# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n",
        "# HELP a x\n# TYPE a odd\na 1\n",
    ],
)
def test_the_reader_of_these_tests_refuses_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)
