#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: attempt_facts
short_description: Say when the user tried, and fix the start of the run
version_added: 0.1.0
description:
  - Resolves the moment of the user's attempt from what the operator gave, else from the moment since which a person
    waits in a room, else now.
  - Malformed input never fails the task. It falls back as if nothing had been given, and says so in C(problems).
  - Runs on the controller, without connecting to the host.
author: voiceops.livekit contributors (@voiceops)
extends_documentation_fragment:
  - voiceops.livekit.attributes
options:
  at:
    description:
      - When the user tried, as ISO 8601 with a zone, as C(HH:MM) in the controller's zone (the newest such moment that
        is not in the future), or V(now).
    type: str
    default: ""
  window:
    description: How far around the attempt to look, such as V(10m) or V(1h30m).
    type: str
    default: 10m
  waiting_since:
    description: Since when a person waits in a room, as RFC 3339, if someone does.
    type: str
  artifacts:
    description: The folder of incidents, which also tells the windows of our own earlier probes.
    type: path
  incident:
    description: The id of an earlier incident, or V(latest); its attempt is taken, instead of O(at).
    type: str
    default: ""
  run:
    description: The run to add the attempt to. A new one is started by default.
    type: dict
    default: {}
  forget:
    description: Whether to forget the evidence that was gathered for another run, so that none counts in this one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The user tried at 22:39
  voiceops.livekit.attempt_facts:
    at: "22:39"
    window: 10m
"""

RETURN = r"""
ansible_facts:
  description: The facts that are set for the host.
  returned: always
  type: complex
  contains:
    voiceops_run:
      description: The run.
      returned: always
      type: complex
      contains:
        started_at:
          description: When the run started, in seconds since 1970 on the controller's clock.
          returned: always
          type: float
        probe_id:
          description: Identifies this run's probes.
          returned: always
          type: str
        probes:
          description: Time windows of earlier probes, each with C(since), C(until), C(what), and C(status) of a call.
          returned: always
          type: list
        attempt:
          description: >-
            The attempt with C(at), C(since) and C(until) as RFC 3339 in UTC, C(source) (V(given), V(waiting_session)
            or V(now)) and C(precision_s) in seconds.
          returned: always
          type: dict
        incident:
          description: The id of the earlier incident whose attempt was taken; empty if none was named.
          returned: always
          type: str
        problems:
          description: What was wrong with the input, as sentences that name the variable.
          returned: always
          type: list
    voiceops_evidence:
      description: Nothing; what was gathered before is forgotten.
      returned: if O(forget=true)
      type: dict
"""
