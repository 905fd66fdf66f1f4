#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: classify
short_description: Say from the evidence why a LiveKit voice agent did not come
version_added: 0.1.0
description:
  - Brings the evidence records of all hosts onto one clock and one time line, and judges every cause by its rule.
  - A cause is confirmed if all conditions of its rule are true, ruled out if one is false, suspected if some are true
    and the rest unknown, open if all are unknown. What is not known is never taken for false.
  - A finding is a result, not a failure. The task fails only if the rules cannot be used.
  - Reads the rules and changes nothing. Runs on the controller, which needs Jinja2 and PyYAML, as Ansible itself does.
author: voiceops.livekit contributors (@voiceops)
extends_documentation_fragment:
  - voiceops.livekit.attributes
options:
  evidence:
    description:
      - The evidence records by layer, as M(voiceops.livekit.evidence_facts) returns them.
      - Those of C(inspector), C(worker) and C(agent_after), the second one of the agent after a dispatch probe, may be
        among them.
      - A layer that is absent is unknown.
    type: dict
    required: true
  attempt:
    description:
      - The user's attempt with C(at), C(source), C(since), C(until) and C(precision_s), as
        M(voiceops.livekit.attempt_facts) sets it.
    type: dict
    required: true
  started_at:
    description:
      - When the run started, in seconds since 1970 on the controller's clock. Nothing later counts as the user's.
      - The attempt's C(until) by default.
    type: float
  probes:
    description:
      - Time windows of our own earlier probes, each with C(since), C(until), C(what), and C(status) of a call.
      - Those that the records bring are added.
    type: list
    elements: dict
    default: []
  clocks:
    description: By host name, its clock minus the controller's as C(offset_ms) and C(uncertainty_ms).
    type: dict
    default: {}
  hosts:
    description: By layer, the name of the host that its evidence is from; also the key in O(clocks).
    type: dict
    default: {}
  synthetic_users:
    description: User ids that are never a real user's.
    type: list
    elements: str
    default: ["00000000-0000-0000-0000-000000000000"]
  dispatch_deadline:
    description: Seconds of waiting in a room that prove that no agent joins.
    type: float
    default: 90
  settings:
    description:
      - What commands to type are filled in with. Where one is empty or absent, the command shows its name.
      - Known are C(agent_dir), C(agent_id), C(agent_name), C(callback_url), C(database_unit), C(service_host),
        C(service_unit), C(tunnel_host), C(tunnel_unit), C(worker_host) and C(worker_unit).
      - A command for the host C(localhost) is shown without ssh.
    type: dict
    default: {}
  rules_dir:
    description:
      - The folder of the rules and of C(remedies.yml).
      - All that is in it is checked first, but for the collection's own, which its tests have checked.
    type: path
    required: true
  extra_rules_dir:
    description:
      - A folder with rules of your own, and C(remedies.yml) if they need other remedies.
      - Files of both folders are read in the order of their names. An id may not be used twice.
    type: path
"""

EXAMPLES = r"""
- name: Judge the evidence
  voiceops.livekit.classify:
    evidence: "{{ ansible_facts.voiceops_evidence }}"
    attempt: "{{ ansible_facts.voiceops_run.attempt }}"
    rules_dir: "{{ role_path }}/files/rules"
    extra_rules_dir: "{{ playbook_dir }}/../rules"
  register: judged

- name: Show the verdict
  ansible.builtin.debug:
    msg: "{{ judged.verdict.title }}"
"""

RETURN = r"""
verdict:
  description: The verdict of the incident record.
  returned: success
  type: complex
  contains:
    id:
      description: The rule's id, or V(inconclusive).
      returned: success
      type: str
    state:
      description: V(fault), V(healthy) or V(inconclusive).
      returned: success
      type: str
    layer:
      description: The layer that it is a fault of, or that the strongest suspect is of.
      returned: success
      type: str
    title:
      description: One line.
      returned: success
      type: str
    because:
      description: The reasons, as sentences with the figures.
      returned: success
      type: list
      elements: str
    needs:
      description: What would decide it, the cheapest first. Empty unless the state is V(inconclusive).
      returned: success
      type: list
      elements: str
    advice:
      description: What to do, in words.
      returned: success
      type: str
    remedy:
      description: >-
        The remedy's C(id), whether it may run without a person (C(unattended), V(yes), V(guard) or V(no), and
        C(automatic), which is false for V(no)), and the C(command) to type. Null if there is none.
      returned: success
      type: dict
    also:
      description: The other faults, each with C(id), C(title) and C(remedy), in the order in which to repair them.
      returned: success
      type: list
      elements: dict
    certainty:
      description: How certain it is, C(level) (V(high), V(medium) or V(low)), and C(why), as sentences.
      returned: success
      type: dict
