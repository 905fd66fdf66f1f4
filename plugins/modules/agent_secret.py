#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_secret
short_description: Set one secret of the agent in LiveKit Cloud
version_added: 0.2.0
description:
  - Sets a secret, an environment variable of the agent, by LiveKit's command line program C(lk), and leaves the others
    as they are.
  - The value is in no argument, no log, no fact and no difference. It goes to C(lk) in a file that only its owner may
    read, and that is removed whatever happens.
  - LiveKit tells no value. So a secret that exists is set again and is always changed, unless O(only_if_missing).
  - LiveKit restarts the agent when a secret is set. The module waits until the agent is observed to run.
author: voiceops.livekit contributors (@voiceops)
requirements:
  - C(lk) 2.5 or newer on the host that runs the module, logged in or with the project's credentials as options.
    2.5.2 to 2.6.2 set nothing and say nothing of it, which makes the task fail.
options:
  name:
    description:
      - The secret's name. Letters, digits and C(_), at most 70 characters.
      - C(LIVEKIT_URL), C(LIVEKIT_API_KEY) and C(LIVEKIT_API_SECRET) are refused, since LiveKit itself sets them.
    type: str
    required: true
  value:
    description:
      - Its value, at most 16 KB. It may have several lines.
      - Refused is what C(lk) would alter. That is a single quote, a backslash at the end, a carriage return, and a line
        that ends in C(---).
    type: str
    required: true
  only_if_missing:
    description: Set the secret only if the agent has none of that name, and leave another value alone.
    type: bool
    default: false
  addresses:
    description:
      - URLs. A value that has the host of none of them is refused. What names no host counts for nothing, and without
        one any value will do.
    type: list
    elements: str
    default: []
  wait:
    description: Wait until the agent runs again. Of several secrets in a row, only the last need wait.
    type: bool
    default: true
  agent_id:
    description: The cloud agent's id. Read from C(livekit.toml) in O(agent_dir) by default.
    type: str
  agent_dir:
    description: The folder of the agent's source with its C(livekit.toml).
    type: path
  livekit_url:
    description: The project's URL. Together with key and secret; without them, C(lk) uses what it is logged in to.
    type: str
  livekit_api_key:
    description: The project's API key. It is passed on in the environment.
    type: str
  livekit_api_secret:
    description: The project's API secret. It is passed on in the environment.
    type: str
  lk:
    description: The C(lk) program, version 2.5 or newer.
    type: str
    default: lk
  lk_environment:
    description: More environment variables for C(lk), such as a proxy.
    type: dict
    default: {}
  deadline:
    description:
      - Seconds after which the task ends, whatever has happened by then.
      - LiveKit allows a build 10 minutes, and a new version 5 more to get healthy.
    type: float
    default: 900
  settle:
    description:
      - Seconds for which a failure or the agent's sleep must last before it counts.
      - LiveKit has called agents that idled C(Error), and a status lags behind what it tells of.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Checks name and value, and tells whether the secret would be set.
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: full
    details:
      - The difference tells when the secret was set, never its value.
"""

EXAMPLES = r"""
- name: Set a secret of the agent
  voiceops.livekit.agent_secret:
    name: INTERNAL_SERVICE_KEY
    value: "{{ vault_internal_service_key }}"
    agent_dir: ~/proto-trainer/livekit-agent

- name: Give back the secrets that an overwrite removed
  voiceops.livekit.agent_secret:
    name: "{{ item }}"
    value: "{{ voiceops_secret_values[item] }}"
    only_if_missing: true
    wait: "{{ ansible_loop.last }}"
    agent_dir: ~/proto-trainer/livekit-agent
  loop: "{{ voiceops_secret_values | list }}"
  loop_control:
    extended: true
"""

RETURN = r"""
changed:
  description: Whether LiveKit took the change on. It may be so of a task that failed, too.
  returned: always
  type: bool
summary:
  description: One sentence for people. That of a task that failed is also its C(msg).
  returned: always
  type: str
  sample: the secret INTERNAL_SERVICE_KEY is set, and the agent runs
steps:
  description: What was done, in order.
  returned: always
  type: list
  elements: dict
  contains:
    at:
      description: When it began, RFC 3339 in UTC, by the clock of the host that runs C(lk).
      returned: always
      type: str
    what:
      description: What it was.
      returned: always
      type: str
      sample: lk agent update-secrets
    took_s:
      description: How long it took, in seconds.
      returned: always
      type: float
    output:
      description: The last lines of what it said, at most 20, without secrets.
      returned: always
      type: list
      elements: str
before:
  description: >-
    The agent before: C(version), C(commit), C(status), C(replicas), C(deployed_at), C(crashes) and
    C(secret_updated_at), each null where C(lk) does not tell; empty if it could not be looked at.
  returned: always
  type: dict
after:
  description: The same after it; in check mode, what is expected.
  returned: always
  type: dict
observed:
  description: How the agent was observed at the end, V(running) or V(asleep); null if nothing was waited for.
  returned: always
  type: str
limits:
  description: What the result does not prove, and why.
  returned: always
  type: list
  elements: str
reason:
  description: One word for why it failed, such as V(refused), V(nothing_done), V(crashed), V(late) or V(rate_limited).
  returned: on failure
  type: str
  sample: nothing_done
"""

import signal
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.agent_secret import set_secret
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import known

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "value": {"type": "str", "required": True, "no_log": True},
    "only_if_missing": {"type": "bool", "default": False},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "bool", "default": True},
    "agent_id": {"type": "str"},
    "agent_dir": {"type": "path"},
    "livekit_url": {"type": "str"},
    "livekit_api_key": {"type": "str", "no_log": True},
    "livekit_api_secret": {"type": "str", "no_log": True},
    "lk": {"type": "str", "default": "lk"},
    "lk_environment": {"type": "dict", "default": {}, "no_log": True},
    "deadline": {"type": "float", "default": 900},
    "settle": {"type": "float", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # Ansible would mask any 1 or C for being a value in the environment.
    module.no_log_values = set(known(ARGUMENT_SPEC, module.params))
    for number in (signal.SIGTERM, signal.SIGHUP):
        # An end from outside must not leave the file with the value behind.
        signal.signal(
            number, lambda *_: module.fail_json(msg="ended from outside; whether the secret is set is not known")
        )
    for name in ("deadline", "settle"):
        if not 0 < module.params[name] <= 3600:
            module.fail_json(msg=f"{name}: expected seconds above 0 and up to 3600, got {module.params[name]:g}")
    result = set_secret(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    if result["changed"]:
        result["diff"] = {"before": result["before"], "after": result["after"]}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
