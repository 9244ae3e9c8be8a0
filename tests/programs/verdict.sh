#!/usr/bin/env bash
# An example's own verdict: the last number in a method's line of its table.
#   verdict.sh PROGRAM METHOD LIMIT ARGUMENTS...
# fails unless the line that begins with METHOD ends with a number of no more than LIMIT.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
program=$1 method=$2 limit=$3
shift 3

"$program" "$@" --output verdict > out 2> err || fail "$* ends with $?: $(cat err)"
value=$(awk -v method="$method" 'index($0, method) == 1 && NF > 4 { value = $NF } END { print value }' out)
cat out
[[ $value =~ ^[0-9.]+(e[-+]?[0-9]+)?$ ]] || fail "$method ends with '$value', no number"
awk -v value="$value" -v limit="$limit" 'BEGIN { exit !(value + 0 <= limit + 0) }' ||
  fail "$method: $value is more than $limit"
[ -s verdict.json ] || fail "there are no numbers"
[ -z "$(ls | grep -e checkpoint -e partial)" ] || fail "leaves $(ls)"
