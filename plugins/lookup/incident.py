# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the record of a saved incident."""

from __future__ import annotations

DOCUMENTATION = r"""
name: incident
short_description: Read the record of a saved incident
version_added: 0.2.0
author: voiceops.livekit contributors (@voiceops)
description:
  - Reads what a diagnosis wrote on the controller, checked against its schema.
options:
  _terms:
    description: Ids of incidents, or V(latest).
    type: list
    elements: str
    required: true
  artifacts:
    description: The folder of incidents. By default C(artifacts) beside the project of the playbook.
    type: path
"""

EXAMPLES = r"""
- name: Tell what the newest incident came to
  ansible.builtin.debug:
    msg: "{{ lookup('voiceops.livekit.incident', 'latest').verdict.title }}"
"""

RETURN = r"""
_raw:
  description: The records, as C(incident.json) has them.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.voiceops.livekit.plugins.plugin_utils.artifacts import artifacts_dir, find_incident


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the record of each incident; raises AnsibleLookupError if there is none."""
        self.set_options(var_options=variables, direct=kwargs)
        folder = artifacts_dir(self.get_option("artifacts"), str((variables or {}).get("playbook_dir", ".")))
        found = []
        for name in terms:
            record = find_incident(folder, str(name))
            if record is None:
                raise AnsibleLookupError(f"Expected the id of an incident in {folder}, got {name!r}.")
            found.append(record)
        return found
