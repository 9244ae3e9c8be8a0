#!/usr/bin/env bash
# The verdicts of fisher_equals_ggn can fail: with a GGN that is a little too large each part does.
#   tampered.sh PROGRAM
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
program=$1

# tampered PART FACTOR ARGUMENTS...
tampered() {
  "$program" --only "$1" --tamper "$2" --no-picture "${@:3}" > out 2> err
  check_told fisher_equals_ggn $? err "$*"
  grep -q "^NOT as theory says: $1, .*GGN\|^NOT as theory says: $1, .*GaussNewton()" out ||
    fail "$*: no verdict of the GGN failed: $(tail -5 out)"
  grep "^NOT" out | head -1
}

tampered families 1.000001 --examples 1
tampered split 1.000001 --examples 2
tampered trajectory 1.0001 --steps 1
tampered models 1.0001 --weights 1000 --probes 1 --model mlp
