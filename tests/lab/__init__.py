# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: loopback stand-ins for LiveKit Cloud, the ngrok edge, the callback API and the Pi, driven by scenarios."""
