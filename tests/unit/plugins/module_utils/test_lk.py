# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling lk: what it is given, what is read from it, and what is said when it fails."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.voiceops.livekit.plugins.module_utils import lk, lk_output

RECORDED = Path(__file__).parents[2] / "fixtures" / "lk"
TTY = "could not open a new TTY: open /dev/tty: no such device or address"


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Options of a healthy lk 2.13.2 whose recorded output may be changed in tmp_path/lk."""
    shutil.copytree(RECORDED / "2.13.2", tmp_path / "lk")
    return {
        "lk": str(RECORDED / "fake-lk"),
        "lk_environment": {"LK_RECORDED": str(tmp_path / "lk"), "LK_CALLS": str(tmp_path / "calls")},
        "livekit_url": "wss://my-project.livekit.cloud",
        "livekit_api_key": "APIkey",
        "livekit_api_secret": "geheimnis",
        "agent_id": "CA_abc123def456",
    }


def soon(seconds: float = 30) -> float:
    return time.monotonic() + seconds


def fails(tmp_path: Path, stderr: str, code: int = 1, stdout: str = "") -> None:
    for name, text in (("stdout", stdout), ("stderr", stderr), ("code", str(code))):
        (tmp_path / "lk" / f"status.{name}").write_text(text)


def test_credentials_go_by_environment_and_what_lk_reads_into_a_terminal_is_set(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "wss://other.livekit.cloud")
    monkeypatch.setenv("TERM", "dumb")
    lk.read(lk.open_session(options, soon()), "status", soon())
    calls = (tmp_path / "calls").read_text().splitlines()
    ending = "|/|wss://my-project.livekit.cloud|APIkey|geheimnis|xterm"
    assert calls == ["--version" + ending, "agent status --id CA_abc123def456" + ending]


def test_without_credentials_those_of_the_environment_are_kept_from_lk(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", "other")
    del options["livekit_api_key"], options["livekit_api_secret"], options["livekit_url"]
    lk.open_session(options, soon())
    assert (tmp_path / "calls").read_text() == "--version|/||||xterm\n"


def test_json_is_asked_for_only_where_this_version_has_it(options: dict[str, Any], tmp_path: Path) -> None:
    for version, as_json in (("2.16.7", False), ("2.17.0", True), ("2.18.2", True)):
        (tmp_path / "lk" / "version.stdout").write_text(f"lk version {version}\n")
        session = lk.open_session(options, soon())
        (tmp_path / "calls").unlink()
        if as_json:
            (tmp_path / "lk" / "status.stdout").write_text("{}\n")
        answer = lk.read(session, "status", soon())
        assert ("--json" in (tmp_path / "calls").read_text()) is as_json
        assert (answer.document == {}) is as_json


@pytest.mark.parametrize("version", ["2.5.0", "2.13.2", "2.16.4", "2.18.2-tables"])
def test_tables_are_read_by_header_name(options: dict[str, Any], version: str) -> None:
    options["lk_environment"]["LK_RECORDED"] = str(RECORDED / version)
    session = lk.open_session(options, soon())
    answer = lk.read(session, "status", soon())
    assert {row["ID"] for row in answer.rows} == {"CA_abc123def456"}
    assert {row["Region"] for row in answer.rows} <= {"us-east", "eu-central"}
    assert (answer.project, answer.agent_id) == ("my-project", "CA_abc123def456")


@pytest.mark.parametrize(
    ("stderr", "reason", "advice"),
    [
        (f"no project selected: huh: {TTY}", "not_logged_in", "voiceops_livekit_url"),
        ("no projects configured; run `lk cloud auth`", "not_logged_in", "lk cloud auth"),
        ("multiple projects configured; set --project in non-interactive mode", "no_project", "voiceops_agent_dir"),
        ("project not found. Available projects: a, b", "no_project", "voiceops_livekit_api_key"),
        ("project does not match agent subdomain [other]", "project_mismatch", "voiceops_agent_dir"),
        ("invalid project URL [http://localhost:7880]", "project_mismatch", "voiceops_livekit_url"),
        ("non-interactive mode: set --id when multiple agents exist", "no_agent_id", "voiceops_agent_id"),
        ("no agents found", "no_agent", "voiceops_agent_id"),
        ("no agent deployments found", "no_agent", "voiceops_agent_id"),
        (f"huh: {TTY}", "prompt", "voiceops_agent_id"),
        ("unable to list agents: invalid API key", "unauthorized", "voiceops_livekit_api_secret"),
        ("twirp error unauthenticated: go away", "unauthorized", "clock"),
        (
            "agent hosting is disabled for this project -- join the beta program here [https://forms.gle/x]",
            "unauthorized",
            "voiceops_livekit_api_key",
        ),
        (
            'unable to list agents: failed to do request: Post "https://agents.livekit.cloud": dial tcp: lookup: '
            "no such host",
            "network",
            "network",
        ),
        (
            'unable to list agents: Error from intermediary with HTTP status code 502 "Bad Gateway"',
            "unavailable",
            "try again",
        ),
        ("Incorrect Usage: flag provided but not defined: -json", "unsupported", "update"),
        ("something new", "failed", "something new"),
        ("", "failed", "exit code 1"),
    ],
)
def test_each_failure_says_what_to_do(
    options: dict[str, Any], tmp_path: Path, stderr: str, reason: str, advice: str
) -> None:
    fails(tmp_path, f"Using agent [CA_1]\n{stderr}\n")
    session = lk.open_session(options, soon())
    with pytest.raises(lk.LkError) as caught:
        lk.read(session, "status", soon())
    assert caught.value.reason == reason
    assert advice in str(caught.value)


def test_a_panic_is_no_answer(options: dict[str, Any], tmp_path: Path) -> None:
    fails(tmp_path, "panic: runtime error: index out of range [0] with length 0\n\ngoroutine 1 [running]:\n", code=2)
    with pytest.raises(lk.LkError, match="lk crashed") as caught:
        lk.read(lk.open_session(options, soon()), "status", soon())
    assert caught.value.reason == "panic"


def test_what_lk_says_is_redacted(options: dict[str, Any], tmp_path: Path) -> None:
    fails(tmp_path, "oh: geheimnis\n")
    with pytest.raises(lk.LkError) as caught:
        lk.read(lk.open_session(options, soon()), "status", soon())
    assert "geheimnis" not in str(caught.value)


def test_a_hanging_lk_is_left(options: dict[str, Any], tmp_path: Path) -> None:
    session = lk.open_session(options, soon())
    (tmp_path / "lk" / "status.hangs").touch()
    with pytest.raises(lk.LkError) as caught:
        lk.read(session, "status", soon(0.3))
    assert caught.value.reason == "timeout"


def test_neither_table_nor_json_is_no_answer(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "lk" / "status.stdout").write_text("Declined.\n")
    with pytest.raises(lk.LkError, match="neither a table nor JSON: Declined"):
        lk.read(lk.open_session(options, soon()), "status", soon())


@pytest.mark.parametrize(
    ("change", "reason", "names"),
    [
        ({"lk": "no-such-lk"}, "missing", "voiceops_lk"),
        ({"agent_id": ""}, "no_agent_id", "voiceops_agent_id"),
        ({"livekit_api_key": None}, "options", "voiceops_livekit_api_key"),
        ({"livekit_api_secret": ""}, "options", "voiceops_livekit_api_secret"),
        ({"livekit_url": None}, "options", "voiceops_livekit_url"),
        ({"agent_dir": "/no/such/folder"}, "options", "voiceops_agent_dir"),
    ],
)
def test_bad_options_are_refused_by_name(
    options: dict[str, Any], change: dict[str, Any], reason: str, names: str
) -> None:
    with pytest.raises(lk.LkError) as caught:
        lk.open_session({**options, **change}, soon())
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{names}: expected ")


def test_an_old_lk_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "lk" / "version.stdout").write_text("lk version 2.4.11\n")
    with pytest.raises(lk.LkError, match=r"expected lk 2\.5 or newer, got 2\.4\.11"):
        lk.open_session(options, soon())


def test_the_agent_is_taken_from_livekit_toml_and_lk_runs_beside_it(options: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "livekit.toml").write_text('[project]\n  subdomain = "my-project"\n\n[agent]\n  id = "CA_toml"\n')
    session = lk.open_session({**options, "agent_id": None, "agent_dir": str(folder)}, soon())
    assert (session.agent_id, session.directory) == ("CA_toml", str(folder))


def test_another_projects_livekit_toml_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "livekit.toml").write_text('[project]\nsubdomain = "staging"\n[agent]\nid = "CA_toml"\n')
    with pytest.raises(lk.LkError, match="belongs to the project 'staging'") as caught:
        lk.open_session({**options, "agent_dir": str(tmp_path)}, soon())
    assert caught.value.reason == "project_mismatch"


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("Using project [staging]", True),
        ("Using default project [staging]", True),
        ("", True),
        ("Using project [my-project]", False),
    ],
)
def test_a_project_that_lk_chose_itself_must_be_the_one_asked_for(
    options: dict[str, Any], tmp_path: Path, line: str, refused: bool
) -> None:
    output = (tmp_path / "lk" / "status.stdout").read_text()
    (tmp_path / "lk" / "status.stdout").write_text(output.replace(output.split("\n")[0], line))
    for name in lk.CREDENTIALS:
        del options[name]
    session = lk.open_session(options, soon())
    if not refused:
        assert lk.read(session, "status", soon()).project == "my-project"
        return
    with pytest.raises(lk.LkError, match="voiceops_livekit_url names the project 'my-project'") as caught:
        lk.read(session, "status", soon())
    assert caught.value.reason == "wrong_project"


def test_credentials_that_lk_passed_over_are_noticed(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "lk" / "status.stdout"
    path.write_text("Using project [other]\n" + path.read_text())
    with pytest.raises(lk.LkError, match="in place of the credentials"):
        lk.read(lk.open_session(options, soon()), "status", soon())


def test_the_command_to_repeat_holds_no_secret_and_goes_only_where_there_is_something(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b").mkdir()
    calls = "~/lk agent status --id CA_abc123def456 && ~/lk agent logs --id CA_abc123def456"
    for folder, first in (("~/a b", "cd ~/'a b' && "), (f"{tmp_path}/a b", f"cd '{tmp_path}/a b' && "), ("~/gone", "")):
        assert lk.command({**options, "lk": "~/lk", "agent_dir": folder}, "status", "logs") == first + calls


def test_spinner_bytes_are_taken_out() -> None:
    spinner = "\x1b[?25l\x1b[?2004h\r█ Loading…\x1b[D\x1b[2K\r\x1b[?2004l\x1b[?25h\x1b[?1006l"
    assert lk_output.plain(f"{spinner}Using agent [CA_1]\r\nnext") == "Using agent [CA_1]\nnext"


def test_tables_that_are_none_or_broken() -> None:
    assert lk_output.parse_table("No agents found") is None
    assert lk_output.parse_table("┌──┐\n│ A │\n├──┤\n└──┘") == []
    assert lk_output.parse_table("│ A │ B │\n│ 1 │\n│ 1 │ 2 │") == [{"A": "1", "B": "2"}]


def test_json_begins_at_the_first_brace_of_a_line() -> None:
    assert lk_output.parse_json('Using {x}\n{ "a":  [1] }\nmore') == {"a": [1]}
    for text in ("", "[1]", "{", "{" * 100_000, '{"a": ' * 100_000):
        assert lk_output.parse_json(text) is None


def test_never_is_no_time() -> None:
    for cell in ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "--", "---", "", None, 5, "2026-02-04"):
        assert lk_output.moment(cell) is None
    assert lk_output.moment("2026-07-25T10:20:01.123456789Z") == "2026-07-25T10:20:01Z"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '[project]\n  subdomain = \'a\' # why\n[agent]\n  id = "CA_1"\nname="x"',
            {"subdomain": "a", "agent_id": "CA_1"},
        ),
        ('project_subdomain = "old"\r\n', {"subdomain": "old"}),
        ('[ cloud ] # new\nid = "CA_2"\n[agent]\nname = "voice"', {"agent_id": "CA_2"}),
        ('# id = "no"\n[other]\nid = "no"\nsubdomain = 5\n[[agent]', {}),
    ],
)
def test_livekit_toml(text: str, found: dict[str, str]) -> None:
    assert lk_output.parse_toml(text) == found


def test_subdomains_are_read_as_lk_reads_them() -> None:
    assert lk_output.subdomain("http://127.0.0.1:7880") == "127"
    assert lk_output.subdomain("http://localhost:7880") is None
    assert lk_output.subdomain("") is None


@pytest.mark.parametrize("environment", [{"A=B": "c"}, {"": "c"}, {"A": "b\0"}, {"A\0": "b"}])
def test_an_environment_that_no_program_can_have_is_not_taken_for_a_missing_lk(options, environment):
    with pytest.raises(lk.LkError, match=r"^voiceops_lk_environment: expected names without =") as caught:
        lk.open_session({**options, "lk_environment": environment}, soon())
    assert caught.value.reason == "options"
