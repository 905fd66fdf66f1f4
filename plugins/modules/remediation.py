#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: remediation
short_description: Take one step of a repair's envelope, and write down what came of it
version_added: 0.2.0
description:
  - The envelope of a repair, one O(step) a task, as the role P(voiceops.livekit.remediation#role) puts them in order.
  - Every step is written into the incident record before the next one is taken, so a killed run leaves what it did.
  - It repairs nothing itself. What it decides is data; a task fails only for bad input, or where no record can be kept.
  - Runs on the controller, without connecting to the host.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return what would be done.
    support: full
    details:
      - The plan is written into the incident record and ends as V(planned).
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
requirements:
  - jsonschema
  - PyYAML
options:
  step:
    description:
      - V(plan) makes the plan from the fresh diagnosis in O(path). If there is anything to be done, it takes the
        agent's lock, which names its holder and survives a killed run.
      - V(may) says whether O(remedy) may be done now, and notes that it is about to be.
      - V(acted) notes what the remedy's role did, V(proven) judges it by a fresh diagnosis.
      - V(heard) adds the agent's calls to the proof.
      - V(end) gives the lock back, writes the reports, and shows how the repair ended.
    type: str
    choices: [plan, may, acted, proven, heard, end]
    required: true
  path:
    description: The folder of the incident that the fresh diagnosis wrote.
    type: path
    required: true
  artifacts:
    description: The folder of incidents. By default C(artifacts) beside the project of the playbook.
    type: path
  state_dir:
    description: The folder of locks and ledgers. By default C(state) among the artifacts.
    type: path
  agent:
    description: The agent that is repaired; one lock and one ledger belong to it.
    type: str
    default: ""
  based_on:
    description: The id of an earlier incident, or V(latest); the repair goes on only if its cause still holds.
    type: str
    default: ""
  max_age:
    description: How old that incident may be, such as V(30m).
    type: str
    default: 30m
  approve:
    description: Whether remedies that need approval may be done.
    type: bool
    default: false
  allow:
    description: Ids of remedies that may be done without approval.
    type: list
    elements: str
    default: []
  play_hosts:
    description: The hosts of the play. A remedy whose host is not among them is not tried. Empty is not known.
    type: list
    elements: str
    default: []
  groups:
    description: The inventory's groups; a remedy runs on the first host of its own.
    type: dict
    default: {}
  rules_dir:
    description: The folder of rules and remedies.
    type: path
  extra_rules_dir:
    description: A folder with rules of the user's own.
    type: path
  lock_expires:
    description: After how long the lock of a run on another host is taken over.
    type: str
    default: 1h
  cooldown:
    description: How much time must pass between two runs that repair.
    type: str
    default: 10m
  per_hour:
    description: How many repairs may be made in an hour.
    type: int
    default: 2
  per_day:
    description: How many repairs may be made in a day.
    type: int
    default: 4
  remedy:
    description: The remedy of the plan that V(may), V(acted) and V(proven) are about.
    type: str
    default: ""
  client:
    description: A fresh record of the layer C(client), for V(may).
    type: dict
  result:
    description: What the remedy's role registered, for V(acted).
    type: dict
  failure:
    description: What failed, for V(acted) and V(end); empty if nothing did.
    type: str
    default: ""
  judged:
    description: What M(voiceops.livekit.classify) returned for fresh evidence, for V(proven).
    type: dict
  callbacks:
    description: How many calls of the agent were heard, in C(journal) and C(inspector), for V(heard).
    type: dict
    default: {}
  secrets:
    description: Values that must not appear in the record.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Plan the repair
  voiceops.livekit.remediation:
    step: plan
    path: "{{ report_incident.path }}"
    agent: my-project.livekit.cloud/voice
    groups: "{{ groups }}"
    rules_dir: "{{ rules }}"
    allow: [restart_agent]
  register: remediation_state
"""

RETURN = r"""
plan:
  description: The remedies in the order in which they are tried.
  returned: success
  type: list
  elements: dict
verdict:
  description: How the repair ended; V(null) while it goes on.
  returned: success
  type: str
  sample: repaired
is_open:
  description: Whether the repair goes on.
  returned: success
  type: bool
go:
  description: Whether the remedy that was asked about is to be done now.
  returned: success
  type: bool
acted:
  description: Whether the remedy was just done, so that it is to be proven.
  returned: success
  type: bool
because:
  description: Why it ended so, as sentences.
  returned: success
  type: list
  elements: str
state:
  description: V(healthy) if the repair ended well or none was needed, else the state of the diagnosis' verdict.
  returned: success
  type: str
"""
