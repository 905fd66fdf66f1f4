# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lk's recorded answers mean for the agent."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils.agent_log import (
    agent_lines,
    line_time,
    read_log,
    registered_name,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.agent import SIGNALS, collect
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

RECORDED = Path(__file__).parents[2] / "fixtures" / "lk"
EVER = (0.0, 4e9)


def at(text: str) -> float:
    moment = parse_time(text)
    assert moment is not None
    return moment


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder of recorded answers to change: at first those of lk 2.13.2."""
    return Path(shutil.copytree(RECORDED / "2.13.2", tmp_path / "lk"))


def gather(recorded: Path, *, seconds: float = 30, **more: Any) -> dict[str, Any]:
    """Collect the record from a folder of recorded answers, and check what holds of every record."""
    options = {
        "lk": str(RECORDED / "fake-lk"),
        "lk_environment": {"LK_RECORDED": str(recorded)},
        "livekit_url": "wss://my-project.livekit.cloud",
        "livekit_api_key": "APIkey",
        "livekit_api_secret": "geheimnis",
        "agent_id": "CA_abc123def456",
        "attempt": None,
        "now": at("2026-08-01T00:00:00Z"),
        **more,
    }
    result = collect(options, time.monotonic() + seconds)
    assert set(result["signals"]) == set(SIGNALS)
    assert "geheimnis" not in json.dumps(result)
    return result


def with_status(recorded: Path, status: str, replicas: str = "1 / 1 / 1") -> Path:
    path = recorded / "status.stdout"
    # Both are padded to the widest cell; the parser does not mind other widths.
    path.write_text(path.read_text().replace("Running", status).replace("1 / 1 / 1", replicas))
    return recorded


def test_2_5_tables() -> None:
    signals = gather(RECORDED / "2.5.0")["signals"]
    assert (signals["lk_version"], signals["status"], signals["condition"]) == ("2.5.0", "Running", "ready")
    assert signals["versions"][0] == {
        "version": "20250804101112",
        "current": True,
        "status": None,
        "created_at": None,
        "deployed_at": "2025-08-04T10:12:30Z",
        "draining": None,
        "active": None,
        "commit": None,
    }
    assert signals["newest_version_failed"] is None


def test_2_13_tables() -> None:
    result = gather(RECORDED / "2.13.2")
    signals = result["signals"]
    assert result["state"] == "healthy"
    assert signals["deployments"] == [
        {
            "region": "us-east",
            "deployment": None,
            "status": "Running",
            "replicas": 1,
            "min": 1,
            "max": 1,
            "version": "20260204101112",
            "deployed_at": "2026-02-04T10:12:30Z",
            "last_observed": None,
        }
    ]
    assert (signals["found"], signals["credentials_accepted"], signals["project"]) == (True, True, "my-project")
    assert (signals["crashes"], signals["recent_events"], signals["name"]) == (None, None, None)
    assert (signals["newest_version_failed"], signals["newest_is_current"]) == (False, True)
    assert [version["deployed_at"] for version in signals["versions"]][-1] is None


def test_2_16_tables_with_spinner_bytes_take_the_worst_region() -> None:
    result = gather(RECORDED / "2.16.4")
    signals = result["signals"]
    assert result["state"] == "faulty"
    assert (signals["status"], signals["condition"], signals["replicas"]) == ("CrashLoop", "failed", 1)
    assert (signals["newest_version_failed"], signals["newest_is_current"]) == (True, False)


def test_2_18_json_counts_the_production_deployment_only() -> None:
    signals = gather(RECORDED / "2.18.2", now=at("2026-07-25T10:10:00Z"))["signals"]
    assert (signals["name"], signals["status"], signals["replicas"]) == ("my-agent", "Running", 1)
    assert signals["crashes"] == 3
    assert signals["recent_events"] == ["APPLICATION_CRASHED", "RESTARTED_HIGH_MEMORY_USAGE"]
    assert signals["draining"] == [signals["versions"][1]["version"]]
    assert [item["deployment"] for item in signals["deployments"]] == ["production", "staging"]
    assert signals["deployments"][1]["replicas"] == 0
    assert signals["deployed_at"] == "2026-07-25T10:12:30Z"
    assert signals["versions"][1]["draining"] is True
    assert signals["versions"][1]["active"] is False
    assert (signals["logs"], signals["log_registered"]) == ("read", True)


def test_events_before_the_attempts_window_are_not_recent() -> None:
    signals = gather(RECORDED / "2.18.2", now=at("2026-07-25T10:13:00Z"))["signals"]
    assert signals["recent_events"] == ["RESTARTED_HIGH_MEMORY_USAGE"]


def test_2_18_tables_of_an_lk_that_hides_its_version() -> None:
    result = gather(RECORDED / "2.18.2-tables")
    signals = result["signals"]
    assert signals["lk_version"] is None
    assert (signals["status"], signals["condition"], result["state"]) == ("Sleeping", "asleep", "healthy")
    assert signals["name"] == "my-agent"
    assert signals["versions"][0]["current"] is False
    assert signals["versions"][1]["active"] is True


def test_a_sleeping_agents_log_says_nothing_of_the_attempt() -> None:
    result = gather(RECORDED / "2.13.2")
    assert result["signals"]["logs"] == "asleep"
    assert result["signals"]["log_crashed"] is None
    assert any("nothing of the attempt" in limit for limit in result["limits"])


@pytest.mark.parametrize(
    ("status", "condition", "state"),
    [
        ("Sleeping", "asleep", "healthy"),
        ("Waking", "waking", "healthy"),
        ("Setting Up", "progressing", "unknown"),
        ("Updating", "progressing", "unknown"),
        ("Build Failed", "failed", "faulty"),
        ("Server Error", "failed", "faulty"),
        ("Suspended", "failed", "faulty"),
        ("Deleted", "gone", "faulty"),
        ("Error", "failed", "faulty"),
        ("Pending", None, "unknown"),
        ("Quota exceeded", None, "unknown"),
    ],
)
def test_what_a_status_means(recorded: Path, status: str, condition: str | None, state: str) -> None:
    result = gather(with_status(recorded, status))
    assert (result["signals"]["condition"], result["state"]) == (condition, state)
    assert result["signals"]["status"] == status.strip()


@pytest.mark.parametrize(
    ("status", "documented"),
    [(" sLEEPING ", "Sleeping"), ("RUNNING", "Running"), ("build_failed", "Build Failed"), ("crash-loop", "CrashLoop")],
)
def test_a_status_is_told_as_livekit_documents_it(recorded: Path, status: str, documented: str) -> None:
    assert gather(with_status(recorded, status))["signals"]["status"] == documented


def test_error_without_replicas_and_crash_means_nothing(recorded: Path) -> None:
    result = gather(with_status(recorded, "Error", "0 / 1 / 1"))
    assert result["signals"]["condition"] is None
    assert result["state"] == "unknown"
    assert any("healthy idle agents" in limit for limit in result["limits"])


def test_error_with_a_crash_in_the_log_is_a_failure(recorded: Path) -> None:
    for name in ("logs.stdout", "logs.stderr"):
        shutil.copy(RECORDED / "2.16.4" / name, recorded)
    soon = {"now": at("2026-05-28T10:45:00Z")}
    assert gather(with_status(recorded, "Error", "0 / 1 / 1"), **soon)["signals"]["condition"] == "failed"


def test_a_crash_of_long_ago_is_no_failure_now(recorded: Path) -> None:
    for name in ("logs.stdout", "logs.stderr"):
        shutil.copy(RECORDED / "2.16.4" / name, recorded)
    signals = gather(with_status(recorded, "Error", "0 / 1 / 1"))["signals"]
    assert (signals["condition"], signals["log_crashed"], signals["log_errors"]) == (None, False, [])


@pytest.mark.parametrize(
    ("now", "crashes", "condition"), [("2026-07-25T10:10:00Z", 3, "failed"), ("2026-07-27T10:10:00Z", 0, None)]
)
def test_error_is_a_failure_only_with_crashes_that_are_not_of_long_ago(
    recorded: Path, now: str, crashes: int, condition: str | None
) -> None:
    shutil.copytree(RECORDED / "2.18.2", recorded, dirs_exist_ok=True)
    path = recorded / "status.stdout"
    path.write_text(path.read_text().replace('"Running"', '"Error"').replace('"replicas": 1,', ""))
    signals = gather(recorded, now=at(now))["signals"]
    assert (signals["crashes"], signals["condition"]) == (crashes, condition)


def test_an_agent_without_a_deployment_is_found(recorded: Path) -> None:
    path = recorded / "status.stdout"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "│ CA_" not in line))
    (recorded / "logs.stderr").write_text("panic: runtime error: index out of range [0] with length 0\n")
    (recorded / "logs.code").write_text("2")
    result = gather(recorded)
    assert (result["signals"]["found"], result["signals"]["status"]) == (True, None)
    assert (result["signals"]["logs"], result["state"]) == ("unavailable", "unknown")


def fail_status(recorded: Path, said: str) -> Path:
    (recorded / "status.stdout").write_text("")
    (recorded / "status.stderr").write_text(said + "\n")
    (recorded / "status.code").write_text("1")
    return recorded


def test_no_such_agent(recorded: Path) -> None:
    result = gather(fail_status(recorded, "no agents found"))
    assert (result["signals"]["found"], result["signals"]["credentials_accepted"]) == (False, True)
    assert result["state"] == "faulty"


def test_refused_credentials(recorded: Path) -> None:
    result = gather(fail_status(recorded, "unable to list agents: invalid API key"))
    assert (result["signals"]["found"], result["signals"]["credentials_accepted"]) == (None, False)
    assert result["state"] == "unknown"


def test_without_a_status_the_log_tells_that_it_sleeps(recorded: Path) -> None:
    result = gather(fail_status(recorded, "unable to list agents: Error from intermediary with HTTP status code 500"))
    assert (result["signals"]["condition"], result["signals"]["status"]) == ("asleep", None)
    assert result["state"] == "unknown"
    assert any("log's absence alone" in limit for limit in result["limits"])


def test_one_hanging_command_does_not_take_the_others_with_it(recorded: Path) -> None:
    (recorded / "versions.hangs").touch()
    result = gather(recorded, seconds=8)
    assert result["signals"]["condition"] == "ready"
    assert result["signals"]["versions"] is None
    assert any("versions could not be read" in limit for limit in result["limits"])


def test_a_log_that_is_followed_is_left_when_it_is_quiet(recorded: Path) -> None:
    shutil.copytree(RECORDED / "2.18.2", recorded, dirs_exist_ok=True)
    (recorded / "logs.code").unlink()
    (recorded / "logs.hangs").touch()
    result = gather(recorded)
    assert (result["signals"]["logs"], result["signals"]["log_lines"]) == ("read", 2)


def test_an_empty_log_that_is_followed(recorded: Path) -> None:
    for name in ("logs.stderr", "logs.code"):
        (recorded / name).unlink()
    (recorded / "logs.hangs").touch()
    assert gather(recorded, seconds=8)["signals"]["logs"] == "empty"


def test_a_missing_lk_is_said(recorded: Path) -> None:
    result = gather(recorded, lk="no-such-lk")
    assert result["state"] == "unknown"
    assert "voiceops_lk" in result["summary"]


def test_the_log_of_a_crash() -> None:
    attempt = {
        "at": "2026-05-28T10:39:00Z",
        "source": "given",
        "since": "2026-05-28T10:29:00Z",
        "until": "2026-05-28T10:49:00Z",
        "precision_s": 60,
    }
    result = gather(RECORDED / "2.16.4", attempt=attempt)
    signals = result["signals"]
    assert (signals["log_registered"], signals["log_job_received"], signals["log_crashed"]) == (True, True, True)
    assert signals["log_missing_names"] == ["INTERNAL_SERVICE_KEY"]
    assert signals["log_errors"][-1] == "KeyError: 'INTERNAL_SERVICE_KEY'"
    assert any("broke off" in limit for limit in result["limits"])
    later = {**attempt, "at": "2026-05-28T11:39:00Z", "since": "2026-05-28T11:29:00Z", "until": "2026-05-28T11:49:00Z"}
    assert gather(RECORDED / "2.16.4", attempt=later)["signals"]["log_job_received"] is None


@pytest.mark.parametrize(
    ("lines", "registered"),
    [
        (["starting worker", "registered worker"], True),
        (["registered worker", "starting worker"], None),
        (["registered worker", "starting worker", "worker failed"], False),
        (["starting worker", "failed to connect to livekit, retrying in 0s"], False),
        (["starting worker", "failed to connect to livekit, retrying in 0s", "registered worker"], True),
        (["something else", "worker failed"], None),
    ],
)
def test_the_newest_start_decides_whether_the_worker_registered(lines: list[str], registered: bool | None) -> None:
    assert read_log(lines, EVER)["log_registered"] is registered


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("KeyError: 'OPENAI_API_KEY'", ["OPENAI_API_KEY"]),
        ('{"level":"ERROR","exc":"KeyError: \\"SERVICE_PORT\\""}', ["SERVICE_PORT"]),
        ("KeyError: 'PORT'", []),
        ("ValueError: OPENAI_API_KEY is not set", ["OPENAI_API_KEY"]),
        ("ValueError: the NEXT_APP_URL environment variable must be set", ["NEXT_APP_URL"]),
        ("WARNING the SENTRY_DSN environment variable is not set", []),
        (
            "Error: Missing required environment variables: NEXT_APP_URL, OPENAI_API_KEY",
            ["NEXT_APP_URL", "OPENAI_API_KEY"],
        ),
        ("error: Environment variable not found: DATABASE_URL.", ["DATABASE_URL"]),
        (
            "ValueError: API key is required, either as argument or set DEEPGRAM_API_KEY environmental variable",
            ["DEEPGRAM_API_KEY"],
        ),
        ("environ.exceptions.ImproperlyConfigured: Set the SECRET_KEY environment variable", ["SECRET_KEY"]),
        ("decouple.UndefinedValueError: NEXT_APP_URL not found. Declare it as envvar.", ["NEXT_APP_URL"]),
        (
            "openai.OpenAIError: The api_key client option must be set either by passing api_key to the client or by "
            "setting the OPENAI_API_KEY environment variable",
            ["OPENAI_API_KEY"],
        ),
        (
            "openai.OpenAIError: Missing credentials. Please pass an `api_key`, `workload_identity`, `admin_api_key`, "
            "or set the `OPENAI_API_KEY` or `OPENAI_ADMIN_KEY` environment variable.",
            ["OPENAI_API_KEY"],
        ),
        (
            "Error: Deepgram API key is required, whether as an argument or as $DEEPGRAM_API_KEY",
            ["DEEPGRAM_API_KEY"],
        ),
        ("UserError: Pass the key, or set it as the `GROQ_API_KEY` environment variable", ["GROQ_API_KEY"]),
        ("ValueError: provide a key via api_key or HUME_API_KEY environment variable", ["HUME_API_KEY"]),
        ("Error: process.env.AGENT_REGION must be defined", ["AGENT_REGION"]),
        ('EnvVarError: env-var: "AGENT_REGION" is a required variable, but it was not set', ["AGENT_REGION"]),
        ('{"level":50,"err":{"message":"env-var: \\"A_KEY\\" is a required variable, but it was not set"}}', ["A_KEY"]),
        ("Error: scenario SCENARIO_12 not found", []),
        ("Error: VALIDATION_ERROR: missing field SCENARIO_ID", []),
        ("Error: SCENARIO_ID is required", []),
        ("Error: NEXT_APP_URL not found", ["NEXT_APP_URL"]),
        ("Error: environment variable AGENT_REGION not found", ["AGENT_REGION"]),
        ("LIVEKIT_URL=wss://x is set", []),
        ("worker for us-east is required", []),
        ("ECONNREFUSED not found", []),
    ],
)
def test_names_that_a_log_misses(line: str, names: list[str]) -> None:
    assert read_log([line], EVER)["log_missing_names"] == names


REQUIRED = "  Field required [type=missing, input_value={}, input_type=dict]"


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (
            ["ValidationError: 2 validation errors for Settings", "a_key", REQUIRED, "B_KEY", REQUIRED],
            ["A_KEY", "B_KEY"],
        ),
        (["ValidationError: 1 validation error for Settings", "port", "  Input should be a valid integer"], []),
        (["ValidationError: 1 validation error for SessionRequest", "user_id", REQUIRED], []),
        (["ValidationError: 1 validation error for SessionConfig", "scenario_id", REQUIRED], []),
        (["ValidationError: 1 validation error for AgentEnv", "a_key", REQUIRED], ["A_KEY"]),
        (["Invalid environment variables: {", "  A_KEY: [ 'Required' ],", "  B_KEY: [ 'Invalid url' ]"], ["A_KEY"]),
        (["path: [ 'A_KEY' ],", "message: 'Required'"], ["A_KEY"]),
        (['"path": ["A_KEY"],', '"message": "Invalid input: expected string, received undefined"'], ["A_KEY"]),
        (['"path": ["A_KEY"],', '"message": "String must contain at least 1 character"'], []),
        (['"path": ["userId"],', '"message": "Required"'], []),
        (
            ["Missing environment variables:", "  A_KEY: undefined", "  B_KEY: Required", "===", "C_KEY: x"],
            ["A_KEY", "B_KEY"],
        ),
    ],
)
def test_names_that_a_validator_misses_on_lines_of_their_own(lines: list[str], names: list[str]) -> None:
    assert read_log(lines, EVER)["log_missing_names"] == names


TRACEBACK = ["Traceback (most recent call last):", '  File "agent.py", line 12, in entrypoint', "KeyError: 'USER_NAME'"]
IN_OS = ['  File "<frozen os>", line 679, in __getitem__']


def test_a_key_error_names_a_variable_only_where_the_environment_was_asked() -> None:
    assert read_log(TRACEBACK, EVER)["log_missing_names"] == []
    assert read_log([*TRACEBACK[:2], *IN_OS, TRACEBACK[2]], EVER)["log_missing_names"] == ["USER_NAME"]


def in_production(level: str, message: str, *, said: str = "", at: str = "", **more: Any) -> str:
    """A line as Python's worker writes it in production, with the traceback that ends with C(said)."""
    frames = "".join(f'  File "/app/{number}.py", line {number}, in run\n    await run()\n' for number in range(100))
    trace = {"exc_info": f"Traceback (most recent call last):\n{frames}{said}"} if said else {}
    time = {"timestamp": at} if at else {}
    return json.dumps({"message": message, "level": level, "name": "livekit.agents", **trace, **more, **time})


