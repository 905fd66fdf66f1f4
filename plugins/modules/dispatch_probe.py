#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dispatch_probe
short_description: Find out whether a LiveKit agent joins a room now
version_added: 0.1.0
description:
  - Creates a room of its own with a dispatch, watches whether an agent joins it, and removes the room again,
    whatever happens.
  - B(This is intrusive.) It wakes a sleeping agent, so that its sleep can no longer be examined, and it runs the
    agent's entrypoint, which may call back, and may cost agent minutes. Gather all other evidence first.
  - The job's metadata is a JSON object with C(probe) set to true, C(probe_id), and C(no_callback) set to true, so that
    the agent's code may tell a probe from a user, and leave at once. With O(listen), C(probe) is C(audible) instead.
    See C(docs/examples) in the collection for an agent that knows both.
  - A third of the deadline after the room's creation, if no worker has accepted a job, it asks again by
    C(CreateDispatch), which tells a lost dispatch from a missing worker.
  - If an agent joined, but only after O(cold_start), a second room is tried, which tells a cold start from a slow
    agent.
  - Does nothing while another probe runs. An agent that does not join is a result, not a failure of the task.
author: voiceops.livekit contributors (@voiceops)
requirements:
  - livekit-api >= 1.2 on the host that runs the module, which is meant to be the controller
  - livekit (the realtime SDK) there as well, only for O(listen)
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
  deadline:
    description:
      - Seconds after which an agent that has not joined counts as not joining.
      - A cold start takes 10 to 25 seconds, so much less than the default proves little.
    type: float
    default: 90
  cold_start:
    description: Seconds from which a start counts as slow. A client gives up after 20 by default, and a person earlier.
    type: float
    default: 10
  probe_room_prefix:
    description:
      - The names of the probe's rooms begin so.
      - Rooms that earlier probes left are removed when they are older than ten minutes.
    type: str
    default: zz-probe-
  listen:
    description:
      - Join the agent, once it is in the room, and listen whether it can be heard. Only that proves the way of sound.
      - The agent may greet who joins, which costs what its speaking costs.
    type: bool
    default: false
  probe_id:
    description: Identifies this run's probes in the job's metadata.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Does nothing in check mode, and the record says so.
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
    details:
      - The module leaves nothing changed.
"""

EXAMPLES = r"""
- name: Does an agent join a room now?
  voiceops.livekit.dispatch_probe:
    livekit_url: wss://my-project.livekit.cloud
    livekit_api_key: "{{ vaulted_livekit_api_key }}"
    livekit_api_secret: "{{ vaulted_livekit_api_secret }}"
    agent_name: voice
  delegate_to: localhost
  register: probe

- name: Stop if it does not
  ansible.builtin.assert:
    that: probe.record.signals.joined
    fail_msg: "{{ probe.record.summary }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts that are set for the host.
  returned: always
  type: complex
  contains:
    voiceops_evidence:
      description: The evidence records in O(gathered), and RV(record) as C(dispatch).
      returned: always
      type: dict
