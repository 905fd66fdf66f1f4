# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each rule, the changes to the healthy system that confirm it, and those that just do not."""

from __future__ import annotations

from .evidence import ASLEEP, NO_AGENT_CAME, NOT_PROBED, PERSON_WAITS

STAYS_ASLEEP = {"dispatch": {"agent_status_after": "Sleeping"}}
ACCEPTED = {"dispatch": {"accepted": True}}


def edge_error(code, status):
    """ngrok's edge answers instead of the app."""
    return {
        "tunnel": {"reachable": False, "status": status, "error_code": code, "route_exists": None, "html": True},
        "callback": {
            "status": status,
            "wrong_key_status": status,
            "key_accepted": None,
            "wrong_key_rejected": None,
            "route_exists": None,
            "error_code": code,
            "answered_by_app": False,
        },
    }


def no_answer(failure, **tunnel):
    """Nobody answers at the public address."""
    gone = {"reachable": False, "status": None, "route_exists": None, "html": None, "failure": failure}
    nothing = dict.fromkeys(
        ["status", "wrong_key_status", "key_accepted", "wrong_key_rejected", "route_exists", "answered_by_app"]
    )
    return {"tunnel": {**gone, **tunnel}, "callback": nothing}


def logged(*codes, statuses=(500,), error="the first error"):
    """The agent called at the attempt, and the service logged this."""
    return {
        "service": {
            "callbacks": len(statuses),
            "callback_statuses": list(statuses),
            "calls": len(statuses),
            "call_statuses": list(statuses),
            "codes": list(codes),
            "first_error": error if codes else "",
        }
    }


def agent_log(*errors, codes=(), **signals):
    return {"agent": {"log_errors": list(errors), "log_codes": list(codes), **signals}}


CRASHED = {"agent": {"status": "CrashLoop", "condition": "failed", "crashes": 7, "log_crashed": True}}
SILENCE_UNPROVEN = {"service": {"silence_counts": None, "calls": None, "call_statuses": None, "first_error": None}}

