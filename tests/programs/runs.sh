#!/usr/bin/env bash
# An example at small size: it ends with 0, and leaves numbers and nothing half-written.
#   runs.sh PROGRAM ARGUMENTS...
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
program=$1
shift

"$program" "$@" --output run || fail "$* ends with $?"
grep -q '[0-9]' run.json || fail "there are no numbers"
[ -z "$(ls | grep -e checkpoint -e partial)" ] || fail "leaves $(ls)"
