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
      - V(client), V(tunnel) and V(callback) belong on the controller, V(secrets) and V(agent) on the host whose C(lk)
        is logged in, V(service) on the host of the callback API, V(inspector) on the host that runs ngrok, V(worker)
        on the host of an agent worker that runs as a systemd unit.
      - V(agent_after) is V(agent), asked again after a dispatch probe.
    type: list
    elements: str
    choices: [client, tunnel, inspector, secrets, callback, service, agent, worker, agent_after]
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
        description: >-
          When the run started, in seconds since 1970 on the controller's clock. Nothing later counts as the user's.
        type: float
      clock:
        description:
          - This host's clock minus the controller's, as C(offset_ms) and C(uncertainty_ms). The action measures it.
          - Without it, the clock is taken for right within a minute, and silence proves nothing.
        type: dict
      probe_id:
        description: Identifies this run's probes in the header C(X-Probe-Id).
        type: str
      probes:
        description: Time windows of earlier probes, each with C(since), C(until), C(what), and C(status) of a call.
        type: list
        elements: dict
        default: []
      attempt:
        description: The user's attempt, as the filter M(voiceops.livekit.attempt_facts) makes it.
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
  client_url:
    description: The LiveKit URL that the person's browser uses. O(livekit_url) by default.
    type: str
  client_token:
    description: The token that the person's browser used. LiveKit is asked whether it takes it; nobody joins by that.
    type: str
  room:
    description: The room that the attempt is about, for V(client). By default that of the person who waits.
    type: str
    default: ""
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
  agent_via:
    description:
      - How LiveKit is asked about its agent, for V(secrets), V(agent) and V(agent_after) among the O(layers).
      - V(lk) asks by C(lk) on this host. V(api) asks LiveKit's agent API from the controller, and this host nothing. It
        needs O(livekit_url), O(livekit_api_key) and O(livekit_api_secret), and O(agent_id) if the project has several
        agents.
      - V(auto) asks by C(lk), and what that did not tell, from the controller; be it that this host does not answer,
        that it has no C(lk) that works, or that LiveKit cannot be reached from it.
    type: str
    choices: [auto, lk, api]
    default: auto
  lk:
    description: The C(lk) program.
    type: str
    default: lk
  lk_environment:
    description: >-
      More environment variables for C(lk), such as a proxy. C(LK_AGENTS_URL) in it is also the agent API's address,
      which otherwise follows from O(livekit_url), as for C(lk).
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
      - V(fake_user) also sends the body of a session of the first of O(synthetic_users), which provokes a foreign key
        error.
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
  service_port:
    description: The port that the service listens on; read from the unit's command or environment by default.
    type: int
  service_required_env:
    description: Names of variables that the service's unit, or its environment files, must set.
    type: list
    elements: str
    default: []
  worker_unit:
    description: The systemd unit of an agent worker that the team runs itself.
    type: str
    default: livekit-agent
  worker_url:
    description: The address of that worker's own HTTP server, on its host.
    type: str
    default: http://127.0.0.1:8081
  server_unit:
    description: The systemd unit of livekit-server, where it runs on the worker's host.
    type: str
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
    callback_url: https://my-tunnel.example/api/internal/sessions
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
        The evidence records by layer. Each has the keys C(layer), C(state) (V(healthy), V(faulty) or V(unknown)),
        C(summary), C(signals), C(events), C(limits), C(repeat) and C(took_ms), and a signal C(host_reachable).
        What is described here are the C(signals).
      returned: always
      type: complex
      contains:
        client:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            sessions: {description: "Rooms with at least one person, our own left out.", type: int, returned: always}
            waiting: {description: "Those of them in which a person is connected and no agent that may be ours is;
              without rooms that ask for agents alone which are known to be others'.", type: int, returned: always}
            served: {description: "Those of them in which an agent that may be ours is active.", type: int, returned:
              always}
            served_by_agent: {description: "Rooms in which a person is with an agent that may be ours, even if it only
              just joins: it has voiceops_agent_name, or tells no other name and was not asked for by one; all agents,
              if that is not set.", type: int, returned: always}
            served_by_names: {description: "The names of the agents in rooms with people in which every agent that may
              be ours tells one.", type: list, returned: always}
            room: {description: "The room examined: the longest waiting of the attempt's window, else the attempt's
              own.", type: str, returned: always}
            room_created_at: {description: "When it was created, RFC 3339.", type: str, returned: always}
            room_older_than_token: {description: "It was created before the person's token was; None without a token,
              or if the clocks of LiveKit and of who made the token may be what makes the difference.", type: bool,
              returned: always}
            waiting_since: {description: "Since when a person waits in it, RFC 3339 on the controller's clock; None if
              no one waits.", type: str, returned: always}
            waiting_seconds: {description: "How long that was at the run's start.", type: float, returned: always}
            person_connected: {description: "A person is connected to it; None if no room is the attempt's, or one
              only just joins.", type: bool, returned: always}
            microphone_published: {description: "A person in it publishes audio, other than a shared screen's; None if
              nobody is connected, or only just so.", type: bool, returned: always}
            microphone_muted: {description: "All this audio is muted; None if there is none.", type: bool, returned:
              always}
            people: {description: "How many people are in it, or get connected.", type: int, returned: always}
            room_full: {description: "The room of the person's token has as many people as it allows, without this
              person; None without a token, or such a room.", type: bool, returned: always}
            agent_state: {description: "The connection state of the agent in it: JOINING, JOINED, ACTIVE, the last if
              one of several is; DISCONNECTED if it has left, and is still listed; None if there is none, or it only
              just joins.", type: str, returned: always}
            agent_session: {description: "Lk.agent.state of the agent in it, such as initializing; None if it does not
              tell.", type: str, returned: always}
            agent_audio: {description: "The agent in it publishes audio; None if there is none, or it only just
              joined.", type: bool, returned: always}
            agent_alone_in: {description: "Another room, which an agent and no person joined within a minute of the
              person who waits; '' if there is none; None if nobody waits.", type: str, returned: always}
            dispatches: {description: "Agent dispatches of the room; None if they could not be listed.", type: int,
              returned: always}
            dispatch_names: {description: "The agent names that they ask for, '' for automatic dispatch.", type: list,
              returned: always}
            dispatch_deployments: {description: "The deployments that they ask for, '' for production.", type: list,
              returned: always}
            jobs: {description: "Jobs that a worker accepted of those of them that may be for our agent, without those
              of an earlier visit if there was a job or a dispatch since; None if that is not listed yet.", type: int,
              returned: always}
            jobs_before_person: {description: "All these jobs are older than the stay of the person who waits, and so
              are the dispatches; None if there are no jobs, or nobody waits.", type: bool, returned: always}
            jobs_ended: {description: "All these jobs have ended, well or not; None if there are none.", type: bool,
              returned: always}
            asked_at: {description: "Since when the room asks for our agent in vain, RFC 3339 on the controller's
              clock: when the first of these jobs began or, without any, the first dispatch was made; None if there is
              neither.", type: str, returned: always}
            asked_by_token: {description: "Token_agents, if the dispatches of the room are not known, as of one that
              is gone; else none.", type: list, returned: always}
            credentials_accepted: {description: "LiveKit accepted the API key and secret; None if it could not be
              asked.", type: bool, returned: always}
            limit_reached: {description: "LiveKit refused our calls for a limit of the plan, or of calls per minute;
              None if it could not be asked.", type: bool, returned: always}
            server_clock_offset_ms: {description: "LiveKit's clock minus the controller's, to about a second.", type:
              int, returned: always}
            project: {description: "The LiveKit Cloud project of the URL that the browser uses; None if it is no such
              URL.", type: str, returned: always}
            asked_project: {description: "That of the URL which this diagnosis asks; None if it is no such URL.",
              type: str, returned: always}
            url_failure: {description: "Why no LiveKit server answers at the browser's URL: dns, refused, tls or
              not_livekit; '' if one does; None if that URL is not given, or the fault may be this network's.", type:
              str, returned: always}
            token_refused: {description: "Why LiveKit refuses the person's token now: key, signature, expired, not
              valid yet, other; '' if it does not; None if no token is given, or LiveKit did not say.", type: str,
              returned: always}
            token_fault: {description: "What the token's own times say of the attempt: expired, not valid yet, or ''
              if it was valid; None without a token, or too near to tell.", type: str, returned: always}
            token_issued_at: {description: "From when the token is valid, RFC 3339; None if it does not say.", type:
              str, returned: always}
            token_room: {description: "The room that the token is for; None if it does not say.", type: str, returned:
              always}
            token_agents: {description: "The agent names that the token's room configuration asks for; None without a
              token.", type: list, returned: always}
            token_may_publish: {description: "The token lets the person publish; None without a token.", type: bool,
              returned: always}
        tunnel:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            reachable: {description: "The app's route answered; None if that cannot be told, as after a 5xx.", type:
              bool, returned: always}
            dns_ok: {description: "The name resolved; None if the resolver could not be asked.", type: bool, returned:
              always}
            tcp_ok: {description: "The connection was accepted; None if not reached, or no route or time.", type:
              bool, returned: always}
            tls_ok: {description: "The certificate can be trusted; None without TLS, or with no authorities to judge
              by.", type: bool, returned: always}
            tls_error: {description: "Expired, not_yet_valid, self_signed, hostname, untrusted, no_ca_store or
              other.", type: str, returned: always}
            tls_days_left: {description: "Days until the certificate expires, negative once it has.", type: float,
              returned: always}
            scheme: {description: "Http or https.", type: str, returned: always}
            host: {description: "The host name of the callback URL.", type: str, returned: always}
            status: {description: "HTTP status of the GET; None without an answer.", type: int, returned: always}
            error_code: {description: "Ngrok's code, such as ERR_NGROK_3200; None if the edge reported no error.",
              type: str, returned: always}
            route_exists: {description: "False if the app itself answered 404; None if the app did not answer
              plainly.", type: bool, returned: always}
            redirect_host: {description: "Another host that the answer redirects to, such as an identity provider's.",
              type: str, returned: always}
            html: {description: "The answer is a page for people; None without an answer.", type: bool, returned:
              always}
            edge_clock_offset_ms: {description: "The Date header of what answered, the edge or the API behind it,
              minus this host's clock, to about a second.", type: int, returned: always}
            failure: {description: "Dns, refused, unreachable, timeout, tls or protocol, if there was no answer.",
              type: str, returned: always}
        inspector:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            inspector_readable: {description: "The inspector lists requests; None if it was not asked.", type: bool,
              returned: always}
            inspector_covers: {description: "A request from before the attempt is listed, so the list reaches back;
              else None.", type: bool, returned: always}
            inspector_callbacks: {description: "POSTs to the callback's path in the span, ours and those of tools such
              as curl left out; None if unreadable.", type: int, returned: always}
            inspector_statuses: {description: "The statuses of these, oldest first; a call without an answer has
              none.", type: list, returned: always}
            inspector_tools: {description: "The calls of the route by tools such as curl, with no agent's call near
              them: each with at, tool, status.", type: list, returned: always}
            inspector_oldest: {description: "Time of the oldest request listed, RFC 3339, the controller's clock.",
              type: str, returned: always}
            tunnel_urls: {description: "Public URLs of the tunnels that run; None if they could not be listed.", type:
              list, returned: always}
            tunnel_ports: {description: "The port that each of these forwards to, as ngrok tells it.", type: list,
              returned: always}
            serves_host: {description: "One of these URLs is of the callback's host; None if they could not be listed;
              filled in when the evidence is brought together.", type: bool, returned: always}
            tunnel_started_at: {description: "When ngrok was started, RFC 3339, the controller's clock; None unless
              one runs.", type: str, returned: always}
            url_secret_older: {description: "True if the agent's secret NEXT_APP_URL was last set before that, else
              None: a deploy renews the times of all secrets; filled in from the layer secrets.", type: bool,
              returned: always}
            tunnel_host_reachable: {description: "Ngrok's host answers the controller, even if it lets nobody in; None
              if not asked, or if only its name is unknown; filled in when the evidence is brought together.", type:
              bool, returned: always}
        secrets:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            via: {description: "How LiveKit was asked: lk, or api, straight from the controller; None if it could not
              be asked.", type: str, returned: always}
            listed: {description: "LiveKit listed the agent's secrets; None if it could not be asked.", type: bool,
              returned: always}
            names: {description: "The secrets' names, without those that LiveKit sets itself.", type: list, returned:
              always}
            missing: {description: "Required names that are not among them.", type: list, returned: always}
            all_present: {description: "Every required secret exists; None if none is required, or the list is not
              known.", type: bool, returned: always}
            updated_at: {description: "When each secret was last set, by name, RFC 3339 or None.", type: dict,
              returned: always}
            last_change: {description: "The newest of these times.", type: str, returned: always}
            changed_together: {description: "Several secrets, all set within 2 s, as by a deploy or an overwrite; None
              if there are fewer than two, or a time is not known.", type: bool, returned: always}
            changed_after_deploy: {description: "That was later than the agent's deploy, which also renews them;
              filled in from the layer agent.", type: bool, returned: always}
        callback:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            probe: {description: "Validate or fake_user.", type: str, returned: always}
            status: {description: "HTTP status of the right key with the body {}; None without a key or an answer.",
              type: int, returned: always}
            wrong_key_status: {description: "HTTP status of a wrong key; None without an answer.", type: int,
              returned: always}
            key_accepted: {description: "The API took our key; None after an error, or if it complains of the body and
              refused no wrong key.", type: bool, returned: always}
            wrong_key_rejected: {description: "A wrong key was refused, 401 or 403; False if it was let in; None if
              not shown.", type: bool, returned: always}
            route_exists: {description: "False if the app itself answered 404, or 405 to a POST; None after an
              error.", type: bool, returned: always}
            error_code: {description: "Ngrok's code if its edge answered instead of the app.", type: str, returned:
              always}
            fake_user_status: {description: "HTTP status of the fake user's session; None unless the probe is
              fake_user.", type: int, returned: always}
            prisma_code: {description: "Prisma error code in the answer to a probe of ours; never a cause.", type:
              str, returned: always}
            answered_by_app: {description: "The app answered, not the edge; None if nobody did, or a nameless
              gateway.", type: bool, returned: always}
        service:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            systemd: {description: "Systemd runs on the host and answers.", type: bool, returned: always}
            unit_found: {description: "Systemd knows the unit; None if it could not be asked.", type: bool, returned:
              always}
            load_state: {description: "LoadState as systemd says it.", type: str, returned: always}
            active_state: {description: "ActiveState as systemd says it.", type: str, returned: always}
            sub_state: {description: "SubState as systemd says it.", type: str, returned: always}
            result: {description: "Result as systemd says it: success, exit-code, oom-kill, start-limit-hit, ….",
              type: str, returned: always}
            active: {description: "ActiveState is active or reloading.", type: bool, returned: always}
            restarts: {description: "NRestarts, the automatic restarts since the unit was last started by hand or at
              boot.", type: int, returned: always}
            started_at: {description: "When it last became active, RFC 3339, the controller's clock.", type: str,
              returned: always}
            up_before_attempt: {description: "It was up when the user tried; None if that changed within the precision
              of when.", type: bool, returned: always}
            up_through_attempt: {description: "It was up, without a restart, through the attempt's span.", type: bool,
              returned: always}
            crash_looping: {description: "It waits for an automatic restart, or gave up, or restarted thrice in the
              window.", type: bool, returned: always}
            journal_readable: {description: "This user may read the system's journal; None if it could not be asked.",
              type: bool, returned: always}
            journal_oldest: {description: "Time of the oldest entry of the whole journal, RFC 3339, the controller's
              clock.", type: str, returned: always}
            journal_covers: {description: "That entry is older than the attempt's span; None if the journal is
              unreadable.", type: bool, returned: always}
            suppressed: {description: "Messages of the unit that journald dropped in the window for coming too fast.",
              type: int, returned: always}
            entries_seen: {description: "Entries of the unit in the window that tell of a callback or an error.",
              type: int, returned: always}
            callbacks: {description: "Lines that match the pattern in the span, ours and synthetic users' left out.",
              type: int, returned: always}
            callback_statuses: {description: "The HTTP statuses that these lines show.", type: list, returned: always}
            codes: {description: "Error codes in the span, not ours: P2003, ECONNREFUSED, HTTP_500, ….", type: list,
              returned: always}
            other_codes: {description: "Error codes in the window that are outside of the span, or ours.", type: list,
              returned: always}
            self_entries: {description: "Entries in the window that our own probes or synthetic users caused.", type:
              int, returned: always}
            control_heard: {description: "A successful callback was logged before the span; None if not all could be
              searched.", type: bool, returned: always}
            control_at: {description: "When the latest one was, RFC 3339, the controller's clock.", type: str,
              returned: always}
            silence_counts: {description: "True if no line in the span means that no call came; else None, never
              False.", type: bool, returned: always}
            first_error: {description: "The first error in the span that is not ours, redacted, at most 300
              characters.", type: str, returned: always}
            disk_full: {description: "No room is left now where the service works, in the journal's folder, in / or in
              /var; or the log complained of it in the span.", type: bool, returned: always}
            ntp_synchronized: {description: "Timedatectl says that the clock is synchronized.", type: bool, returned:
              always}
            local_time_offset_ms: {description: "The host's clock minus the controller's, which all times in this
              record are corrected by; None if nobody could measure it.", type: int, returned: always}
            local_time_uncertainty_ms: {description: "How far that may be off.", type: int, returned: always}
            port: {description: "The port that the service listens on, as the inventory or the unit says; None if
              neither does.", type: int, returned: always}
            port_open: {description: "Something on the host accepts connections to that port; None if it is not
              known.", type: bool, returned: always}
            port_answers: {description: "It answers a GET of the callback there; False if none came in the time that a
              person waits.", type: bool, returned: always}
            kernel_faults: {description: "What the kernel complained of in the window, from two minutes before the
              unit went down until it was up again: under_voltage, out_of_memory; None if its log cannot be read, or
              does not reach back.", type: list, returned: always}
            kernel_first: {description: "The first such line, at most 200 characters.", type: str, returned: always}
            sudo_without_password: {description: "False if sudo would ask this user for a password to start the unit;
              True only if it says that it would not.", type: bool, returned: always}
            env_missing: {description: "Required names that neither the unit nor an environment file sets; None if no
              name is required, or one may be set in a file that this user may not read.", type: list, returned:
              always}
            env_changed_at: {description: "When an environment file was last written, RFC 3339, the controller's
              clock.", type: str, returned: always}
            env_changed: {description: "Before_start, if that was within 10 minutes before the service's last start,
              or after_start; else None, since a copy may keep a file's old time.", type: str, returned: always}
            frontend_built_at: {description: "When Next.js built what is served, RFC 3339, the controller's clock.",
              type: str, returned: always}
            frontend_hosts: {description: "Hosts of the WebSocket URLs in the frontend that was built; None if not all
              of it was read.", type: list, returned: always}
            frontend_host_set: {description: "Host of NEXT_PUBLIC_LIVEKIT_URL as the service's environment sets it
              now.", type: str, returned: always}
            frontend_url_newer: {description: "The file that sets it was written after the build; None if no file
              does.", type: bool, returned: always}
        agent:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            via: {description: "How LiveKit was asked: lk, or api, straight from the controller; None if it could not
              be asked.", type: str, returned: always}
            lk_version: {description: "The version of lk; None if it does not say, or was not asked.", type: str,
              returned: always}
            found: {description: "The project has the agent; None if it could not be asked.", type: bool, returned:
              always}
            id: {description: "The cloud agent's id.", type: str, returned: always}
            name: {description: "Its dispatch name, '' for automatic dispatch, by lk or else by its log; None if
              neither tells.", type: str, returned: always}
            deployments: {description: "One dict per region and deployment: region, deployment, status, replicas, min,
              max, version, deployed_at, last_observed; None if unknown.", type: list, returned: always}
            status: {description: "The production deployment's status as LiveKit documents it, the worst if regions
              differ; None if this lk does not tell which of two deployments in a region it is.", type: str, returned:
              always}
            condition: {description: "What the status means: ready, asleep, waking, progressing, failed or gone; None
              for a status that is not known, or not to be trusted.", type: str, returned: always}
            replicas: {description: "Running replicas of the production deployment, over all regions.", type: int,
              returned: always}
            version: {description: "The production deployment's version.", type: str, returned: always}
            deployed_at: {description: "When the agent was last deployed, RFC 3339; None if never or unknown.", type:
              str, returned: always}
            crashes: {description: "Crashes that LiveKit counts for the production deployment, none of them known to
              be older than the attempt's window; None if this lk shows no events.", type: int, returned: always}
            recent_events: {description: "Kinds of events of the attempt's window or later, such as
              RESTARTED_HIGH_MEMORY_USAGE; None if this lk shows no events.", type: list, returned: always}
            versions: {description: "One dict per version, newest first: version, current, status, created_at,
              deployed_at, draining, active, commit; None if unknown.", type: list, returned: always}
            draining: {description: "Versions that finish their sessions and take no new ones; None where lk does not
              tell.", type: list, returned: always}
            newest_version_stuck: {description: "The newest version is still on its way to serve, more than 5 minutes
              after it was made; None if unknown.", type: bool, returned: always}
            source_is_deployed: {description: "The version that serves was deployed from the commit that is checked
              out in the agent's folder; None if lk or the folder does not tell.", type: bool, returned: always}
            newest_version_failed: {description: "The newest version's status is a failure; None if there is none or
              it is unknown.", type: bool, returned: always}
            newest_is_current: {description: "The newest version is the one that serves.", type: bool, returned:
              always}
            logs: {description: "'read', 'asleep' (there are none while the agent sleeps), 'empty' or 'unavailable'.",
              type: str, returned: always}
            log_lines: {description: "Lines of the agent's log that were read; None if none could be.", type: int,
              returned: always}
            log_registered: {description: "The worker registered after its newest start; None if no line says so or
              otherwise.", type: bool, returned: always}
            log_job_received: {description: "A job request arrived in the span of the attempt; None if no timed line
              says so.", type: bool, returned: always}
            log_crashed: {description: "The log shows a crash, none that is known to be older than the attempt's
              window; None without a log.", type: bool, returned: always}
            log_said: {description: "What its log tells of jobs and capacity, of the attempt's window or later, by the
              names of worker_said, such as rejected, assignment_timeout, pool_broken or full; None without a log.",
              type: list, returned: always}
            log_connect_failure: {description: "Why its worker could not connect to LiveKit, by the last line of the
              newest run that says so: credentials, tls, dns, not_livekit, proxy or unreachable; '' if no line does;
              None without a log.", type: str, returned: always}
            log_session_ends: {description: "How sessions of the attempt's span ended: error, person_left; None if no
              line says.", type: list, returned: always}
            log_missing_names: {description: "Environment variables whose absence the log reports; None without a
              log.", type: list, returned: always}
            log_errors: {description: "The newest error lines of the attempt's window or later, redacted, at most 5;
              None without a log.", type: list, returned: always}
            log_codes: {description: "Error codes in such lines, such as ENOTFOUND, P2003 or HTTP_401; None without a
              log.", type: list, returned: always}
            credentials_accepted: {description: "LiveKit accepted lk's credentials; None if it was not asked.", type:
              bool, returned: always}
            project: {description: "The project that lk used, by name or subdomain.", type: str, returned: always}
            configured_project: {description: "The project's subdomain in the livekit.toml of the agent's folder; of a
              worker of the team's own, that of the server where it registered; None without one.", type: str,
              returned: always}
        worker:
          description: The record of the layer. Its signals follow; null means that a value is not known.
          returned: when O(layers) has it
          type: complex
          contains:
            worker_self_hosted: {description: "The inventory names a host of voice_worker; filled in when the evidence
              is brought together.", type: bool, returned: always}
            worker_unit_found: {description: "Systemd knows the worker's unit; None if it could not be asked.", type:
              bool, returned: always}
            worker_active: {description: "The unit is up now.", type: bool, returned: always}
            worker_result: {description: "How its last run ended, as systemd says it: success, exit-code, oom-kill,
              ….", type: str, returned: always}
            worker_exit_status: {description: "The exit status of that.", type: int, returned: always}
            worker_journal_readable: {description: "This user may read the system's journal; None if it could not be
              asked.", type: bool, returned: always}
            worker_registered: {description: "By its log, it is registered with LiveKit now; None if the log does not
              tell.", type: bool, returned: always}
            worker_registered_at: {description: "When it last registered, RFC 3339, the controller's clock.", type:
              str, returned: always}
            worker_registered_at_attempt: {description: "It was registered when the user tried.", type: bool,
              returned: always}
            worker_state_at_attempt: {description: "Registered, starting, connecting, gave_up or stopped; None if that
              changed within the precision of when the user tried, or the log does not tell.", type: str, returned:
              always}
            worker_registered_after: {description: "When it registered first after the attempt, RFC 3339; '' if it did
              not.", type: str, returned: always}
            worker_startup_s: {description: "Seconds that the start took in which the attempt fell; 0 if it fell in
              none.", type: float, returned: always}
            worker_gave_up: {description: "It gave up connecting, after its last start.", type: bool, returned:
              always}
            worker_connect_failure: {description: "Why it could not connect at the attempt, or cannot now:
              credentials, tls, dns, not_livekit, proxy (what stands before LiveKit refuses) or unreachable; '' if it
              could.", type: str, returned: always}
            worker_connect_error: {description: "The line that says so.", type: str, returned: always}
            worker_connect_failed_at: {description: "When that was, RFC 3339.", type: str, returned: always}
            worker_name: {description: "The agent's name that it registered with; None where its log does not tell, as
              JavaScript's.", type: str, returned: always}
            worker_deployment: {description: "The deployment that it registered with.", type: str, returned: always}
            worker_project_host: {description: "The host of the LiveKit server that it connects to.", type: str,
              returned: always}
            worker_full_at_attempt: {description: "It was marked as full when the user tried.", type: bool, returned:
              always}
            worker_full_s: {description: "Seconds for which it was.", type: float, returned: always}
            worker_full_now: {description: "It was marked as full when we looked.", type: bool, returned: always}
            worker_briefly_full: {description: "These were fewer than 15, as one accepted job makes it that is not
              started yet; None while it is full and has not been for so long.", type: bool, returned: always}
            worker_idle_at_attempt: {description: "It had got no job since its start; None if it had, for that may
              have ended.", type: bool, returned: always}
            worker_jobs_received: {description: "Job requests in the attempt's span, ours left out; 0 only if one
              would be heard.", type: int, returned: always}
            worker_said: {description: "What its log tells of jobs in that span, such as pool_broken, rejected or
              crashed.", type: list, returned: always}
            worker_errors: {description: "The newest error lines of that span, redacted, at most 5.", type: list,
              returned: always}
            worker_codes: {description: "Error codes in that span.", type: list, returned: always}
            worker_crash_looping: {description: "Systemd restarted it thrice or more in the window, and it did not
              register since.", type: bool, returned: always}
            worker_flapping: {description: "Thrice or more in the window it lost its connection, or registered without
              a start.", type: bool, returned: always}
            server_not_dispatched: {description: "Room jobs in the span for which livekit-server knew no worker; 0
              only if heard.", type: int, returned: always}
            server_no_response: {description: "Such jobs for which no node had the worker that was known.", type: int,
              returned: always}
            server_no_capacity: {description: "Such jobs for which all workers were full.", type: int, returned:
              always}
            server_timed_out: {description: "Such jobs for which a worker answered too late.", type: int, returned:
              always}
            server_worker_left: {description: "Jobs of the span whose worker left the room.", type: int, returned:
              always}
            server_missing_names: {description: "The agent names that were not found.", type: list, returned: always}
            server_assigned_elsewhere: {description: "Jobs of the span that went to another worker than this one.",
              type: int, returned: always}
            worker_http_answers: {description: "The worker's HTTP server answers; None if it could not be asked.",
              type: bool, returned: always}
            worker_type: {description: "JT_ROOM or JT_PUBLISHER, by the worker's HTTP server.", type: str, returned:
              always}
            worker_active_jobs: {description: "Jobs that it runs now, by its HTTP server.", type: int, returned:
              always}
            worker_load: {description: "Its load now, 0 to 1, by its HTTP server; None of a JavaScript worker.", type:
              float, returned: always}
    voiceops_clock:
      description: >-
        The host's clock against the controller's, as C(offset_ms) and C(uncertainty_ms); empty where nothing was
        measured.
      returned: always
      type: dict
"""

import contextlib
import queue
import threading
import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.voiceops.livekit.plugins.module_utils.record import Record, record_layer, unknown
from ansible_collections.voiceops.livekit.plugins.module_utils.redact import known, redact_data

LAYERS = ("agent", "agent_after", "callback", "client", "inspector", "secrets", "service", "tunnel", "worker")
ARGUMENT_SPEC: dict[str, Any] = {
    "layers": {"type": "list", "elements": "str", "choices": list(LAYERS), "required": True},
    "gathered": {"type": "dict", "default": {}},
    "reason": {"type": "str"},
    "deadline": {"type": "float", "default": 20},
    "run": {
        "type": "dict",
        "default": {},
        "options": {
            "started_at": {"type": "float"},
            "clock": {"type": "dict"},
            "probe_id": {"type": "str"},
            "probes": {"type": "list", "elements": "dict", "default": []},
            "attempt": {"type": "dict"},
        },
    },
    "livekit_url": {"type": "str"},
    "livekit_api_key": {"type": "str", "no_log": True},
    "livekit_api_secret": {"type": "str", "no_log": True},
    "client_url": {"type": "str"},
    "client_token": {"type": "str", "no_log": True},
    "room": {"type": "str", "default": ""},
    "agent_name": {"type": "str", "default": ""},
    "agent_id": {"type": "str"},
    "agent_dir": {"type": "path"},
    "agent_via": {"type": "str", "choices": ["auto", "lk", "api"], "default": "auto"},
    "lk": {"type": "str", "default": "lk"},
    "lk_environment": {"type": "dict", "default": {}, "no_log": True},
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
    "service_port": {"type": "int"},
    "service_required_env": {"type": "list", "elements": "str", "default": []},
    "worker_unit": {"type": "str", "default": "livekit-agent"},
    "worker_url": {"type": "str", "default": "http://127.0.0.1:8081"},
    "server_unit": {"type": "str"},
    "inspector_url": {"type": "str", "default": "http://127.0.0.1:4040"},
    "probe_room_prefix": {"type": "str", "default": "zz-probe-"},
}
_PROJECT = ("livekit_api_key", "livekit_api_secret")
_LK = (*_PROJECT, "lk_environment")
# What a layer's collector uses of the secrets; a host gets no others than those of its layers.
SECRETS: dict[str, tuple[str, ...]] = {
    "agent": _LK,
    "agent_after": _LK,
    "callback": ("callback_key",),
    "client": (*_PROJECT, "client_token"),
    "secrets": _LK,
}
Collector = Callable[[dict[str, Any], float], Record]
# What lies between a collector's own deadline and ours, so that its partial result arrives.
GRACE_S = 1.5


def needed(args: dict[str, Any], layers: list[str]) -> dict[str, Any]:
    """Return the arguments without the secrets that none of C(layers) uses."""
    used = {name for layer in layers for name in SECRETS.get(layer, ())}
    return {
        name: value for name, value in args.items() if name in used or not ARGUMENT_SPEC.get(name, {}).get("no_log")
    }


def collector(layer: str) -> Collector:
    """The function that gathers a layer's record. Imported when it is asked for: a Pi compiles slowly."""
    if layer == "client":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import client

        return client.collect
    if layer == "tunnel":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import tunnel

        return tunnel.collect
    if layer == "inspector":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import inspector

        return inspector.collect
    if layer == "secrets":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import secrets

        return secrets.collect
    if layer == "callback":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import callback

        return callback.collect
    if layer == "service":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import service

        return service.collect
    if layer == "worker":
        from ansible_collections.voiceops.livekit.plugins.module_utils.layers import worker

        return worker.collect
    from ansible_collections.voiceops.livekit.plugins.module_utils.layers import agent

    return agent.collect


def collect_one(layer: str, options: dict[str, Any], deadline: float) -> Record:
    """Run one collector; whatever breaks in it becomes an unknown record that names the breakage."""
    began = time.monotonic()
    try:
        result = collector(layer)(options, deadline)
    except Exception as exc:  # a broken probe must not take the other layers with it
        result = unknown(record_layer(layer), f"this probe broke: {type(exc).__name__}: {exc}")
    result["took_ms"] = round((time.monotonic() - began) * 1000)
    return result


def collect_all(layers: list[str], options: dict[str, Any], seconds: float) -> dict[str, Record]:
    """Run the collectors in threads and return their records by layer, late ones as unknown."""
    deadline = time.monotonic() + seconds
    done: queue.Queue[tuple[str, Record]] = queue.Queue()
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


def gather(params: dict[str, Any]) -> dict[str, Any]:
    """Ask the layers of C(params), and return the facts: their records without secrets, and when this host asked."""
    began = time.time()
    run = params["run"]
    options = {
        **params,
        "now": run.get("started_at") or began,
        "clock": run.get("clock"),
        "probe_id": run.get("probe_id"),
        "probes": run.get("probes") or [],
        "attempt": run.get("attempt"),
    }
    records = collect_all(params["layers"], options, params["deadline"])
    records = redact_data(records, known(ARGUMENT_SPEC, params))
    return {"voiceops_evidence": records, "voiceops_clock": run.get("clock") or {}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # Ansible would mask any 1 or C for being a value in the environment.
    module.no_log_values = set(known(ARGUMENT_SPEC, module.params))
    module.exit_json(changed=False, ansible_facts=gather(module.params))


if __name__ == "__main__":
    main()