# By rule: the changes to the healthy system that confirm it.
CASES = {
    "disk_full": [logged("ENOSPC", "P1008"), {"service": {"disk_full": True}}],
    "pi_clock_drift": [{"service": {"local_time_offset_ms": -420000}}],
    "wrong_unit": [
        SILENCE_UNPROVEN,
        {"service": {"unit_found": False, "load_state": "not-found", "active": False, "active_state": "inactive"}},
    ],
    "logs_not_covering_window": [SILENCE_UNPROVEN, {"service": {"journal_covers": False}}],
    "livekit_credentials_refused": [NOT_PROBED, {"client": {"credentials_accepted": False}}],
    "client_not_connected": [{"client": {"room": "session-53", "person_connected": False}}],
    "explicit_dispatch_missing": [PERSON_WAITS, NO_AGENT_CAME, {"agent": {"name": "voice-agent"}}],
    "agent_name_mismatch": [
        PERSON_WAITS,
        NO_AGENT_CAME,
        {"agent": {"name": "voice-agent"}, "client": {"dispatch_names": ["voice"]}},
    ],
    "deployment_label_mismatch": [PERSON_WAITS, NO_AGENT_CAME, {"client": {"dispatch_deployments": ["staging"]}}],
    "agent_not_in_project": [{"agent": {"found": False, "status": None, "condition": None}}, NO_AGENT_CAME],
    "cloud_agent_deleted_or_suspended": [{"agent": {"status": "Deleted", "condition": "gone"}}, NO_AGENT_CAME],
    "livekit_cloud_incident": [{"agent": {"status": "Server Error", "condition": "failed"}}, NO_AGENT_CAME],
    "agent_missing_secret": [
        CRASHED,
        NO_AGENT_CAME,
        {"secrets": {"names": ["NEXT_APP_URL"], "missing": ["OPENAI_API_KEY"], "all_present": False}},
    ],
    "secret_value_corrupted": [agent_log("Error: getaddrinfo ENOTFOUND proto.ngrok.io,internal_service_key=***")],
    "agent_model_files_missing": [agent_log("Could not find file model.onnx. Use `python agent.py download-files`")],
    "agent_oom": [{"agent": {"events_types": ["RESTARTED_HIGH_MEMORY_USAGE"]}}, NO_AGENT_CAME],
    "agent_disk_full_restart": [{"agent": {"events_types": ["RESTARTED_HIGH_DISK_USAGE"]}}, NO_AGENT_CAME],
    "worker_bad_credentials": [agent_log("failed to connect", codes=["HTTP_401"], log_registered=False)],
    "agent_crash_loop": [CRASHED, NO_AGENT_CAME],
    "cloud_agent_dormant_no_wake": [ASLEEP, NO_AGENT_CAME, STAYS_ASLEEP],
    "agent_running_not_dispatched": [NO_AGENT_CAME],
    "dispatch_silently_dropped": [{"dispatch": {"path": 2}}],
    "entrypoint_crash": [NO_AGENT_CAME, ACCEPTED, {"agent": {"log_crashed": True}}],
    "agent_ice_failed": [NO_AGENT_CAME, ACCEPTED, {"dispatch": {"agent_state": "JOINED"}}],
    "entrypoint_hangs_before_connect": [NO_AGENT_CAME, ACCEPTED],
    "cloud_cold_start_slow": [ASLEEP, {"dispatch": {"joined_after_s": 19.3, "retry_joined_after_s": 1.1}}],
    "dns_failure": [no_answer("dns", dns_ok=False, tcp_ok=None, tls_ok=None)],
    "tunnel_tls_expired": [no_answer("tls", tls_ok=False, tls_error="expired", tls_days_left=-2.0)],
    "tunnel_domain_changed": [
        edge_error("ERR_NGROK_3200", 404),
        {"tunnel": {"tunnel_urls": ["https://other.ngrok.io"]}},
    ],
    "tunnel_offline": [edge_error("ERR_NGROK_3200", 404)],
    "tunnel_session_conflict": [edge_error("ERR_NGROK_334", 404)],
    "tunnel_upstream_refused": [edge_error("ERR_NGROK_8012", 502)],
    "tunnel_upstream_invalid": [edge_error("ERR_NGROK_3004", 502)],
    "tunnel_oauth_blocks": [edge_error("", 302), {"tunnel": {"redirect_host": "idp.ngrok.com"}}],
    "tunnel_quota": [edge_error("ERR_NGROK_727", 403)],
    "tunnel_interstitial": [edge_error("ERR_NGROK_6024", 200)],
    "callback_path_wrong": [
        {
            "tunnel": {"reachable": False, "status": 404, "route_exists": False},
            "callback": {"status": 404, "wrong_key_status": 404, "key_accepted": None, "route_exists": False},
        }
    ],
    "callback_key_missing_on_server": [{"callback": {"status": 401, "key_accepted": False}}],
    "callback_auth_mismatch": [logged("HTTP_401", statuses=(401,))],
    "callback_bad_request": [logged("HTTP_400", statuses=(400,))],
    "service_crash_loop": [
        edge_error("ERR_NGROK_8012", 502),
        {
            "service": {
                "crash_looping": True,
                "active": False,
                "active_state": "activating",
                "sub_state": "auto-restart",
                "restarts": 41,
            }
        },
    ],
    "service_down": [
        edge_error("ERR_NGROK_8012", 502),
        {"service": {"active": False, "active_state": "inactive", "sub_state": "dead"}},
    ],
    "service_hung": [no_answer("timeout")],
    "tunnel_unreachable": [no_answer("refused", tcp_ok=False, tls_ok=None)],
    "prisma_engine_mismatch": [logged("HTTP_500", error="Prisma could not locate the Query Engine for runtime")],
    "db_auth_failed": [logged("P1000")],
    "db_down": [logged("P1001")],
    "db_pool_exhausted": [logged("P2024")],
    "schema_drift": [logged("P2021")],
    "db_readonly_or_locked": [logged("HTTP_500", error="attempt to write a readonly database")],
    "user_missing_in_db": [logged("P2003")],
    "duplicate_row": [logged("P2002")],
    "record_missing": [logged("P2025")],
    "callback_server_error": [logged("HTTP_500")],
    "service_started_after_attempt": [
        SILENCE_UNPROVEN,
        {"service": {"up_before_attempt": False, "up_through_attempt": False}},
    ],
    "mic_not_published": [
        {"client": {"served": 1, "room": "session-52", "person_connected": True, "microphone_published": False}}
    ],
    "llm_key_invalid": [agent_log("APIStatusError: Incorrect API key provided (401)")],
    "llm_quota_429": [agent_log("Error code: 429 insufficient_quota")],
    "deploy_build_failed_old_running": [{"agent": {"newest_version_failed": True, "newest_is_current": False}}],
    "cloud_status_error_but_healthy": [{"agent": {"status": "Error", "condition": "failed"}}],
    "agent_asleep_healthy": [ASLEEP],
    "healthy": [],
}

