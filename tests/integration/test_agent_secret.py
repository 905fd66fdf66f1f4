# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret set by C(lk), stand-in or real, at the stand-in cloud: never shown, never by --overwrite, seen to be set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.agent_running import SLEEPS, set_secret
from integration.lk_running import AGENT, STAND_IN, each_of

from ansible_collections.voiceops.livekit.plugins.module_utils import agent_secret, agent_watch
from lab.lk_cli.secrets import dotenv

VALUE = 's3cr3t-$HOME-#1 "two" \\n\nsecond line'


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ten times as often as with the real cloud."""
    monkeypatch.setattr(agent_watch, "POLL_S", 0.2)
    monkeypatch.setattr(agent_secret, "POLL_S", 0.2)


def recording(folder: Path) -> str:
    """Make an C(lk) that keeps a copy of the secrets file that it is given, and notes its mode."""
    wrapped = folder / "lk"
    wrapped.write_text(
        "#!/bin/sh\n"
        f'for word; do case "$word" in *.env) cp "$word" "{folder}/seen"; echo "$word" > "{folder}/path"; '
        f'ls -l "$word" | cut -c1-10 > "{folder}/mode"; ls -ld "$(dirname "$word")" | cut -c1-10 >> "{folder}/mode";; '
        f'esac; done\nexec "{STAND_IN}" "$@"\n',
        encoding="utf-8",
    )
    wrapped.chmod(0o755)
    return str(wrapped)


@each_of("2.13.2", "2.16.4", "2.18.2")
def test_a_secret_is_set_beside_the_others_and_seen_to_be(tmp_path, lk):
    done = set_secret(tmp_path, "NEW_ONE", VALUE, agent=SLEEPS, by=lk)
    assert done.result["summary"] == "the secret NEW_ONE is set, and the agent runs"
    assert (done.result["changed"], done.result["observed"], done.result["limits"]) == (True, "running", [])
    assert done.result["before"]["secret_updated_at"] is None
    assert done.result["after"]["secret_updated_at"] is not None
    assert done.commands == ["update-secrets"]
    assert "--overwrite" not in json.dumps(done.calls)


def test_the_value_is_in_a_file_that_only_its_owner_may_read_which_is_gone_afterwards(tmp_path):
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, lk=recording(tmp_path), wait=False)
    assert done.result["changed"] is True
    assert (tmp_path / "mode").read_text(encoding="utf-8").split() == ["-rw-------", "drwx------"]
    assert dotenv((tmp_path / "seen").read_text(encoding="utf-8")) == {"OPENAI_API_KEY": VALUE}
    gone = Path((tmp_path / "path").read_text(encoding="utf-8").strip())
    assert not gone.exists()
    assert not gone.parent.exists()


@each_of("2.13.2", "2.18.2")
@pytest.mark.parametrize("fault", [{}, {"UpdateAgentSecrets": {"msg": f"cannot store {VALUE.splitlines()[0]}"}}])
def test_the_value_is_in_no_argument_and_no_result(tmp_path, fault, lk):
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, cloud={"faults": fault}, wait=False, by=lk)
    assert bool(done.result.get("failed")) is bool(fault)
    for line in VALUE.splitlines():
        assert line not in json.dumps(done.calls)
        assert json.dumps(line)[1:-1] not in json.dumps(done.result)


def test_the_file_is_gone_even_if_lk_fails(tmp_path):
    faults = {"UpdateAgentSecrets": {"status": 429, "code": "resource_exhausted", "msg": "too many requests"}}
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, lk=recording(tmp_path), cloud={"faults": faults})
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "rate_limited", False)
    assert not Path((tmp_path / "path").read_text(encoding="utf-8").strip()).exists()


@each_of("2.5.6")
def test_an_old_lk_that_does_nothing_and_says_nothing_is_found_out(tmp_path, lk):
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, by=lk)
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "nothing_done", False)
    assert "lk 2.5.6 ended without a word, so the secret OPENAI_API_KEY is not set" in done.result["msg"]


def test_a_success_that_livekits_list_does_not_show_is_none(tmp_path):
    wrapped = tmp_path / "lk"
    wrapped.write_text(
        '#!/bin/sh\n[ "$2" != update-secrets ] || { echo "Updated agent secrets"; exit 0; }\n'
        f'exec "{STAND_IN}" "$@"\n',
        encoding="utf-8",
    )
    wrapped.chmod(0o755)
    done = set_secret(tmp_path, "NEW_ONE", VALUE, lk=str(wrapped))
    assert (done.result["failed"], done.result["reason"]) == (True, "not_observed")
    known = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, lk=str(wrapped), wait=False)
    assert "that it is set is lk's word alone" in known.result["limits"][0]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("value", ["https://old.ngrok.app", "https://my-new.ngrok.app", "new.ngrok.app"])
def test_an_address_at_which_no_tunnel_runs_is_refused(tmp_path, value, check):
    served = ["https://NEW.ngrok.app", "tcp://1.tcp.ngrok.io:4711", "unknown"]
    done = set_secret(tmp_path, "NEXT_APP_URL", value, addresses=served, check=check)
    assert (done.result["failed"], done.result["reason"], done.commands) == (True, "refused", [])
    assert "expected an address at new.ngrok.app or 1.tcp.ngrok.io, where a tunnel runs now" in done.result["msg"]
    assert "old.ngrok.app" not in json.dumps(done.result)


@pytest.mark.parametrize("addresses", [["https://old.ngrok.app", "https://New.ngrok.app:443"], ["unknown"], [""], []])
def test_an_address_of_a_tunnel_that_runs_is_set_and_any_where_none_is_known_to(tmp_path, addresses):
    done = set_secret(tmp_path, "NEXT_APP_URL", "https://new.ngrok.app/", addresses=addresses, check=True)
    assert done.result["changed"] is True


def test_in_check_mode_it_is_told_and_nothing_is_done(tmp_path):
    done = set_secret(tmp_path, "NEW_ONE", VALUE, check=True)
    assert (done.result["changed"], done.commands) == (True, [])
    assert done.result["summary"] == "would set the secret NEW_ONE"


def test_one_that_exists_is_left_alone_if_only_missing_ones_are_wanted(tmp_path):
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, only_if_missing=True)
    assert (done.result["changed"], done.commands) == (False, [])
    assert done.result["summary"] == "the secret OPENAI_API_KEY exists already: nothing was done"
    missing = set_secret(tmp_path, "NEW_ONE", VALUE, only_if_missing=True, agent=SLEEPS)
    assert missing.result["changed"] is True


def test_an_agent_that_crashes_with_the_new_secret_is_told(tmp_path):
    done = set_secret(tmp_path, "OPENAI_API_KEY", VALUE, agent={**SLEEPS, "crashes": True})
    assert (done.result["failed"], done.result["reason"], done.result["changed"]) == (True, "crashed", True)
    assert "the secret OPENAI_API_KEY is set, but the agent does not run" in done.result["msg"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LIVEKIT_API_KEY", "x", "expected a secret of your own"),
        ("1ST", "x", "expected letters, digits and _"),
        ("A", "", "a value, got nothing"),
        ("A", "it's", "no single quote"),
        ("A", "ends\\", "no backslash at its end"),
        ("A", "two\r\nlines", "no carriage return"),
        ("A", "-----BEGIN KEY-----\nabc", "use `lk agent update-secrets --secret-mount`"),
        ("A", "x" * 16385, "at most 16 KB"),
    ],
)
def test_what_lk_cannot_take_is_refused_without_showing_it(tmp_path, name, value, sentence):
    done = set_secret(tmp_path, name, value)
    assert (done.result["failed"], done.result["reason"], done.calls) == (True, "refused", [])
    assert sentence in done.result["msg"]
    assert len(value) < 3 or value not in json.dumps(done.result)


def test_an_lk_that_hangs_is_ended_at_the_deadline(tmp_path):
    done = set_secret(tmp_path, "A", "x", cloud={"faults": {"UpdateAgentSecrets": {"hangs": True}}}, deadline=12.0)
    assert (done.result["failed"], done.result["reason"]) == (True, "timeout")
    assert ["agent", "update-secrets"] in [words[:2] for words in done.calls]
    assert AGENT in done.calls[-1]
