# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in C(lk): which project and which agent it works with, what it asks, and its small parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.cloud_running import KEY, SECRET
from integration.lk_running import (
    AGENT,
    ENVIRONMENT_LINE,
    LINES,
    STAND_IN,
    Lk,
    each_lk,
    make_project,
    new,
    old,
    run,
    status_lines,
)

from lab.lk_cli.output import cpu, memory
from lab.lk_cli.secrets import dotenv

# Which project, which agent

CREDENTIALS = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def configure(folder: Path, *names: str, default: str = "") -> None:
    """Write the configuration that C(lk cloud auth) leaves; a project's subdomain is its name."""
    path = folder / "home" / ".livekit" / "cli-config.yaml"
    path.parent.mkdir(parents=True)
    projects = "".join(
        f'    - name: {name}\n      project_id: ""\n      url: wss://{name}.livekit.cloud\n'
        f"      api_key: {KEY}\n      api_secret: {SECRET}\n"
        for name in names
    )
    path.write_text(f"default_project: {default}\nprojects:\n{projects}device_name: here\n", encoding="utf-8")
    path.chmod(0o600)


@each_lk
@pytest.mark.parametrize(
    ("arguments", "toml", "old_lines", "new_lines"),
    [
        (["--project", "my-project"], True, ["Using project [my-project]"], ["Using project [my-project]"]),
        (["--subdomain", "my-project"], True, ["Using project [my-project]"] * 2, ["Using project [my-project]"]),
        ([], True, ["Using project [my-project]"], ["Using project [my-project]"]),
        ([], False, ["Using default project [other]"], ["Using project [other]"]),
    ],
)
def test_a_configured_project(tmp_path, lk, arguments, toml, old_lines, new_lines):
    configure(tmp_path, "my-project", "other", default="other")
    where = make_project(tmp_path) if toml else tmp_path / "home"
    done = run(lk, tmp_path, *arguments, "agent", "secrets", "--id", AGENT, where=where, drop=CREDENTIALS)
    assert (done.code, status_lines(lk, done)[:-1]) == (0, new_lines if lk.new else old_lines)


@each_lk
def test_credentials_in_the_environment_beat_the_configuration(tmp_path, lk):
    configure(tmp_path, "other", default="other")
    assert status_lines(lk, run(lk, tmp_path, "agent", "secrets")) == LINES


@each_lk
def test_options_count_before_and_after_the_command(tmp_path, lk):
    flags = ["--url", "wss://my-project.livekit.cloud", "--api-key", KEY]
    done = run(lk, tmp_path, *flags, "agent", "secrets", f"--api-secret={SECRET}", drop=CREDENTIALS)
    assert (done.code, status_lines(lk, done)) == (0, LINES[1:])


@each_lk
@pytest.mark.parametrize(
    ("subdomain", "url", "text"),
    [
        ("another", "wss://my-project.livekit.cloud", "project does not match agent subdomain [another]"),
        ("localhost", "http://localhost:7880", "invalid project URL [http://localhost:7880]"),
        ("127", "http://127.0.0.1:7880", ""),
    ],
)
def test_the_projects_url_must_begin_with_the_subdomain(tmp_path, lk, subdomain, url, text):
    where = make_project(tmp_path, subdomain)
    done = run(lk, tmp_path, "agent", "secrets", where=where, LIVEKIT_URL=url)
    assert (done.code, done.err.splitlines()[-1:] if text else []) == ((1, [text]) if text else (0, []))


def test_nothing_chosen_asks_in_2_13(tmp_path):
    problem = "huh: could not open a new TTY: open /dev/tty: no such device or address"
    done = run(old, tmp_path, "agent", "secrets", where=tmp_path / "home")
    assert (done.code, done.err) == (1, problem + "\n")
    done = run(old, tmp_path, "agent", "secrets", drop=CREDENTIALS)
    assert (done.code, done.err) == (1, f"no project selected: {problem}\n")
    done = run(old, tmp_path, "agent", "update-secrets", "--overwrite", "--secrets", "A=b")
    assert (done.code, done.err) == (1, problem + "\n")


