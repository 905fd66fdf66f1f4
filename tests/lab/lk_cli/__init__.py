# Copyright (c) 2026 voiceops.livekit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in C(lk) for machines without one: C(lk --version) and the C(lk agent) commands that the collection uses.

It copies versions 2.5.6, 2.12.9, 2.13.0, 2.13.2, 2.16.4 and 2.18.2 (C(LAB_LK_VERSION), 2.13.2 by default) in what a
caller can see: options, the order and the streams of the output, tables, JSON, error texts and exit codes, as LiveKit's
sources at those tags have them; it is compared with real ones by tests/integration/test_real_lk.py. Only the standard
library is used, so that it starts fast. C(LAB_LK_CALLS) names a file to which each call's arguments are added.

What it leaves out: help texts are short; C(deploy) looks for the SDK but not at its version, reads no C(.gitignore),
tags no git commit, and prints BuildKit's progress in outline; a bad quantity's log line on stderr is in outline, too.
2.16.4 deploys no image, and 2.5.6 ends on the first signal, not only at the next line of a log.
"""
