# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in the environment that is given to lk is masked in what a module prints and logs, the rest is not."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.voiceops.livekit.plugins.modules import agent, agent_secret, evidence_facts

ENVIRONMENT = {
    "HTTPS_PROXY": "http://brad:pa55%2Fword@proxy.example:3128",
    "LK_TOKEN": "opaque-4711-value",
    "FLAG": "1",
    "LANG": "C",
    "HOME": "/home/brad",
}
HIDDEN = ("pa55", "opaque-4711-value")
OTHER: dict[ModuleType, dict[str, Any]] = {
    agent: {"state": "restarted"},
    agent_secret: {"name": "A_NAME", "value": "a value 4712"},
    evidence_facts: {"layers": ["agent"]},
}


@pytest.mark.parametrize("module", OTHER, ids=lambda module: module.__name__.rpartition(".")[2])
def test_only_what_is_secret_is_masked(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, line, **_more: logged.append(str(line)))
    given = {"lk": "/no/such/lk", "lk_environment": ENVIRONMENT, "agent_dir": "/no/such/folder", **OTHER[module]}
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()

    printed = capfd.readouterr().out
    assert [hidden for hidden in HIDDEN if hidden in printed + "".join(logged)] == []
    assert logged
    shown = json.loads(printed)["invocation"]["module_args"]["lk_environment"]
    assert {name: shown[name] for name in ("FLAG", "LANG", "HOME")} == {"FLAG": "1", "LANG": "C", "HOME": "/home/brad"}
    assert shown["HTTPS_PROXY"].endswith("proxy.example:3128")
