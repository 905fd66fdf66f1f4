#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident
short_description: Write the incident record of a diagnosis with its reports, and show how it ended
version_added: 0.1.0
description:
  - Assembles the findings of a run as an incident record and checks it against its JSON Schema.
  - Writes it to a new folder of O(artifacts) as C(incident.json), C(incident.md) (a post-mortem) and C(incident.html)
    (a page that needs nothing else), and points C(latest) to it.
  - Shows the ending in the terminal. It has at most 80 columns, no JSON, and colours only where Ansible has them.
  - Runs on the controller, without connecting to the host.
  - No secret gets into a record. Values of O(secrets), and what looks like a secret, are masked.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it.
    support: full
    details:
      - The record is written in check mode, too. It reports on the system and changes nothing of it,
        so the task is never C(changed).
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
requirements:
  - jsonschema
  - PyYAML
options:
  artifacts:
    description:
      - The folder of incidents, made if it is missing. By default C(artifacts) beside the project of the playbook.
      - If it cannot be written to, the record is kept in a temporary folder, and the task fails and names both.
    type: path
  run:
    description: The run that was diagnosed, as M(voiceops.livekit.attempt_facts) makes it.
    type: dict
    required: true
    suboptions:
      started_at:
        description: When the run started, in seconds since 1970 on the controller's clock.
        type: float
        required: true
      attempt:
        description: The user's attempt, with C(at), C(source), C(since), C(until) and C(precision_s).
        type: dict
        required: true
      problems:
        description: What was wrong with the input.
        type: list
        elements: str
        default: []
      probe_id:
        description: Identifies this run's probes.
        type: str
      probes:
        description: The time windows of earlier probes.
        type: list
        elements: dict
        default: []
      incident:
        description: The id of the earlier incident whose attempt was taken.
        type: str
  verdict:
    description: The verdict, as the module C(classify) returns it.
    type: dict
    required: true
  causes:
    description: All causes with their states, as the module C(classify) returns them.
    type: list
    elements: dict
    required: true
  evidence:
    description:
      - The evidence records by layer. A layer that is missing, or whose record is not valid, is recorded as unknown.
    type: dict
    required: true
  timeline:
    description: What happened, each event with C(at), C(layer), C(host), C(what) and C(self).
    type: list
    elements: dict
    default: []
  clocks:
    description: Each host's clock against the controller's, as C(offset_ms) and C(uncertainty_ms).
    type: dict
    default: {}
  problems:
    description: What was wrong with the input besides what O(run) already says, one sentence each.
    type: list
    elements: str
    default: []
  red_herrings:
    description: What looks like a cause and is none, one sentence each.
    type: list
    elements: str
    default: []
  conflicts:
    description: Where the evidence contradicts itself, one sentence each.
    type: list
    elements: str
    default: []
  settings:
    description: What rules may name beside the evidence, kept so that the incident can be judged again.
    type: dict
    default: {}
  notes:
    description: What the reader must know of this run, such as shortened deadlines, one sentence each.
    type: list
    elements: str
    default: []
  secrets:
    description: Values that must not appear in the record.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Write the incident and show how it ended
  voiceops.livekit.incident:
    artifacts: "{{ playbook_dir }}/../artifacts"
    run: "{{ ansible_facts.voiceops_run }}"
    verdict: "{{ diagnosis.verdict }}"
    causes: "{{ diagnosis.causes }}"
    evidence: "{{ ansible_facts.voiceops_evidence }}"
    secrets: ["{{ vaulted_service_key }}"]
  register: incident

- name: Hand the result to AWX
  ansible.builtin.set_stats:
    data:
      voiceops_verdict: "{{ incident.verdict }}"
      voiceops_action: "{{ incident.action }}"
      voiceops_automatic: "{{ incident.automatic }}"
      voiceops_incident_id: "{{ incident.incident_id }}"
"""

RETURN = r"""
incident_id:
  description: The incident's id, which is also the name of its folder.
  returned: always
  type: str
  sample: 20260206T224912Z-cloud-agent-dormant-no-wake-3f2a
path:
  description: The folder with the record and its reports; empty if there was no place to write to.
  returned: always
  type: str
  sample: /home/operator/voiceops/artifacts/20260206T224912Z-cloud-agent-dormant-no-wake-3f2a
verdict:
  description: The verdict's id.
  returned: always
  type: str
  sample: cloud_agent_dormant_no_wake
state:
  description: The verdict's state.
  returned: always
  type: str
  sample: fault
action:
  description: The id of the remedy, or V(none).
  returned: always
  type: str
  sample: redeploy_agent
automatic:
  description: Whether the remediation can do it. Some remedies only a person can do.
  returned: always
  type: bool
"""