OLD, NEW = "2026-01-01T08:00:00.401234+00:00", "2026-02-06T22:39:00.401234+00:00"
BETWEEN = at("2026-02-01T00:00:00Z")
TASK = "unhandled exception while running the job task"
REFUSED = "failed to connect to livekit, retrying in 2s"


def test_a_traceback_within_json_is_read_to_its_end() -> None:
    crash = in_production("ERROR", TASK, said="openai.AuthenticationError: Error code: 401", at=NEW)
    assert len(crash) > 4000
    log = f"{in_production('INFO', 'registered worker', at=OLD)}\n{crash}"
    signals = read_log(agent_lines(log), EVER, since=BETWEEN)
    assert signals["log_crashed"] is True
    assert signals["log_errors"] == [f"{TASK}: openai.AuthenticationError: Error code: 401"]
    assert signals["log_codes"] == []
    assert read_log(agent_lines(log), EVER, since=at(NEW) + 60)["log_crashed"] is False


def test_a_key_error_within_json_names_a_variable_only_where_the_environment_was_asked() -> None:
    asked = 'File "<frozen os>", line 679, in __getitem__\n'
    for before, names in (("", []), (asked, ["USER_NAME"])):
        line = in_production("ERROR", TASK, said=f"  {before}KeyError: 'USER_NAME'")
        assert read_log([line], EVER)["log_missing_names"] == names