causes:
  description: >-
    Every cause with C(id), C(state) (V(confirmed), V(suspected), V(ruled_out) or V(open)), C(layer), C(title),
    C(because) and C(needs), in the order of precedence.
  returned: success
  type: list
  elements: dict
open_questions:
  description: What would decide the causes that are not decided, as sentences, the cheapest first.
  returned: success
  type: list
  elements: str
probe_would_help:
  description: Whether the dispatch probe, which did not run, could still decide.
  returned: success
  type: bool
evidence:
  description: The records by layer after they were brought together.
  returned: success
  type: dict
timeline:
  description: All events as C(at), C(layer), C(host), C(what) and C(self), in the order of time.
  returned: success
  type: list
  elements: dict
red_herrings:
  description: What looks like a cause and is none, as sentences.
  returned: success
  type: list
  elements: str
settings:
  description: The settings that rules may name, without the empty ones.
  returned: success
  type: dict
conflicts:
  description: Where the evidence contradicts itself, as sentences. What they doubt counts as unknown.
  returned: success
  type: list
  elements: str
suppressed:
  description: >-
    Which confirmed causes a suppression kept from being the verdict, and which suppressions have expired, as sentences.
  returned: success
  type: list
  elements: str
"""

import datetime
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.classify import classify
from ansible_collections.voiceops.livekit.plugins.module_utils.correlate import Run, correlate
from ansible_collections.voiceops.livekit.plugins.module_utils.record import LAYERS, Record, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.rules import RuleError, load
from ansible_collections.voiceops.livekit.plugins.module_utils.timeline import parse_time

ARGUMENT_SPEC: dict[str, Any] = {
    "evidence": {"type": "dict", "required": True},
    "attempt": {"type": "dict", "required": True},
    "started_at": {"type": "float"},
    "probes": {"type": "list", "elements": "dict", "default": []},
    "clocks": {"type": "dict", "default": {}},
    "hosts": {"type": "dict", "default": {}},
    "synthetic_users": {
        "type": "list",
        "elements": "str",
        "default": ["00000000-0000-0000-0000-000000000000"],
    },
    "dispatch_deadline": {"type": "float", "default": 90},
    "settings": {"type": "dict", "default": {}},
    "rules_dir": {"type": "path", "required": True},
    "extra_rules_dir": {"type": "path"},
}


# Why a layer was not asked.
NOT_ASKED = {
    "secrets": "not asked: the inventory has no host in the group lk_control",
    "agent": "not asked: the inventory has no host in the group lk_control",
    "service": "not asked: the inventory has no host in the group voice_service",
    "dispatch": "no dispatch was tried",
}


def with_all_layers(evidence: dict[str, Record], hosts: Mapping[str, str]) -> dict[str, Record]:
    """Add an unknown record for each layer that nobody was asked for; C(hosts) names who would have been."""
    return {layer: evidence.get(layer) or unknown(layer, _why_not_asked(layer, hosts)) for layer in LAYERS}


def _why_not_asked(layer: str, hosts: Mapping[str, str]) -> str:
    host = hosts.get(layer, "localhost")
    if host == "localhost":
        return NOT_ASKED.get(layer, "not asked")
    return f"not asked: the run left {host} out (--limit), or ended there before its time"


def judge(params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result; raise RuleError if the rules cannot be used."""
    rules = load(params["rules_dir"], params["extra_rules_dir"])
    run = Run(
        attempt=params["attempt"],
        started_at=params["started_at"] or parse_time(params["attempt"].get("until")) or 0.0,
        probes=params["probes"],
        clocks=params["clocks"],
        hosts=params["hosts"],
        synthetic_users=params["synthetic_users"],
        agent_name=params["settings"].get("agent_name"),
        dispatch_deadline_s=params["dispatch_deadline"],
    )
    extra = {name: record for name, record in params["evidence"].items() if name not in LAYERS}
    layers = {name: record for name, record in params["evidence"].items() if name in LAYERS}
    found = correlate(layers, run, extra)
    found["evidence"] = with_all_layers(found["evidence"], run.hosts)
    agent_id = found["evidence"]["agent"]["signals"].get("id")
    settings = {**params["settings"], "agent_id": params["settings"].get("agent_id") or agent_id}
    settings = {name: value for name, value in settings.items() if value not in ("", None)}
    context = {"attempt": params["attempt"], "settings": settings}
    today = datetime.datetime.fromtimestamp(run.started_at, datetime.timezone.utc).date().isoformat()
    return {**found, "settings": settings, **classify(found["evidence"], rules, context, today)}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **judge(module.params))
    except RuleError as exc:
        module.fail_json(msg=f"The rules cannot be used: {exc}")


if __name__ == "__main__":
    main()
