# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in cloud's CloudAgent service answers (C(livekit_cloud_agent.proto))."""

from __future__ import annotations

import uuid
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol import cloud_agent as pb

from lab.cloud_agent import CloudAgent
from lab.cloud_clock import Clock
from lab.cloud_twirp import TwirpError

_NEVER = -62135596800
"""Go's zero time, year 1, in epoch seconds: what LiveKit sends for what never happened."""
_SETTINGS = {
    "python-min-sdk-version": "1.0.0",
    "node-min-sdk-version": "1.0.0",
    "available_regions": "us-east,eu-central",
}
_LIMITS = {"cpu_req": "2000m", "cpu_limit": "2000m", "mem_req": "4Gi", "mem_limit": "4Gi"}


class AgentService:
    """The methods about the project's agent, if it has one, and the uploads they ask for."""

    def __init__(self, agent: CloudAgent | None, clock: Clock, plan: str) -> None:
        self.uploads: dict[str, bool] = {}
        """Whether the upload came, by the name it was given."""
        self._agent = agent
        self._clock = clock
        self._plan = plan

    def find(self, agent_id: str) -> CloudAgent:
        """Give the agent with that id; raises C(TwirpError)."""
        if self._agent is None or self._agent.id != agent_id:
            raise TwirpError("not_found", "agent not found")
        return self._agent

    def list_agents(self, request: pb.ListAgentsRequest, base: str) -> pb.ListAgentsResponse:
        """Give the agents, or those with the id and the name asked for."""
        agent = self._agent
        wanted = agent and request.agent_id in ("", agent.id) and request.agent_name in ("", agent.name)
        return pb.ListAgentsResponse(agents=[self._info(agent)] if agent and wanted else [])

    def list_versions(self, request: pb.ListAgentVersionsRequest, base: str) -> pb.ListAgentVersionsResponse:
        agent = self.find(request.agent_id)
        return pb.ListAgentVersionsResponse(
            versions=[
                pb.AgentVersion(
                    version=item["version"],
                    current=item["current"],
                    active=item["current"],
                    draining=item["draining"],
                    attributes=item["attributes"],
                    status=item["status"],
                    created_at=_timestamp(item["created_at"]),
                    deployed_at=_timestamp(item["deployed_at"]),
                )
                for item in agent.versions
            ]
        )

    def list_secrets(self, request: pb.ListAgentSecretsRequest, base: str) -> pb.ListAgentSecretsResponse:
        """Give names and times; values never leave the cloud."""
        agent = self.find(request.agent_id)
        return pb.ListAgentSecretsResponse(
            secrets=[
                pb.AgentSecret(
                    name=item["name"],
                    kind="AGENT_SECRET_KIND_ENVIRONMENT",
                    created_at=_timestamp(item["created_at"]),
                    updated_at=_timestamp(item["updated_at"]),
                )
                for item in agent.secrets
            ]
        )

    def restart(self, request: pb.RestartAgentRequest, base: str) -> pb.RestartAgentResponse:
        self.find(request.agent_id).restart(self._clock.now())
        return pb.RestartAgentResponse(success=True)

    def rollback(self, request: pb.RollbackAgentRequest, base: str) -> pb.RollbackAgentResponse:
        agent = self.find(request.agent_id)
        if self._plan == "free":
            # LiveKit's own words are not known.
            raise TwirpError("permission_denied", "rollback is not available on your current plan")
        done = agent.rollback(request.version, self._clock.now())
        return pb.RollbackAgentResponse(success=done, message="" if done else "version not found")

    def update_secrets(self, request: pb.UpdateAgentSecretsRequest, base: str) -> pb.UpdateAgentSecretsResponse:
        names = [secret.name for secret in request.secrets]
        self.find(request.agent_id).update_secrets(names, request.overwrite, self._clock.now())
        return pb.UpdateAgentSecretsResponse(success=True)

    def settings(self, request: pb.ClientSettingsRequest, base: str) -> pb.ClientSettingsResponse:
        return pb.ClientSettingsResponse(params=[pb.SettingsParam(name=n, value=v) for n, v in _SETTINGS.items()])

    def deploy(self, request: pb.DeployAgentRequest, base: str) -> pb.DeployAgentResponse:
        """Begin a deployment: its source is to be uploaded to the address given, then C(/build) to be called."""
        upload = self._begin_deploy(request.agent_id, base)
        # lk before 2.6.3 knows an address to PUT to alone.
        return pb.DeployAgentResponse(
            success=True, agent_id=request.agent_id, presigned_post_request=upload, presigned_url=upload.url
        )

    def deploy_v2(self, request: pb.DeployAgentV2Request, base: str) -> pb.DeployAgentV2Response:
        """Do what C(deploy) does, for C(lk) from 2.18.0 on."""
        upload = self._begin_deploy(request.agent_id, base)
        return pb.DeployAgentV2Response(success=True, agent_id=request.agent_id, presigned_req=upload)

    def _begin_deploy(self, agent_id: str, base: str) -> pb.PresignedPostRequest:
        self.find(agent_id).begin_deploy(self._clock.now())
        name = uuid.uuid4().hex
        self.uploads[name] = False
        return pb.PresignedPostRequest(url=f"{base}/upload/{name}", values={"key": f"{agent_id}/{name}.tar.gz"})

    def _info(self, agent: CloudAgent) -> pb.AgentInfo:
        current = next((item["version"] for item in agent.versions if item["current"]), "---")
        return pb.AgentInfo(
            agent_id=agent.id,
            agent_name=agent.name,
            version=current,
            deployed_at=_timestamp(agent.deployed_at),
            agent_deployments=[self._deployment(agent, entry) for entry in agent.deployments],
        )

    def _deployment(self, agent: CloudAgent, entry: dict[str, Any]) -> pb.AgentDeployment:
        running = entry["status"] == "Running"
        return pb.AgentDeployment(
            region=entry["region"],
            agent_id=agent.id,
            agent_name=agent.name,
            status=entry["status"],
            replicas=entry["replicas"],
            min_replicas=entry["min"],
            max_replicas=entry["max"],
            server_region="lab1",
            deployment=entry["deployment"],
            deployment_enabled=True,
            version=entry["version"],
            last_scraped_at=_timestamp(self._clock.now()),
            events=[
                pb.AgentEvent(type=item["type"], count=item["count"], timestamp=_timestamp(item["at"]))
                for item in entry["events"]
            ],
            cur_cpu="12m" if running else "0m",
            cur_mem="215Mi" if running else "0",
            **_LIMITS,
        )


def _timestamp(at: float | None) -> Timestamp:
    return Timestamp(seconds=_NEVER) if at is None else Timestamp(seconds=int(at), nanos=int(at % 1 * 1e6) * 1000)