def test_a_dumb_terminals_no_is_taken_from_stdin_in_2_13(tmp_path):
    done = run(old, tmp_path, "agent", "update-secrets", "--overwrite", "--secrets", "A=b", TERM="dumb")
    assert (done.code, done.err) == (0, "")
    assert "Updated agent secrets" not in done.out


def test_nothing_chosen_takes_the_only_one_in_2_18(tmp_path):
    done = run(new, tmp_path, "agent", "secrets", where=tmp_path / "home")
    waiting = "No agent ID provided, selecting from available agents..."
    assert (done.code, done.err.splitlines()) == (0, [ENVIRONMENT_LINE, waiting, LINES[1]])
    none = "no projects configured; run `lk cloud auth` in an interactive terminal or set --project"
    assert run(new, tmp_path, "agent", "secrets", drop=CREDENTIALS).err == none + "\n"
    configure(tmp_path, "my-project")
    done = run(new, tmp_path, "--project", "no-such", "agent", "secrets", drop=CREDENTIALS)
    assert done.err.splitlines()[0] == "Using project [my-project]"
    done = run(new, tmp_path, "agent", "update-secrets", "--overwrite", "--secrets", "A=b")
    assert done.err.splitlines()[-1] == "Updated agent secrets"


def test_several_projects_are_one_too_many_in_2_18(tmp_path):
    configure(tmp_path, "one", "two")
    done = run(new, tmp_path, "agent", "secrets", drop=CREDENTIALS)
    assert done.err == "multiple projects configured; set --project in non-interactive mode\n"


def test_quiet_leaves_errors_and_results(tmp_path):
    done = run(new, tmp_path, "agent", "secrets", "--quiet")
    assert (done.code, done.err, done.out[0]) == (0, "", "┌")
    assert run(new, tmp_path, "-q", "agent", "rollback").err == 'Required flag "version" not set\n'


def test_a_version_that_it_cannot_be_is_refused(tmp_path):
    done = run(Lk(STAND_IN, "1.0"), tmp_path, "--version")
    assert (done.code, done.err) == (
        1,
        "LAB_LK_VERSION: expected one of 2.5.6, 2.12.9, 2.13.0, 2.13.2, 2.16.4, 2.18.2, got 1.0\n",
    )


# Small parts


@pytest.mark.parametrize(
    ("quantity", "millicores", "gibibytes"),
    [
        ("12m", "12m", "1.1e-11"),
        ("2", "2000m", "1.9e-09"),
        ("223Mi", "233832448000m", "0.22"),
        ("4Gi", "4294967296000m", "4"),
    ],
)
def test_quantities(quantity, millicores, gibibytes):
    assert (cpu(quantity), memory(quantity)) == (millicores, gibibytes)


def test_a_quantity_that_is_none_is_left_out(capsys):
    assert (cpu(""), memory("much", "GB")) == ("", "")
    assert "error parsing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nexport B = two # three", {"A": "1", "B": "two"}),
        ("A='$x # y'\nB=\"line\\nbreak\"", {"A": "$x # y", "B": "line\nbreak"}),
        ("A=one\nB=${A}-$C.", {"A": "one", "B": "one-."}),
        ("# A=1\nB=\nC: d", {"B": "", "C": "d"}),
    ],
)
def test_dotenv(text, found):
    assert dotenv(text) == found


def test_secrets_from_a_file_and_as_a_file(tmp_path):
    (tmp_path / "values").write_text("OPENAI_API_KEY='x'\nEMPTY=\n", encoding="utf-8")
    (tmp_path / "cert.pem").write_bytes(b"\xff")
    flags = ["--secrets-file", str(tmp_path / "values"), "--secret-mount", str(tmp_path / "cert.pem")]
    done = run(old, tmp_path, "agent", "update-secrets", *flags)
    assert "secret EMPTY is empty" in done.err
    done = run(old, tmp_path, "agent", "update-secrets", *flags, "--ignore-empty-secrets")
    assert "Skipped 1 empty secret(s): EMPTY\nUpdated agent secrets\n" in done.out
