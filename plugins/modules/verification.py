#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verification
short_description: Say in one line how far an agent came in a dispatch test
version_added: 0.2.0
description:
  - Reads the records of the layers C(client) and C(dispatch), and shows one sentence in lines of at most 80 columns.
  - Runs on the controller, without connecting to the host.
author: voiceops.livekit contributors (@voiceops)
extends_documentation_fragment:
  - voiceops.livekit.attributes
options:
  client:
    description: The record of the layer C(client), as M(voiceops.livekit.evidence_facts) makes it.
    type: dict
    required: true
  dispatch:
    description: >-
      The record of M(voiceops.livekit.dispatch_probe). Without one, what the room of a person who waits shows is told.
    type: dict
  deadline:
    description: Seconds of waiting after which a person proves that no agent comes.
    type: float
    default: 90
"""

EXAMPLES = r"""
- name: Say how far an agent came
  voiceops.livekit.verification:
    client: "{{ ansible_facts.voiceops_evidence.client }}"
    dispatch: "{{ ansible_facts.voiceops_evidence.dispatch }}"
"""

RETURN = r"""
verified:
  description: V(true) if an agent joined, V(false) if none did, V(unknown) if there was no test that decides.
  returned: success
  type: str
level:
  description: >-
    How far it came, V(none), V(accepted), V(joined), V(ready), V(audible) or V(heard); V(null) without a test.
  returned: success
  type: str
state:
  description: V(healthy), V(fault) or V(inconclusive).
  returned: success
  type: str
line:
  description: What was shown, in one line.
  returned: success
  type: str
  sample: "VERIFIED: an agent was audible (accepted 0.1 s, joined 0.2 s, ready 0.5 s, audible 0.5 s)"
"""
