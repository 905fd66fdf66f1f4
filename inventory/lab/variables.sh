#!/bin/sh
# An inventory script: what the running lab wrote down of itself.
exec python3 "$(dirname "$0")/../../tests/lab/inventory.py" "$@"