def test_what_pydantic_misses_within_json() -> None:
    said = f"ValidationError: 1 validation error for Settings\nopenai_api_key\n{REQUIRED}"
    assert read_log([in_production("ERROR", TASK, said=said)], EVER)["log_missing_names"] == ["OPENAI_API_KEY"]


def test_of_json_that_is_cut_off_both_ends_count() -> None:
    crash = in_production("ERROR", TASK, said="ValueError: no", at=NEW)
    rest = crash[30:]
    assert line_time(rest) == at(NEW)
    signals = read_log([in_production("INFO", "registered worker", at=OLD), rest], EVER, since=BETWEEN)
    assert (signals["log_errors"][0][-60:], len(signals["log_errors"][0])) == (rest[-60:], 300)


def test_json_that_is_too_long_is_searched_as_text() -> None:
    line = in_production("ERROR", TASK, said="x" * 10_000_000, at=NEW)
    signals = read_log([line], EVER)
    assert (signals["log_crashed"], line_time(line)) == (True, at(NEW))
    assert len(signals["log_errors"][0]) == 300


@pytest.mark.parametrize(
    ("level", "said", "error"),
    [
        ("WARNING", {}, False),
        ("INFO", {"status": "ERROR"}, False),
        ("critical", {}, True),
        (40, {}, False),
        (60, {}, True),
        ("unheard-of", {}, False),
        (None, {}, False),
        (None, {"err": "TypeError: x"}, True),
        ([{}], {}, False),
        (float("nan"), {}, False),
    ],
)
def test_a_line_in_json_is_an_error_by_its_level(level: Any, said: dict[str, Any], error: bool) -> None:
    line = json.dumps({"level": level, "message": "it failed", **said})
    assert bool(read_log([line], EVER)["log_errors"]) is error


