#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary
short_description: Take one step of a canary run, and keep what came of it
version_added: 0.2.0
description:
  - What the role P(voiceops.livekit.canary#role) decides and keeps, step by step. It asks no host and changes none.
  - V(begin) keeps other canary runs of the agent out. V(decide) says whether a dispatch may be tried now, and writes
    that down before it is. V(end) judges the run and keeps it. V(close) notes the incident that was opened, and lets
    other runs in.
  - In O(state_dir) it keeps a state and a history (lines of JSON, at most 4 MiB), and in C(canary) among O(artifacts) a
    status page of the last 30 days.
  - The figures in O(metrics_dir) are for the textfile collector of node_exporter, and replaced in one step.
  - Runs on the controller, without connecting to the host.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it.
    support: full
    details:
      - In check mode nothing is kept, no other run is kept out, and no dispatch is tried.
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
options:
  step:
    description: The step to take.
    type: str
    choices: [begin, decide, end, close]
    required: true
  agent:
    description: What has one state, such as the project's host and the agent's dispatch name.
    type: str
    required: true
  run:
    description: Identifies the run in its steps after V(begin), which returns it.
    type: str
  artifacts:
    description: The folder of incidents. By default C(artifacts) beside the project of the playbook.
    type: path
  state_dir:
    description: The folder of locks, states and histories. By default C(state) among O(artifacts).
    type: path
  metrics_dir:
    description: The folder for the figures. By default C(canary) among O(artifacts).
    type: path
  interval:
    description: How much time must pass between two tests of the dispatch while all is well.
    type: str
    default: 6h
  retry:
    description: The same after a test that failed or told nothing; it doubles with each, up to O(interval).
    type: str
    default: 10m
  keep_warm:
    description: Try a dispatch whenever the agent sleeps, if the last test is older than O(retry).
    type: bool
    default: false
  dispatch_probe:
    description: V(never) tries no dispatch; the others do when one is due.
    type: str
    choices: [auto, always, never]
    default: auto
  deadline:
    description: Seconds of waiting after which a person proves that no agent comes.
    type: float
    default: 90
  evidence:
    description: The records of the layers that were asked, as M(voiceops.livekit.evidence_facts) makes them.
    type: dict
    default: {}
  not_tried:
    description: Why no dispatch was tried, to be told.
    type: str
    default: ""
  incident:
    description: The id of the incident that was opened, for V(close).
    type: str
    default: ""
  secrets:
    description: Values to mask in all that is kept and shown.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: May a dispatch be tried now?
  voiceops.livekit.canary:
    step: decide
    agent: my-project.livekit.cloud/automatic
    run: 3f2a9c1e
    evidence: "{{ ansible_facts.voiceops_evidence }}"
"""

RETURN = r"""
go:
  description: Whether to go on; V(false) while another run is at work.
  returned: for O(step=begin)
  type: bool
run:
  description: What identifies this run, for the steps that follow.
  returned: for O(step=begin)
  type: str
problem:
  description: What keeps this run from keeping anything; empty if nothing does.
  returned: for O(step=begin)
  type: str
probe:
  description: Whether to try a dispatch now.
  returned: for O(step=decide)
  type: bool
why:
  description: Why, or why not.
  returned: for O(step=decide)
  type: str
  sample: 2 sessions with people must not be disturbed
state:
  description: V(healthy), V(fault) or V(inconclusive).
  returned: for O(step=end)
  type: str
failing:
  description: The layers that are faulty, or were when they were last asked.
  returned: for O(step=end)
  type: list
  elements: str
opens:
  description: Whether to open an incident, the first time that two runs in a row found something faulty.
  returned: for O(step=end)
  type: bool
page:
  description: The path of the status page; empty if nothing could be kept.
  returned: for O(step=end)
  type: str
"""
