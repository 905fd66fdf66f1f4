# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets one secret of the agent by C(lk agent update-secrets), from a value that is never shown.

The value goes to lk in a file that only its owner may read, and that is gone afterwards. lk reads it with godotenv
1.5: in single quotes a value is taken as it stands, but for what C(value_problem) names.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.voiceops.livekit.plugins.module_utils import lk
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_act import Act, ChangeError, Steps, failed
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_change import (
    await_restart,
    open_act,
    watch_restart,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.agent_watch import POLL_S
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.inspector import host_of
from ansible_collections.voiceops.livekit.plugins.module_utils.layers.secrets import GIVEN_BY_LIVEKIT, secrets_of

SUCCESS = "Updated agent secrets"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,69}")
LONGEST_VALUE = 16 * 1024
# How often the list of secrets is asked for, until it shows the change.
LOOKS = 5


def set_secret(options: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """Set the secret C(options['name']) and return the module's result; C(failed) is set if it cannot be."""
    name, value = options["name"], options["value"]
    hidden = (*lk.secrets_of(options), value, *value.split("\n"))
    steps = Steps(lambda line: None, hidden)
    act = None
    try:
        _check(name, value)
        act = open_act(options, steps)
        act.session = act.session._replace(secrets=hidden)
        known = _listed(act)
        if options["only_if_missing"] and name in known:
            return _told(
                act.ended(f"the secret {name} exists already: nothing was done", changed=False), known, known, name
            )
        _check_address(name, value, options.get("addresses") or [])
        if check:
            return _told(act.ended(f"would set the secret {name}"), known, known, name)
        return _set(act, known)
    except (lk.LkError, ChangeError) as error:
        return failed(error, steps, act)


def _set(act: Act, known: dict[str, str | None]) -> dict[str, Any]:
    name = act.options["name"]
    watch = watch_restart(act) if act.options["wait"] else None
    with private_file(dotenv_line(name, act.options["value"])) as path:
        result = act.run(["update-secrets", "--secrets-file", path], "lk agent update-secrets")
    lk.check(act.session, result)
    if SUCCESS not in result.stdout and SUCCESS not in result.stderr:
        version = ".".join(map(str, act.session.version or ())) or "of a version that it does not tell"
        raise ChangeError(
            "nothing_done",
            f"lk {version} ended without a word, so the secret {name} is not set: 2.5.2 to 2.6.2 do that, update lk",
        )
    act.changed = True
    now, limits = _observe(act, known)
    if watch is None:
        limits.append("LiveKit restarts the agent for it: whether it runs again was not looked at")
        return _told(act.ended(f"the secret {name} is set", limits=limits), known, now, name)
    ended = await_restart(act, watch(), f"the secret {name} is set")
    ended["limits"] = [*limits, *ended["limits"]]
    return _told(ended, known, now, name)


def _observe(act: Act, known: dict[str, str | None]) -> tuple[dict[str, str | None], list[str]]:
    """Wait until LiveKit lists the secret as set just now; return the list, and what it does not prove."""
    name, now = act.options["name"], known
    with act.steps.step("look at the secrets"):
        for turn in range(LOOKS):
            time.sleep(POLL_S if turn else 0)
            now = _listed(act)
            if name in now and now[name] != known.get(name):
                return now, []
    if name not in now:
        raise ChangeError("not_observed", f"lk said {SUCCESS!r}, but LiveKit lists no secret {name}")
    return now, ["LiveKit lists the secret with the time that it had before: that it is set is lk's word alone"]


def _listed(act: Act) -> dict[str, str | None]:
    return secrets_of(lk.read(act.session, "secrets", act.soon()))


def _told(
    result: dict[str, Any], known: dict[str, str | None], now: dict[str, str | None], name: str
) -> dict[str, Any]:
    """Add when the secret was set, before and after."""
    result["before"] = {**result["before"], "secret_updated_at": known.get(name)}
    result["after"] = {**result["after"], "secret_updated_at": now.get(name)}
    return result


def _check(name: str, value: str) -> None:
    if name in GIVEN_BY_LIVEKIT:
        raise ChangeError("refused", f"name: expected a secret of your own, got {name}, which LiveKit itself sets")
    if not _NAME.fullmatch(name):
        raise ChangeError(
            "refused", f"name: expected letters, digits and _, no digit first, at most 70 characters, got {name[:80]!r}"
        )
    problem = value_problem(value)
    if problem:
        raise ChangeError("refused", f"value (of {name}): expected {problem}")


def _check_address(name: str, value: str, addresses: Iterable[str]) -> None:
    """Refuse a value that has the host of none of the C(addresses), as far as they name any."""
    hosts = list(filter(None, map(host_of, addresses)))
    if hosts and host_of(value) not in hosts:
        raise ChangeError(
            "refused",
            f"value (of {name}): expected an address at {' or '.join(hosts)}, where a tunnel runs now, got another one,"
            " which may be an old one of the vault",
        )


def value_problem(value: str) -> str | None:
    """Say what lk's secrets file needs of a value that this one lacks; None if it can hold it unchanged."""
    if not value:
        return "a value, got nothing, which lk refuses"
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_VALUE:
        return "at most 16 KB, which is LiveKit's limit"
    if "'" in value:
        return "no single quote, which lk's secrets file cannot hold: choose another value"
    if value.endswith("\\"):
        return "no backslash at its end, which lk takes for a sign before the closing quote: choose another value"
    if "\r" in value or "\0" in value:
        return "no carriage return and no NUL, which lk's secrets file cannot hold"
    if "---\n" in value:
        return "no line that ends in ---, as PEM has, which lk may drop: use `lk agent update-secrets --secret-mount`"
    return None


def dotenv_line(name: str, value: str) -> str:
    """Write the line of a secrets file for a value that C(value_problem) has nothing against."""
    return f"{name}='{value}'\n"


@contextlib.contextmanager
def private_file(text: str) -> Iterator[str]:
    """Give the path of a file with C(text) that only its owner may read, and remove it whatever happens."""
    folder = tempfile.mkdtemp(prefix="voiceops-")
    try:
        path = os.path.join(folder, "secrets.env")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