@pytest.mark.parametrize(
    ("lines", "crashed"),
    [
        ([in_production("WARNING", REFUSED, said="ClientConnectorError: no")], False),
        (["WARNING:agent:retrying Traceback (most recent call last): boom"], False),
        (["INFO:agent:registered worker", "Traceback (most recent call last):", "KeyError: 'a'"], True),
        ([in_production("ERROR", TASK)], True),
        ([TASK], True),
    ],
)
def test_what_is_only_warned_of_is_no_crash(lines: list[str], crashed: bool) -> None:
    assert read_log(lines, EVER)["log_crashed"] is crashed


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["registered worker"], []),
        (
            ["received job request", "WARNING no answer was given inside the job_request_fnc"],
            ["job_received", "rejected"],
        ),
        (["assignment for job AJ_1 timed out"] * 2, ["assignment_timeout"]),
        ([in_production("ERROR", "error initializing process", said="TimeoutError")], ["pool_broken"]),
        (["worker is at full capacity, marking as unavailable"], ["full"]),
        (["worker is at full capacity", "worker is below capacity"], []),
        (["worker is below capacity", "worker is at full capacity"], ["full"]),
        (["process exited with non-zero exit code -9"], ["oom_killed"]),
    ],
)
def test_what_a_log_tells_of_jobs_and_capacity(lines: list[str], said: list[str]) -> None:
    assert read_log(lines, EVER)["log_said"] == said


