#!/usr/bin/python
# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_diff
short_description: Tell in what a saved incident differs from another one, or from what other rules make of it
version_added: 0.2.0
description:
  - With O(rules_dir), judges a saved incident again by these rules, and tells what would be different.
    The evidence is that of the record; nothing is asked anew.
  - With O(other), puts two saved incidents side by side as they were judged.
  - A signal that an older record lacks is unknown, never false and never an error.
  - Suppressions among the rules count by the date of the incident's run, not by today's.
  - Shows the differences in the terminal. It has at most 80 columns, no JSON, and colours only where Ansible has them.
  - A difference is a result, not a failure, and the task is never C(changed). It fails if an incident or the rules
    cannot be used, or O(file) cannot be written.
  - Runs on the controller, without connecting to the host and without a network.
author: voiceops.livekit contributors (@voiceops)
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it.
    support: full
    details:
      - O(file) is written in check mode, too. It reports on the incident and changes nothing of any system.
  diff_mode:
    description: Returns details of what has changed, or would be changed, in diff mode.
    support: none
requirements:
  - jsonschema
  - PyYAML
options:
  incident:
    description:
      - The saved incident.
      - Named by its id in O(artifacts), by the path of its C(incident.json) or of the folder of that, or as V(latest).
    type: str
    default: latest
  other:
    description: The incident to put beside it, named in the same ways. Instead of O(rules_dir).
    type: str
  rules_dir:
    description: The folder of the rules to judge it by, with their C(remedies.yml). Instead of O(other).
    type: path
  extra_rules_dir:
    description: A folder with rules of your own, which are added to those of O(rules_dir).
    type: path
  artifacts:
    description: The folder of incidents. By default C(artifacts) beside the project of the playbook.
    type: path
  file:
    description: Where to write what is returned as JSON. Nowhere by default.
    type: path
"""

EXAMPLES = r"""
- name: What would my rules say of last night's incident?
  voiceops.livekit.incident_diff:
    incident: 20260206T224912Z-cloud-agent-dormant-no-wake-3f2a
    rules_dir: "{{ playbook_dir }}/rules"
  register: replay

- name: Put the two newest incidents side by side
  voiceops.livekit.incident_diff:
    incident: artifacts/20260206T224912Z-cloud-agent-dormant-no-wake-3f2a/incident.json
    other: latest
"""

RETURN = r"""
differs:
  description: Whether anything differs.
  returned: success
  type: bool
before:
  description: What the record of O(incident) says.
  returned: success
  type: complex
  contains:
    incident_id:
      description: Its id.
      returned: success
      type: str
      sample: 20260206T224912Z-cloud-agent-dormant-no-wake-3f2a
    verdict:
      description: Its verdict, in the shape of M(voiceops.livekit.classify).
      returned: success
      type: dict
    causes:
      description: All causes with their states, in the shape of M(voiceops.livekit.classify).
      returned: success
      type: list
      elements: dict
after:
  description: The same of O(other), or of O(incident) judged again.
  returned: success
  type: dict
difference:
  description: What differs. Each part is empty if nothing does; null stands for what one side does not have.
  returned: success
  type: complex
  contains:
    verdict:
      description: By key of the verdict, C(before) and C(after). Keys that an older record does not have are left out.
      returned: success
      type: dict
    causes:
      description: >-
        Each cause whose state differs as C(id), C(title), C(before) and C(after) (states), and C(why), a sentence for
        each side. In the order of precedence.
      returned: success
      type: list
      elements: dict
    conflicts:
      description: The contradictions that only C(before) or only C(after) has, as sentences.
      returned: success
      type: dict
    layers:
      description: >-
        By layer whose state or signals differ, C(state) and by name C(signals), each as C(before) and C(after).
      returned: success
      type: dict
    settings:
      description: By name, the settings that rules may name, as C(before) and C(after).
      returned: success
      type: dict
    clocks:
      description: By host, its clock as C(before) and C(after).
      returned: success
      type: dict
suppressed:
  description: Which confirmed causes a suppression among the rules kept from being the verdict, as sentences.
  returned: success
  type: list
  elements: str
"""
