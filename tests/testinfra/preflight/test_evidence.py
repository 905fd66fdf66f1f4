# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's own evidence says of the hosts: each layer can be asked, and is well."""

from __future__ import annotations

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.lk_output import parse_version

from .conftest import Check, Record

STEP_MS = 5000
# The first and the last of the versions of lk that must not be used, and why.
BAD = (
    ((2, 5, 2), (2, 6, 2), "its update-secrets changes nothing, and does not say so, unless all are overwritten"),
    ((2, 12, 9), (2, 13, 0), "2.13.0, which calls itself 2.12.9, asks a question in the middle of a deploy, and hangs"),
)


def said(record: Record) -> str:
    """What a layer says of itself, with its limits."""
    return "; ".join(dict.fromkeys([record["summary"], *record["limits"]]))


@pytest.fixture
def service(evidence: dict[str, Record], check: Check) -> Record:
    """The record of the service's host, for what can only be known if that answers."""
    answers = evidence["service"]["signals"].get("host_reachable", True)
    check(answers, "not known, since the service's host does not answer")
    return evidence["service"]


def test_lk_is_there_and_logged_in(evidence: dict[str, Record], groups: dict[str, list[str]], check: Check) -> None:
    record = evidence["agent"]
    via = "lk" if groups.get("lk_control") else "LiveKit's agent API"
    check(record["state"] != "unknown", f"LiveKit cannot be asked about the agent by {via}: {said(record)}")


def test_lk_has_a_good_version(evidence: dict[str, Record], groups: dict[str, list[str]], check: Check) -> None:
    if not groups.get("lk_control"):
        pytest.skip("no host is in lk_control, so LiveKit is asked without lk")
    version = parse_version(evidence["agent"]["signals"].get("lk_version") or "")
    check(version, f"lk's version is not known: {said(evidence['agent'])}")
    for first, last, why in BAD:
        name = ".".join(map(str, version or ()))
        check(not first <= version <= last, f"lk {name} must not be used, since {why}: install 2.13.2 or newer")


def test_the_agents_secrets_are_present(evidence: dict[str, Record], check: Check) -> None:
    found = evidence["secrets"]["signals"]
    check(found.get("listed"), f"the agent's secrets cannot be listed: {said(evidence['secrets'])}")
    missing = found["missing"]
    check(
        not missing, f"the agent lacks {', '.join(missing)}: set each by lk agent update-secrets, without --overwrite"
    )
    check(found["all_present"], "set voiceops_required_secrets, so that a missing secret can be told")


def test_the_route_answers(evidence: dict[str, Record], check: Check) -> None:
    advice = "see that the tunnel runs, that it leads to the service's port, and voiceops_callback_url"
    check(evidence["tunnel"]["signals"].get("reachable"), f"{said(evidence['tunnel'])}: {advice}")


def test_the_key_works(evidence: dict[str, Record], check: Check) -> None:
    record = evidence["callback"]
    found = record["signals"]
    check(found.get("key_accepted") is not None, f"not known: {said(record)}")
    advice = "give the agent, the service and voiceops_callback_key the same key, and restart the service"
    check(found["key_accepted"], f"the API does not accept the key. {said(record)}: {advice}")
    check(found["wrong_key_rejected"], "the API takes any key: it must refuse a wrong one with 401 or 403")


def test_the_services_host_answers(evidence: dict[str, Record], check: Check) -> None:
    record = evidence["service"]
    check(record["signals"].get("host_reachable", True), f"{said(record)}: log in by ssh once, and check its key")


def test_the_unit_exists_and_runs(service: Record, check: Check) -> None:
    advice = "set voiceops_service_unit to the unit of the callback API, as systemctl list-units shows it"
    check(service["signals"].get("unit_found"), f"{said(service)}: {advice}")
    check(service["signals"]["active"], f"{service['summary']}: start it, and read journalctl for why it is down")


def test_the_journal_is_readable(service: Record, check: Check) -> None:
    advice = "on that host: sudo usermod --append --groups systemd-journal USER, then log in anew"
    check(service["signals"].get("journal_readable"), f"the journal cannot be read. {said(service)}: {advice}")


def test_the_clock_is_in_step(service: Record, check: Check) -> None:
    off, within = (service["signals"].get(f"clock_error_{name}") for name in ("ms", "uncertainty_ms"))
    check(off is not None, f"the clock of the service's host could not be read: {said(service)}")
    advice = "let the host follow a time server (timedatectl set-ntp true); LiveKit refuses tokens that are 60 s off"
    check(abs(off) - within <= STEP_MS, f"the clock of the service's host is off by {off / 1000:g} s: {advice}")