record:
  description: The evidence record of the layer C(dispatch).
  returned: always
  type: complex
  contains:
    layer:
      description: Always V(dispatch).
      returned: always
      type: str
      sample: dispatch
    state:
      description:
        - V(healthy) if an agent joined, V(faulty) if none did or only after O(cold_start), V(unknown) if that could not
          be found out.
      returned: always
      type: str
      sample: healthy
    summary:
      description: One line for people.
      returned: always
      type: str
      sample: an agent joined after 1.2 s
    signals:
      description: What rules may name. A value of V(null) means that it is not known.
      returned: always
      type: complex
      contains:
        ran:
          description: Whether there was a test that ended.
          returned: always
          type: bool
        source:
          description: V(probe), or V(none) if there was no test.
          returned: always
          type: str
        why_not:
          description: Why there was no test, or none that ended.
          returned: always
          type: str
        requested:
          description: Whether the room had a dispatch.
          returned: always
          type: bool
        asked_names:
          description: The agents' names that the room asks for, '' for automatic dispatch.
          returned: always
          type: list
          elements: str
        accepted:
          description: Whether a worker accepted its job.
          returned: always
          type: bool
        accepted_after_s:
          description: Seconds from the dispatch to that, by LiveKit's own clock.
          returned: always
          type: float
        joined:
          description: Whether an agent became active in the room; V(false) only after the whole deadline was watched.
          returned: always
          type: bool
        joined_after_s:
          description: Seconds from the room's creation to the agent's being active.
          returned: always
          type: float
        retry_joined_after_s:
          description: The same of the second room, if one was tried.
          returned: always
          type: float
        ready:
          description: >-
            Whether the agent's session is ready by its attribute C(lk.agent.state); V(null) if the agent does not tell.
          returned: always
          type: bool
        ready_after_s:
          description: Seconds from the room's creation to that.
          returned: always
          type: float
        audible:
          description: >-
            Whether an audio track of the agent is published, as the server sees it. See RV(record.signals.heard) for
            sound.
          returned: always
          type: bool
        audible_after_s:
          description: Seconds from the room's creation to that.
          returned: always
          type: float
        heard:
          description: >-
            Whether sound of the agent was received; V(null) without O(listen), or if listening itself failed.
          returned: always
          type: bool
        heard_after_s:
          description: Seconds from the room's creation to that, which the listener's joining delays.
          returned: always
          type: float
        level:
          description: >-
            How far the agent came, V(none), V(accepted), V(joined), V(ready), V(audible) or V(heard); V(null) without a
            test.
          returned: always
          type: str
        left_again:
          description: Whether the agent was active in the room and left it before we did.
          returned: always
          type: bool
        path:
          description: What the accepted job came from, V(1) the room's creation, V(2) C(CreateDispatch).
          returned: always
          type: int
        deadline_s:
          description: The deadline in seconds.
          returned: always
          type: float
        cold_start_s:
          description: Seconds that a cold start may take.
          returned: always
          type: float
        scaled:
          description: The deadline as a part of the standard 90 seconds; V(null) if it is the standard.
          returned: always
          type: float
        agent_status_after:
          description: Always V(null) here. It is filled in from a second look at the agent.
          returned: always
          type: str
        agent_log_crashed:
          description: Always V(null) here. It is filled in like RV(record.signals.agent_status_after).
          returned: always
          type: bool
        limit_reached:
          description: Whether LiveKit refused the probe for a limit of the plan, or of calls.
          returned: always
          type: bool
        wait_s:
          description: Seconds that were watched.
          returned: always
          type: float
        asked_at:
          description: When the agent was asked for, RFC 3339.
          returned: always
          type: str
        agent_state:
          description: The last connection state of an agent in the room, such as V(JOINED) or V(ACTIVE).
          returned: always
          type: str
        cleaned_up:
          description: Whether the probe's rooms were removed.
          returned: always
          type: bool
    events:
      description: What the probe did and saw, each with C(at), C(what) and C(self).
      returned: always
      type: list
      elements: dict
    limits:
      description: What the result does not prove, and why.
      returned: always
      type: list
      elements: str
    repeat:
      description: What a person would type to try the same.
      returned: always
      type: str
    took_ms:
      description: How long it took, in milliseconds.
      returned: always
      type: int
    probes:
      description: >-
        The time window of the probe, with C(since), C(until) and C(what). What happened in it is not the user's doing.
      returned: when a probe was made
      type: list
      elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.dispatch import not_run, probe
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data

ARGUMENT_SPEC: dict[str, Any] = {
    "gathered": {"type": "dict", "default": {}},
    "livekit_url": {"type": "str", "required": True},
    "livekit_api_key": {"type": "str", "required": True, "no_log": True},
    "livekit_api_secret": {"type": "str", "required": True, "no_log": True},
    "agent_name": {"type": "str", "default": ""},
    "deadline": {"type": "float", "default": 90},
    "cold_start": {"type": "float", "default": 10},
    "probe_room_prefix": {"type": "str", "default": "zz-probe-"},
    "listen": {"type": "bool", "default": False},
    "probe_id": {"type": "str", "default": ""},
}


def problem(params: dict[str, Any]) -> str:
    """Say what was expected of an option instead of what C(params) has; empty if they can be used."""
    for name in ("deadline", "cold_start"):
        if not 0 < params[name] <= 3600:
            return f"{name}: expected seconds above 0 and up to 3600, got {params[name]:g}"
    if not params["probe_room_prefix"]:
        return "probe_room_prefix: expected a prefix that no real room has, got nothing"
    return ""


def tried(params: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return the record of a probe with the options C(params), which is not made if C(dry)."""
    began = time.monotonic()
    if dry:
        result = not_run("check mode: no probe was made", params["deadline"], params["cold_start"])
    else:
        result = probe(params, params["deadline"], params["cold_start"])
    result["took_ms"] = round((time.monotonic() - began) * 1000)
    record: dict[str, Any] = redact_data(result, [params["livekit_api_key"], params["livekit_api_secret"]])
    return record


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if wrong := problem(module.params):
        module.fail_json(msg=wrong)
    module.exit_json(record=tried(module.params, module.check_mode))


if __name__ == "__main__":
    main()
