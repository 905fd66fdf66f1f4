# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence and the probe against a real livekit-server, a real agent worker and a real participant."""

from __future__ import annotations

import contextlib
import json
import runpy
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import dispatch
from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import Api, LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.redispatch import redispatch

from .real_running import DEADLINE_S, EXAMPLE, FAR_S, FAULTY, KEY, REGISTERED, SECRET, WORKER, Real, Unit, until

Start = Callable[..., Unit]
SOURCE = Path(__file__).parents[2] / "extensions/eda/plugins/event_source/livekit_webhook.py"


@pytest.fixture(scope="module")
def example(real: Real) -> Iterator[Unit]:
    """The example of docs/examples as the agent 'voice'."""
    with real.worker("voice", EXAMPLE) as worker:
        worker.await_line(REGISTERED)
        yield worker


class Faulty:
    """The agent 'faulty', which fails as it is told."""

    def __init__(self, file: Path, worker: Unit) -> None:
        self._file, self.worker = file, worker

    def fail(self, how: str) -> None:
        self._file.write_text(how)


@pytest.fixture(scope="module")
def faulty(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    file = tmp_path_factory.mktemp("faulty") / "fault"
    file.write_text("")
    with real.worker("faulty", FAULTY, FAULT_FILE=str(file)) as worker:
        worker.await_line(REGISTERED)
        yield Faulty(file, worker)


@pytest.fixture(autouse=True)
def nobody_is_left(real: Real) -> Iterator[None]:
    """Close the rooms of a test and forget its jobs, so that they are no evidence in the next."""
    yield
    for host in real.hosts.values():
        host.forget_jobs()
    with Api(real.options()) as api:
        for room in api.rooms(time.monotonic() + FAR_S):
            with contextlib.suppress(LiveKitError):  # it may have ended by itself
                api.delete_room(room["name"], time.monotonic() + FAR_S)


def confirmed(judged: dict[str, Any]) -> list[str]:
    return [cause["id"] for cause in judged["causes"] if cause["state"] == "confirmed"]


def test_a_person_who_is_served_is_seen_with_the_microphone_and_the_agent(real: Real, example: Unit) -> None:
    with real.person("served", ["voice"]) as person:
        person.await_line("joined")
        until(lambda: real.client("voice")["signals"]["agent_session"] == "speaking", "the agent speaks")
        until(lambda: real.worker_says("voice").get("worker_load"), "the worker counts the session")
        judged = real.diagnosed("voice")
    client, agent = judged["evidence"]["client"]["signals"], judged["evidence"]["agent"]["signals"]
    assert (client["person_connected"], client["microphone_published"], client["microphone_muted"]) == (
        True,
        True,
        False,
    )
    assert (client["waiting"], client["served"], client["served_by_agent"]) == (0, 1, 1)
    assert (client["agent_state"], client["dispatch_names"]) == ("ACTIVE", ["voice"])
    assert (agent["worker_registered"], agent["worker_name"], agent["worker_said"]) == (True, "voice", ["job_received"])
    # It has one session, and its load is that session's.
    assert (agent["worker_type"], agent["worker_active_jobs"], agent["worker_load"]) == (
        "JT_ROOM",
        1,
        pytest.approx(0.1),
    )
    # The server has no worker for the other types of job, and says so on every join.
    assert (agent["server_not_dispatched"], agent["server_missing_names"]) == (0, [])
    assert not [each for each in confirmed(judged) if each.startswith(("worker_", "agent_name"))]


def test_the_example_calls_back_with_its_tags_for_a_person(real: Real, example: Unit) -> None:
    real.callbacks.taken.clear()
    with real.person("calls-back", ["voice"]):
        (_body, headers) = until(lambda: real.callbacks.taken, "a callback")[0]
    assert headers["User-Agent"] == "livekit-agent/voice"
    assert headers["X-Room"] == "calls-back"
    assert headers["X-Job-Id"].startswith("AJ_")
    assert headers["X-Internal-Service-Key"] == "key-of-the-callback"


def test_the_example_leaves_a_probe_at_once_without_calling_back(real: Real, example: Unit) -> None:
    real.callbacks.taken.clear()
    signals = dispatch.probe(real.options("voice", probe_id="probe-41"), 90, 90)["signals"]
    assert (signals["joined"], signals["level"], signals["left_again"]) == (True, "joined", True)
    assert (signals["heard"], signals["cleaned_up"]) == (None, True)
    (line,) = (json.loads(line) for line in example.lines if '"probe ok"' in line)
    assert line["probe_id"] == "probe-41"
    assert real.callbacks.taken == []


def test_a_probe_for_a_name_that_nobody_has_sees_that_no_worker_accepts(real: Real, example: Unit) -> None:
    record = dispatch.probe(real.options("nobody"), 7)
    signals = record["signals"]
    assert (signals["requested"], signals["accepted"], signals["joined"]) == (True, False, False)
    assert record["summary"] == "no agent joined within 7 s, no worker accepted the job"


@pytest.mark.parametrize(
    ("fault", "line", "verdict"),
    [
        ("crash", "unhandled exception", "entrypoint_crash"),
        ("hang", "room connection was not established", "entrypoint_hangs_before_connect"),
        ("return", "completed without establishing", "entrypoint_returns_without_connect"),
    ],
)
def test_an_agent_that_takes_the_job_and_does_not_join(
    real: Real, faulty: Faulty, fault: str, line: str, verdict: str
) -> None:
    faulty.fail(fault)
    with real.person(fault, ["faulty"]):
        real.await_waiting("faulty")
        faulty.worker.await_line(line)
        until(lambda: dispatches(real, fault)[0]["jobs"], "the job is listed")
        judged = real.diagnosed("faulty")
        (told,) = dispatches(real, fault)
    assert judged["verdict"]["id"] == verdict
    assert (judged["evidence"]["client"]["signals"]["jobs"], judged["evidence"]["dispatch"]["signals"]["level"]) == (
        1,
        "accepted",
    )
    # Whatever became of the job, the server lists it as running.
    assert [job["status"] for job in told["jobs"]] == ["JS_RUNNING"]


def passed_over(real: Real, name: str) -> bool:
    """Whether the server finds no capacity for one more room, which is made for that, and closed again."""
    since = len(real.server.lines)
    with Api(real.options()) as api:
        api.create_room("one-more", {"agent_name": name}, 60, time.monotonic() + FAR_S)
        said = ("no servers available", "assigned job to worker")
        heard = until(lambda: [line for line in real.server.lines[since:] if any(each in line for each in said)], "")
        api.delete_room("one-more", time.monotonic() + FAR_S)
    return said[0] in heard[0]


def dispatches(real: Real, room: str) -> list[dict[str, Any]]:
    with Api(real.options()) as api:
        return api.dispatches(room, time.monotonic() + FAR_S)


def test_a_crash_ends_the_job_as_a_success_and_its_exception_is_told(real: Real, faulty: Faulty) -> None:
    faulty.fail("crash")
    crashes = sum("unhandled exception" in line for line in faulty.worker.lines)
    with real.person("crash-again", ["faulty"]):
        faulty.worker.await_line("unhandled exception", crashes + 1)
        judged = real.diagnosed("faulty")
        (job,) = until(lambda: dispatches(real, "crash-again")[0]["jobs"], "the job is listed")
        ended = until(lambda: ended_jobs(real, job["identity"].removeprefix("agent-")), "the job ended")
    errors = judged["evidence"]["agent"]["signals"]["worker_errors"]
    assert "unhandled exception while running the job task: KeyError: 'CALLBACK_URL'" in errors
    assert [(line["status"], line["error"]) for line in ended] == [("JS_SUCCESS", "")]


def ended_jobs(real: Real, job: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in list(real.server.lines) if '"job ended"' in line)
    return [line for line in lines if line["jobID"] == job]


def test_a_full_worker_is_never_asked_and_only_its_log_tells(real: Real, faulty: Faulty) -> None:
    faulty.fail("full")
    faulty.worker.await_line("worker is at full capacity")
    with real.person("full", ["faulty"]):
        real.await_waiting("faulty")
        judged = real.diagnosed("faulty")
    faulty.fail("")
    faulty.worker.await_line("worker is below capacity")
    agent = judged["evidence"]["agent"]["signals"]
    assert (agent["worker_full_at_attempt"], agent["server_no_capacity"]) == (True, 1)
    assert not [line for line in faulty.worker.lines if "received job request" in line and '"room": "full"' in line]
    assert judged["verdict"]["id"] == "worker_full_capacity"


def test_a_busy_worker_is_passed_over_even_if_nothing_makes_it_full(
    real: Real, tmp_path: Path, start_worker: Start
) -> None:
    fault = tmp_path / "fault"
    fault.write_text("full")
    worker = start_worker("busy", FAULTY, FAULT_FILE=str(fault), LOAD_THRESHOLD="inf")
    worker.await_line(REGISTERED)
    # A worker that has just registered counts as free until it reports its load.
    until(lambda: passed_over(real, "busy"), "the server knows of its load")
    real.hosts["busy"].forget_jobs()
    with real.person("busy", ["busy"]):
        real.await_waiting("busy")
        judged = real.diagnosed("busy")
    agent = judged["evidence"]["agent"]["signals"]
    assert not worker.logged("full capacity")
    assert (agent["worker_full_at_attempt"], agent["worker_load"]) == (False, 1.0)
    assert agent["server_no_capacity"] >= 1
    assert judged["verdict"]["id"] == "worker_passed_over_by_load"


def test_a_worker_with_a_wrong_secret_looks_healthy_and_is_refused(real: Real, start_worker: Start) -> None:
    wrong = {"LIVEKIT_API_SECRET": "another-secret-0123456789abcdef0123"}
    worker = start_worker("refused", EXAMPLE, **wrong)
    worker.await_line("failed to connect to livekit")
    with real.person("refused", ["refused"]):
        real.await_waiting("refused")
        judged = real.diagnosed("refused")
        with urllib.request.urlopen(real.worker_url("refused"), timeout=5) as health:
            assert health.status == 200
    agent = judged["evidence"]["agent"]["signals"]
    assert (agent["worker_registered"], agent["worker_connect_failure"]) == (False, "credentials")
    assert judged["verdict"]["id"] == "worker_bad_credentials"
    assert not any(value in json.dumps(judged) for value in (SECRET, *wrong.values()))


def test_a_worker_that_is_killed_after_it_accepted(real: Real, tmp_path: Path, start_worker: Start) -> None:
    fault = tmp_path / "fault"
    fault.write_text("hang")
    worker = start_worker("killed", FAULTY, FAULT_FILE=str(fault))
    worker.await_line(REGISTERED)
    with real.person("killed", ["killed"]):
        until(lambda: dispatches(real, "killed")[0]["jobs"], "the job is accepted")
        real.hosts["killed"].kill(WORKER)
        real.await_waiting("killed")
        judged = real.diagnosed("killed")
        (told,) = dispatches(real, "killed")
    assert [job["status"] for job in told["jobs"]] == ["JS_RUNNING"]
    assert judged["evidence"]["agent"]["signals"]["worker_result"] == "signal"
    assert judged["verdict"]["id"] == "worker_down"


def test_no_second_agent_is_asked_for_while_the_job_of_the_first_is_not_listed_yet(
    real: Real, tmp_path: Path, start_worker: Start
) -> None:
    fault = tmp_path / "fault"
    fault.write_text("hang")
    worker = start_worker("on-its-way", FAULTY, FAULT_FILE=str(fault))
    worker.await_line(REGISTERED)
    with real.person("on-its-way", ["on-its-way"]):
        worker.await_line("received job request")
        outcome = redispatch(real.options("on-its-way"), DEADLINE_S, 5)
        assert len(dispatches(real, "on-its-way")) == 1
    assert not outcome.changed
    assert outcome.summary.endswith("the agent is on its way.")


@pytest.mark.parametrize(("asked", "verdict"), [(["nobody"], "agent_name_mismatch"), ([], "explicit_dispatch_missing")])
def test_a_room_that_asks_for_another_agent_or_for_none(
    real: Real, faulty: Faulty, asked: list[str], verdict: str
) -> None:
    faulty.fail("")
    with real.person("asks-otherwise", asked):
        real.await_waiting("faulty")
        judged = real.diagnosed("faulty")
    assert judged["evidence"]["client"]["signals"]["dispatch_names"] == (asked or [""])
    # The server says that no worker has that name; to ask for none, too, it logs as a job that got no answer.
    assert judged["evidence"]["agent"]["signals"]["server_missing_names"] == (asked or [""])
    assert judged["verdict"]["id"] == verdict


def test_a_room_that_was_there_before_ignores_the_agents_of_the_token(real: Real, faulty: Faulty) -> None:
    faulty.fail("")
    with Api(real.options()) as api:
        api.create_room("was-there", {"agent_name": "somebody-else"}, 60, time.monotonic() + FAR_S)
    with real.person("was-there", ["faulty"]):
        real.await_waiting("faulty")
        judged = real.diagnosed("faulty")
    assert judged["evidence"]["client"]["signals"]["dispatch_names"] == ["somebody-else"]
    assert judged["verdict"]["id"] == "agent_name_mismatch"


def test_the_event_source_takes_what_the_real_server_signs(real: Real, example: Unit) -> None:
    real.webhooks.taken.clear()
    with real.person("hooked", ["voice"]) as person:
        person.await_line("joined")
    door = runpy.run_path(str(SOURCE))["Door"](KEY, SECRET, 300, time.time)

    def told() -> list[tuple[str, str]]:
        while real.webhooks.taken:
            body, headers = real.webhooks.taken.pop(0)
            event = door.admit(body, headers["Authorization"])
            if event.room.name == "hooked":
                seen.append((event.event, event.participant.identity))
        return [each for each in seen if each[0] == "room_finished"]

    seen: list[tuple[str, str]] = []
    until(told, "the room's end is told")
    names = [name for name, _identity in seen]
    assert names[0] == "room_started"
    assert ("participant_joined", "ada") in seen
    assert [identity for name, identity in seen if name == "participant_joined" and identity.startswith("agent-AJ_")]
