# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong option is told of in a sentence that names the variable, says what was expected, and holds no secret."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.voiceops.livekit.plugins.plugin_utils import options

SPEC: dict[str, Any] = {
    "name": {"type": "str"},
    "dir": {"type": "path"},
    "key": {"type": "str", "no_log": True},
    "deadline": {"type": "float"},
    "port": {"type": "int"},
    "listen": {"type": "bool"},
    "users": {"type": "list", "elements": "str"},
    "probes": {"type": "list", "elements": "dict"},
    "environment": {"type": "dict"},
    "via": {"type": "str", "choices": ["lk", "api"]},
    "run": {"type": "dict", "options": {"clock": {"type": "dict"}}},
}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"name": ["a"]}, "v_name: expected a text, got a list"),
        ({"name": {"a": 1}}, "v_name: expected a text, got names with values"),
        ({"name": True}, "v_name: expected a text, got True"),
        ({"dir": ["/x"]}, "v_dir: expected a path, got a list"),
        ({"deadline": "abc"}, "v_deadline: expected seconds above 0 and up to 3600, got 'abc'"),
        ({"deadline": ""}, "v_deadline: expected seconds above 0 and up to 3600, got ''"),
        ({"deadline": "nan"}, "v_deadline: expected seconds above 0 and up to 3600, got 'nan'"),
        ({"deadline": float("inf")}, "v_deadline: expected seconds above 0 and up to 3600, got inf"),
        ({"deadline": -5}, "v_deadline: expected seconds above 0 and up to 3600, got -5"),
        ({"deadline": 0}, "v_deadline: expected seconds above 0 and up to 3600, got 0"),
        ({"deadline": 1e12}, "v_deadline: expected seconds above 0 and up to 3600, got 1000000000000.0"),
        ({"deadline": True}, "v_deadline: expected seconds above 0 and up to 3600, got True"),
        ({"port": "http"}, "v_port: expected a whole number, got 'http'"),
        ({"listen": "maybe"}, "v_listen: expected true or false, got 'maybe'"),
        ({"users": {"a": 1}}, "v_users: expected a list of texts, got names with values"),
        ({"users": [{"name": "a"}]}, "v_users: expected a list of texts, got a list"),
        ({"environment": [1]}, "v_environment: expected names with their values, got a list"),
        ({"environment": "hunter2"}, "v_environment: expected names with their values"),
        ({"via": "Mac"}, "v_via: expected one of lk, api, got 'Mac'"),
        ({"via": ["lk"]}, "v_via: expected one of lk, api, got a list"),
        ({"key": ["hunter2"]}, "v_key: expected a text"),
        ({"key": 5}, "v_key: expected a text of 4 characters or more, since a shorter secret could not be masked"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named(args, sentence):
    with pytest.raises(AnsibleActionFail) as told:
        options.given(SPEC, args, "v_{}".format)

    assert told.value.message == sentence


@pytest.mark.parametrize(
    "args",
    [
        {"name": ""},
        {"deadline": "20"},
        {"deadline": 0.5},
        {"port": "3003"},
        {"listen": "yes"},
        {"users": "a,b"},
        {"users": []},
        {"probes": [{"since": "x"}]},
        {"environment": {"A": "b"}},
        {"key": ""},
        {"key": "four"},
        {"run": {"more": "than it takes"}},
        {"not_in_the_spec": object},
    ],
    ids=str,
)
def test_a_good_option_is_left_as_it_is(args):
    assert options.given(SPEC, args) == args


def test_a_number_may_be_a_text():
    assert options.given(SPEC, {"name": 5, "dir": "~/x"}) == {"name": "5", "dir": "~/x"}


def test_a_variable_that_is_left_empty_in_yaml_is_not_given():
    assert options.given(SPEC, {"users": None, "deadline": None, "name": "x"}) == {"name": "x"}
