#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_facts
short_description: Gather the evidence of one or more layers of a LiveKit voice session
version_added: 0.1.0
description:
  - Asks the layers that this host can answer for, all at once in threads, each within the same deadline.
  - Each layer ends in one evidence record. A layer that could not be asked has the state V(unknown) and says why;
    that is a result, not a failure of the task, and neither is a host that cannot be reached.
  - Changes nothing, but for the two requests of the layer V(callback), which the API rejects by design,
    and which are tagged as probes.
  - The host's clock is measured against the controller's by the times at which the run began and ended on both.
author: voiceops.livekit contributors (@voiceops)
extends_documentation_fragment:
  - voiceops.livekit.attributes
options:
  layers:
    description:
      - The layers to ask on this host.
      - V(client), V(tunnel) and V(callback) belong on the controller, V(secrets) and V(agent) on the host whose C(lk) is
        logged in, V(service) on the host of the callback API, V(inspector) on the host that runs ngrok.
      - V(agent_after) is V(agent), asked again after a dispatch probe.
    type: list
    elements: str
    choices: [client, tunnel, inspector, secrets, callback, service, agent, agent_after]
    required: true
  gathered:
    description:
      - Records that were gathered already, for instance with this host's other layers at once.
      - Layers that are in it are not asked again; they are returned as they are.
    type: dict
    default: {}
  reason:
    description: Ask nothing, and record the layers as unknown for this reason.
    type: str
  deadline:
    description: Seconds after which a layer that has not answered is recorded as unknown.
    type: float
    default: 20
  run:
    description:
      - The run that this evidence belongs to, as the role P(voiceops.livekit.evidence#role) makes it.
      - Without it, a run of its own is assumed that starts now.
    type: dict
    default: {}
    suboptions:
      started_at:
        description: When the run started, in seconds since 1970 on the controller's clock. Nothing later counts as the user's.
        type: float
      probe_id:
        description: Identifies this run's probes in the header C(X-Probe-Id).
        type: str
      probes:
        description: Time windows of earlier probes, each with C(since), C(until) and C(what).
        type: list
        elements: dict
        default: []
      attempt:
        description: The user's attempt, as the filter P(voiceops.livekit.attempt#filter) makes it.
        type: dict
  livekit_url:
    description: The project's URL.
    type: str
  livekit_api_key:
    description: The project's API key.
    type: str
  livekit_api_secret:
    description: The project's API secret.
    type: str
  agent_name:
    description: The agent's dispatch name; empty for automatic dispatch.
    type: str
    default: ""
  agent_id:
    description: The cloud agent's id; read from C(livekit.toml) in O(agent_dir) by default.
    type: str
  agent_dir:
    description: The folder of the agent's source with its C(livekit.toml).
    type: path
  lk:
    description: The C(lk) program.
    type: str
    default: lk
  lk_environment:
    description: More environment variables for C(lk), such as a proxy.
    type: dict
    default: {}
  required_secrets:
    description: Names of secrets that the agent must have.
    type: list
    elements: str
    default: []
  callback_url:
    description: The full URL of the API route that the agent calls.
    type: str
  callback_key:
    description: The service key that the API expects.
    type: str
  callback_key_header:
    description: The name of the header that carries the key.
    type: str
    default: X-Internal-Service-Key
  callback_probe:
    description:
      - V(validate) sends the right key with an invalid body, then a wrong key. Nothing is written.
      - V(fake_user) also sends the body of a session of the first of O(synthetic_users), which provokes a foreign key error.
    type: str
    choices: [validate, fake_user]
    default: validate
  synthetic_users:
    description: User ids that are never a real user's.
    type: list
    elements: str
    default: ["00000000-0000-0000-0000-000000000000"]
  service_unit:
    description: The systemd unit of the callback API.
    type: str
    default: proto-trainer-next
  service_pattern:
    description: A regular expression that matches a log line which is a callback.
    type: str
    default: internal
  inspector_url:
    description: The address of ngrok's inspector on the tunnel's host.
    type: str
    default: http://127.0.0.1:4040
  probe_room_prefix:
    description: Rooms whose names begin so are our own probes.
    type: str
    default: zz-probe-
"""

EXAMPLES = r"""
- name: What does the callback API answer, and does the tunnel reach it?
  voiceops.livekit.evidence_facts:
    layers: [tunnel, callback]
    callback_url: https://proto-trainer.ngrok.io/api/internal/sessions
    callback_key: "{{ vaulted_service_key }}"
  delegate_to: localhost

- name: Was the service up, and what did it log?
  voiceops.livekit.evidence_facts:
    layers: [service]
    service_unit: proto-trainer-next
  register: asked

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ asked.ansible_facts.voiceops_evidence.service.summary }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts that are set for the host.
  returned: always
  type: complex
  contains:
    voiceops_evidence:
      description: >-
        The evidence records by layer. Each has the keys C(layer), C(state) (V(healthy), V(faulty) or V(unknown)), C(summary), C(signals),
        C(events), C(limits), C(repeat) and C(took_ms). The signals of each layer are described in the README of the role of its name.
      returned: always
      type: dict
    voiceops_clock:
      description: >-
        The host's clock against the controller's, as C(offset_ms) and C(uncertainty_ms); empty where nothing was measured.
      returned: always
      type: dict