def test_what_was_told_of_jobs_long_ago_does_not_count() -> None:
    lines = [in_production("ERROR", "error initializing process", at=OLD), in_production("INFO", "hello", at=NEW)]
    assert read_log(lines, EVER, since=BETWEEN)["log_said"] == []


UNAUTHORIZED = in_production("WARNING", REFUSED, error="401, message='Invalid response status'", retry_count=1)


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["starting worker"], ""),
        (["starting worker", UNAUTHORIZED], "credentials"),
        (["starting worker", UNAUTHORIZED, "registered worker"], ""),
        (["registered worker", UNAUTHORIZED], "credentials"),
        ([UNAUTHORIZED, "starting worker"], ""),
        (
            ["starting worker", UNAUTHORIZED, in_production("ERROR", "worker failed", said="RuntimeError")],
            "credentials",
        ),
        (
            [in_production("WARNING", REFUSED, said="OSError: [Errno -2] Name or service not known", line=401)],
            "dns",
        ),
        (
            [
                '{"level":40,"msg":"failed to connect to LiveKit server (ws://localhost:7880), retrying in 4 seconds: '
                '(2/16)","error":"connect ECONNREFUSED 127.0.0.1:7880"}'
            ],
            "unreachable",
        ),
    ],
)
def test_why_the_newest_run_could_not_connect(lines: list[str], failure: str) -> None:
    assert read_log(lines, EVER)["log_connect_failure"] == failure


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([in_production("INFO", "registered worker", agent_name="a"), "received job request"], "a"),
        ([in_production("INFO", "registered worker", agent_name=name) for name in ("a", "b")], "b"),
        ([in_production("INFO", "registered worker", agent_name="")], ""),
        (['{"level":30,"msg":"registered worker","id":"AW_1"}'], None),
        ([in_production("INFO", "hello", agent_name="a")], None),
        ([], None),
    ],
)
def test_the_name_by_which_a_log_says_that_the_worker_registered(lines: list[str], name: str | None) -> None:
    assert registered_name(lines) == name


