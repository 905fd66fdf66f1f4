#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redispatch
short_description: Ask for the agent in the room where a person waits, and watch whether it comes
version_added: 0.2.0
description:
  - Dispatches the agent (C(CreateDispatch)) into the room of the person who has waited longest, and watches the room.
  - It harms nobody. Where an agent is in the room, or a worker accepted a job since the person joined, nothing is done;
    and if no worker accepts the job in time, the dispatch is withdrawn, so that no second agent comes later.
  - An agent that does not come is a result, not a failure of the task.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return what would be done.
    support: full
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
requirements:
  - livekit-api >= 1.2 on the host that runs the module, which is meant to be the controller
options:
  gathered:
    description: The evidence records of other layers, which the fact that is set keeps beside this one.
    type: dict
    default: {}
  livekit_url:
    description: The project's URL, such as V(wss://my-project.livekit.cloud).
    type: str
    required: true
  livekit_api_key:
    description: The project's API key.
    type: str
    required: true
  livekit_api_secret:
    description: The project's API secret.
    type: str
    required: true
  agent_name:
    description: The agent's dispatch name; empty for automatic dispatch.
    type: str
    default: ""
  room:
    description: The room. By default that of the person who has waited longest.
    type: str
    default: ""
  deadline:
    description: Seconds after which an agent that has not joined counts as not coming.
    type: float
    default: 90
  cold_start:
    description: Seconds that a cold start may take; only noted in the record.
    type: float
    default: 10
  probe_room_prefix:
    description: Rooms whose names begin so are our own probes, and nobody waits there.
    type: str
    default: zz-probe-
  synthetic_users:
    description: User ids that are never a real user's.
    type: list
    elements: str
    default: ["00000000-0000-0000-0000-000000000000"]
"""

EXAMPLES = r"""
- name: Ask for the agent where a person waits
  voiceops.livekit.redispatch:
    livekit_url: wss://my-project.livekit.cloud
    livekit_api_key: "{{ lookup('ansible.builtin.env', 'LIVEKIT_API_KEY') }}"
    livekit_api_secret: "{{ lookup('ansible.builtin.env', 'LIVEKIT_API_SECRET') }}"
"""

RETURN = r"""
summary:
  description: What was done and what came of it, one sentence.
  returned: always
  type: str
  sample: An agent joined the person in session-41 1.2 s after it was asked for again.
room:
  description: The room; empty if nobody waits.
  returned: always
  type: str
steps:
  description: What was done, each with C(at) (RFC 3339 in UTC), C(what), C(took_s) and C(output).
  returned: always
  type: list
  elements: dict
before:
  description: What was so before.
  returned: always
  type: dict
after:
  description: What is so now.
  returned: always
  type: dict
record:
  description: >-
    The evidence record of the layer C(dispatch), as M(voiceops.livekit.dispatch_probe) returns it, with the person's
    room as its source; V(null) if nobody was asked for. It is also set as a fact.
  returned: always
  type: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.livekit import LiveKitError
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data
from ansible_collections.voiceops.livekit.plugins.module_utils.redispatch import redispatch
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import rfc3339

ARGUMENT_SPEC: dict[str, Any] = {
    "gathered": {"type": "dict", "default": {}},
    "livekit_url": {"type": "str", "required": True},
    "livekit_api_key": {"type": "str", "required": True, "no_log": True},
    "livekit_api_secret": {"type": "str", "required": True, "no_log": True},
    "agent_name": {"type": "str", "default": ""},
    "room": {"type": "str", "default": ""},
    "deadline": {"type": "float", "default": 90},
    "cold_start": {"type": "float", "default": 10},
    "probe_room_prefix": {"type": "str", "default": "zz-probe-"},
    "synthetic_users": {
        "type": "list",
        "elements": "str",
        "default": ["00000000-0000-0000-0000-000000000000"],
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    if not 0 < params["deadline"] <= 3600:
        module.fail_json(msg=f"deadline: expected seconds above 0 and up to 3600, got {params['deadline']:g}")
    at, began = time.time(), time.monotonic()
    try:
        done = redispatch(params, params["deadline"], params["cold_start"], dry=module.check_mode)
    except LiveKitError as error:
        module.fail_json(msg=f"The agent could not be asked for: {error}.")
    step = {"at": rfc3339(at), "what": done.summary, "took_s": round(time.monotonic() - began, 1), "output": []}
    joined = done.record["signals"]["joined"] if done.record else None
    result = {
        "summary": done.summary,
        "room": done.room,
        "steps": [step] if done.changed else [],
        "before": {"agent_in_room": False} if done.room else {},
        "after": {"agent_in_room": joined} if done.record else {},
        "record": done.record,
    }
    known = [params["livekit_api_key"], params["livekit_api_secret"]]
    module.exit_json(changed=done.changed, **redact_data(result, known))


if __name__ == "__main__":
    main()