"""

import contextlib
import queue
import threading
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.voiceops.livekit.plugins.module_utils.layers import (
    agent,
    callback,
    client,
    inspector,
    secrets,
    service,
    tunnel,
)
from ansible_collections.voiceops.livekit.plugins.module_utils.record import record_layer, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import redact_data

COLLECTORS = {
    "client": client.collect,
    "tunnel": tunnel.collect,
    "inspector": inspector.collect,
    "secrets": secrets.collect,
    "callback": callback.collect,
    "service": service.collect,
    "agent": agent.collect,
    "agent_after": agent.collect,
}
# What lies between a collector's own deadline and ours, so that its partial result arrives.
GRACE_S = 1.5


def collect_one(layer, options, deadline):
    """Run one collector; whatever breaks in it becomes an unknown record that names the breakage."""
    began = time.monotonic()
    try:
        result = COLLECTORS[layer](options, deadline)
    except Exception as exc:  # a broken probe must not take the other layers with it
        result = unknown(record_layer(layer), f"this probe broke: {type(exc).__name__}: {exc}")
    result["took_ms"] = round((time.monotonic() - began) * 1000)
    return result


def collect_all(layers, options, seconds):
    """Run the collectors in threads and return their records by layer, late ones as unknown."""
    deadline = time.monotonic() + seconds
    done = queue.Queue()
    for layer in layers:
        # Daemon threads: one that overstays must not keep the module from ending.
        threading.Thread(
            target=lambda layer=layer: done.put((layer, collect_one(layer, options, deadline))), daemon=True
        ).start()
    records = {layer: unknown(record_layer(layer), f"no answer within {seconds:g} s") for layer in layers}
    with contextlib.suppress(queue.Empty):
        for _layer in layers:
            layer, result = done.get(timeout=max(0.0, deadline + GRACE_S - time.monotonic()))
            records[layer] = result
    return records


def main():
    module = AnsibleModule(
        argument_spec={
            "layers": {"type": "list", "elements": "str", "choices": sorted(COLLECTORS), "required": True},
            "gathered": {"type": "dict", "default": {}},
            "reason": {"type": "str"},
            "deadline": {"type": "float", "default": 20},
            "run": {
                "type": "dict",
                "default": {},
                "options": {
                    "started_at": {"type": "float"},
                    "probe_id": {"type": "str"},
                    "probes": {"type": "list", "elements": "dict", "default": []},
                    "attempt": {"type": "dict"},
                },
            },
            "livekit_url": {"type": "str"},
            "livekit_api_key": {"type": "str", "no_log": True},
            "livekit_api_secret": {"type": "str", "no_log": True},
            "agent_name": {"type": "str", "default": ""},
            "agent_id": {"type": "str"},
            "agent_dir": {"type": "path"},
            "lk": {"type": "str", "default": "lk"},
            "lk_environment": {"type": "dict", "default": {}},
            "required_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "callback_url": {"type": "str"},
            "callback_key": {"type": "str", "no_log": True},
            "callback_key_header": {"type": "str", "default": "X-Internal-Service-Key", "no_log": False},
            "callback_probe": {"type": "str", "choices": ["validate", "fake_user"], "default": "validate"},
            "synthetic_users": {
                "type": "list",
                "elements": "str",
                "default": ["00000000-0000-0000-0000-000000000000"],
            },
            "service_unit": {"type": "str", "default": "proto-trainer-next"},
            "service_pattern": {"type": "str", "default": "internal"},
            "inspector_url": {"type": "str", "default": "http://127.0.0.1:4040"},
            "probe_room_prefix": {"type": "str", "default": "zz-probe-"},
        },
        supports_check_mode=True,
    )
    began = time.time()
    params = module.params
    run = params["run"]
    options = {
        **params,
        "now": run.get("started_at") or began,
        "probe_id": run.get("probe_id"),
        "probes": run.get("probes") or [],
        "attempt": run.get("attempt"),
    }
    records = collect_all(params["layers"], options, params["deadline"])
    secrets_given = [params[name] for name in ("livekit_api_key", "livekit_api_secret", "callback_key") if params[name]]
    module.exit_json(
        ansible_facts={
            "voiceops_evidence": redact_data(records, secrets_given),
            "voiceops_clock": {"began": began, "ended": time.time()},
        }
    )


if __name__ == "__main__":
    main()