def with_log(recorded: Path, line: str) -> dict[str, Any]:
    (recorded / "logs.stdout").write_text(line + "\n")
    for name in ("logs.stderr", "logs.code"):
        (recorded / name).unlink(missing_ok=True)
    result: dict[str, Any] = gather(recorded)["signals"]
    return result


def test_the_log_names_the_agent_where_lk_does_not(recorded: Path) -> None:
    line = in_production("INFO", "registered worker", agent_name="by-its-log")
    assert with_log(recorded, line)["name"] == "by-its-log"
    shutil.copytree(RECORDED / "2.18.2", recorded, dirs_exist_ok=True)
    assert with_log(recorded, line)["name"] == "my-agent"
    assert with_log(fail_status(recorded, "no answer"), line)["name"] == "by-its-log"


def test_codes_and_errors_of_a_log() -> None:
    lines = [
        '{"level":50,"msg":"callback failed with status 401"}',
        "ERROR getaddrinfo ENOTFOUND host,internal_service_key=geheim P2003 HTTP/1.1 500",
        "no error here",
        '{"level":"info","msg":"fine"}',
    ]
    signals = read_log(lines * 3, EVER, ("geheim",))
    assert signals["log_codes"] == ["HTTP_401", "ENOTFOUND", "P2003", "HTTP_500"]
    assert len(signals["log_errors"]) == 2
    assert "geheim" not in str(signals["log_errors"])


