#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent
short_description: Restart, deploy or roll back the agent in LiveKit Cloud, and wait until it runs
version_added: 0.2.0
description:
  - Changes the agent by LiveKit's command line program C(lk), without ever being asked a question, or without it where
    O(agent_via) says so, and waits until the agent is observed in its new state. C(lk) itself does not wait for that.
  - Whether a new session gets the agent is not tried here. M(voiceops.livekit.dispatch_probe) does that.
  - While it runs, a sign of life is shown. Where it runs on the controller itself, so are the steps of a build.
author: voiceops.livekit contributors (@voiceops)
requirements:
  - C(lk) 2.5 or newer on the host that runs the module, logged in or with the project's credentials as options, but for
    O(agent_via=api)
  - git, for O(source)
options:
  state:
    description:
      - V(deployed) deploys the source in O(agent_dir) as a new version, V(restarted) replaces the agent's containers,
        V(rolled_back) puts O(version) into production, which LiveKit offers on paid plans only.
      - V(rolled_back) to a version that serves already changes nothing. The others have no such natural end, since a
        new container of the same version may be just what is wanted. O(from_version) gives them one.
    type: str
    choices: [deployed, restarted, rolled_back]
    required: true
  from_version:
    description:
      - Act only while this version serves, and change nothing when another one does.
      - So a deploy or a rollback that was begun for a version is not done twice, even by a run after a killed one.
    type: str
  version:
    description:
      - For O(state=rolled_back), the version to go back to.
      - V(previous) is the newest from before the current one that was ever deployed and has not failed.
    type: str
    default: previous
  source:
    description:
      - For O(state=deployed), what the source must be. A repair by other code would hide the cause.
      - V(same) refuses a working tree that differs from its commit, and a commit that is known to be another than the
        deployed one. C(lk) 2.18 and newer note the commit at a deploy; for others it is not known, and a limit says so.
      - V(clean) only refuses a working tree that differs from its commit. V(any) refuses nothing.
    type: str
    choices: [same, clean, any]
    default: same
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
  agent_via:
    description:
      - V(lk) acts by C(lk) on this host. V(api) acts by LiveKit's agent API from the controller, and asks this host
        nothing. It needs O(livekit_url), O(livekit_api_key) and O(livekit_api_secret), and O(agent_id) if the project
        has several agents.
      - V(auto) acts by C(lk), and from the controller if this host does not answer within 15 s, or has no C(lk) that
        works. What was begun one way is never done again the other way.
      - Only C(lk) can do O(state=deployed).
    type: str
    choices: [auto, lk, api]
    default: auto
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
      - Looks at the agent and its source, refuses what it would refuse, and tells what it would do.
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: full
"""

EXAMPLES = r"""
- name: Deploy the agent again from the source that is deployed
  voiceops.livekit.agent:
    state: deployed
    agent_dir: ~/proto-trainer/livekit-agent

- name: Restart the agent
  voiceops.livekit.agent:
    state: restarted
    agent_id: CA_abc123def456
    livekit_url: wss://my-project.livekit.cloud
    livekit_api_key: "{{ vaulted_livekit_api_key }}"
    livekit_api_secret: "{{ vaulted_livekit_api_secret }}"

- name: Go back from a version that crashes, unless somebody has done so already
  voiceops.livekit.agent:
    state: rolled_back
    from_version: "20260204101112"
    agent_dir: ~/proto-trainer/livekit-agent
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
  sample: version 20260204101112 is deployed in place of 20260201090000, and runs
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
      sample: lk agent deploy
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
    The agent before: C(version), C(commit), C(status), C(replicas), C(deployed_at), C(crashes), each null where
    C(lk) does not tell; empty if it could not be looked at.
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
rollback_to:
  description: The version that served before the one that was deployed; null if none was.
  returned: always
  type: str
reason:
  description: One word for why it failed, such as V(refused), V(build_failed), V(crashed), V(late) or V(rate_limited).
  returned: on failure
  type: str
  sample: build_failed
source:
  description: >-
    What was deployed: C(commit), C(deployed_commit), C(same), C(dirty) and at most ten C(changes); null for other
    states, and null in it is what is not known.
  returned: always
  type: dict
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.agent_change import change
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import known

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["deployed", "restarted", "rolled_back"], "required": True},
    "from_version": {"type": "str"},
    "version": {"type": "str", "default": "previous"},
    "source": {"type": "str", "choices": ["same", "clean", "any"], "default": "same"},
    "agent_id": {"type": "str"},
    "agent_dir": {"type": "path"},
    "livekit_url": {"type": "str"},
    "livekit_api_key": {"type": "str", "no_log": True},
    "livekit_api_secret": {"type": "str", "no_log": True},
    "agent_via": {"type": "str", "choices": ["auto", "lk", "api"], "default": "auto"},
    "lk": {"type": "str", "default": "lk"},
    "lk_environment": {"type": "dict", "default": {}, "no_log": True},
    "deadline": {"type": "float", "default": 900},
    "settle": {"type": "float", "default": 60},
}


def run(params: dict[str, Any], check: bool, tell: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Return the module's result; C(tell) is given a build's steps as they begin."""
    for name in ("deadline", "settle"):
        if not 0 < params[name] <= 3600:
            return {"failed": True, "msg": f"{name}: expected seconds above 0 and up to 3600, got {params[name]:g}"}
    result = change(params, check, tell)
    if result["changed"]:
        result["diff"] = {"before": result["before"], "after": result["after"]}
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # Ansible would mask any 1 or C for being a value in the environment.
    module.no_log_values = set(known(ARGUMENT_SPEC, module.params))
    result = run(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