# By rule: what, changed alone in the evidence that confirms it, takes the confirmation away.
NEAR_MISSES = {
    "logs_not_covering_window": [{"service": {"calls": 0, "call_statuses": []}}],
    "agent_name_mismatch": [{"client": {"dispatch_names": ["voice-agent"]}}],
    "explicit_dispatch_missing": [{"agent": {"name": ""}}, {"client": {"dispatch_names": ["voice-agent"]}}],
    "deployment_label_mismatch": [
        {"agent": {"deployments": [{"deployment": "staging"}]}},
        {"agent": {"deployments": [{"deployment": None}]}},
    ],
    "agent_missing_secret": [{"secrets": {"missing": []}}],
    "agent_oom": [{"dispatch": {"joined": True}}],
    "agent_disk_full_restart": [{"dispatch": {"joined": True}}],
    "worker_bad_credentials": [{"agent": {"log_registered": True}}, {"agent": {"log_codes": ["HTTP_500"]}}],
    "agent_crash_loop": [{"agent": {"status": "Error", "crashes": 0, "log_crashed": False}}],
    "cloud_agent_dormant_no_wake": [
        {"agent": {"status": "Running", "condition": "ready"}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"calls": 1}},
        {"service": {"codes": ["P2003"]}},
        {"dispatch": {"requested": False}},
        {"dispatch": {"accepted": True}},
        {"dispatch": {"joined": True}},
        {"dispatch": {"agent_status_after": "Running"}},
    ],
    "agent_running_not_dispatched": [
        {"agent": {"condition": "asleep"}, "dispatch": {"agent_status_after": "Sleeping"}},
        {"dispatch": {"accepted": True}},
        {"dispatch": {"joined": True}},
    ],
    "dispatch_silently_dropped": [{"dispatch": {"path": 1}}, {"agent": {"condition": "asleep"}}],
    "entrypoint_crash": [
        {"dispatch": {"accepted": None}},
        {"agent": {"log_crashed": False}},
        {"dispatch": {"joined": True}},
    ],
    "agent_ice_failed": [{"dispatch": {"joined": True}}, {"dispatch": {"accepted": False}}],
    "entrypoint_hangs_before_connect": [{"dispatch": {"joined": True}}, {"agent": {"log_crashed": True}}],
    "cloud_cold_start_slow": [
        {"agent": {"condition": "ready"}},
        {"dispatch": {"joined": False}},
        {"dispatch": {"joined_after_s": 10.0}},
    ],
    "tunnel_domain_changed": [
        {"tunnel": {"tunnel_urls": []}},
        {"tunnel": {"tunnel_urls": ["https://proto-trainer.ngrok.io"]}},
    ],
    "callback_path_wrong": [{"tunnel": {"error_code": "ERR_NGROK_3200"}}, {"tunnel": {"redirect_host": "idp.x"}}],
    "callback_key_missing_on_server": [
        {"callback": {"answered_by_app": False}},
        {"callback": {"wrong_key_status": 400}},
        {"callback": {"status": 500, "wrong_key_status": 401}},
    ],
    "callback_auth_mismatch": [{"service": {"call_statuses": [201]}}],
    "service_hung": [
        {"service": {"active": False}},
        {"tunnel": {"tcp_ok": False}},
        {"tunnel": {"reachable": True}},
        {"tunnel": {"failure": "refused"}},
    ],
    "service_down": [{"service": {"unit_found": False}}, {"service": {"crash_looping": True}}],
    "service_started_after_attempt": [{"service": {"active": False}}, {"service": {"calls": 1}}],
    "mic_not_published": [{"client": {"person_connected": False}}],
    "deploy_build_failed_old_running": [{"dispatch": {"joined": False}}, {"agent": {"newest_is_current": True}}],
    "cloud_status_error_but_healthy": [
        {"dispatch": {"joined": False}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
    "agent_asleep_healthy": [
        {"dispatch": {"joined": False}},
        {"dispatch": {"joined_after_s": 10.1}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
    "healthy": [
        {"agent": {"condition": "asleep"}},
        {"dispatch": {"joined": False}},
        {"tunnel": {"reachable": False}},
        {"callback": {"key_accepted": False}},
        {"service": {"active": False}},
    ],
}