def test_times_of_lines() -> None:
    assert line_time('{"msg":"x","time":1738881540000}') == 1738881540.0
    assert line_time("2026-02-06T22:39:00.500+01:00 received") == at("2026-02-06T21:39:00.5Z")
    assert line_time("2026-02-06 22:39:00,123 no zone") is None
    assert line_time("2026-99-99T22:39:00Z") is None
    assert line_time('{"msg":"of 2024-01-01T00:00:00Z","time":"2026-02-06T22:39:00Z"}') == at("2026-02-06T22:39:00Z")
    assert line_time('{"msg":"x","timestamp":"2026-02-06 22:39:00,123"}') is None


@pytest.mark.parametrize(
    "piece",
    [
        "A_",
        "missing ",
        "KeyError: '",
        "status ",
        "Error",
        "required: A_B, ",
        "set A_B or ",
        "A_B: [ ",
        "\\",
        "\"'",
        '"path": ["A_B"],',
        "failed to connect to livekit ",
        '{"a":',
        "[",
        "1",
    ],
)
def test_no_line_is_slow_or_raises(piece: str) -> None:
    read_log([(piece * 4000)[:4000]] * 50, EVER)
    read_log([(piece * 10_000_000)[:10_000_000], '{"message":' + (piece * 100_000)[:200_000] + "}"], EVER)
