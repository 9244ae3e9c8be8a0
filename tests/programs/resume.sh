#!/usr/bin/env bash
# Ctrl-C ends a run with a checkpoint, and --resume goes on from it to the same curve: twice.
#   resume.sh PROGRAM FIRST_LINE SECOND_LINE ARGUMENTS...
# is interrupted when it prints a line that begins so, first in the run and then in the resumed one.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
program=$1 first=$2 second=$3
shift 3
name=$(basename "$program")

# interrupt LINE ARGUMENTS...
interrupt() {
  local line met=
  exec 3< <("$program" "${@:2}" 2> err & echo $!; wait $!; echo "status $?")
  read -r pid <&3
  while read -r line <&3; do
    case $line in
      "$1"*)
        sleep "0.00$((RANDOM % 10))"  # anywhere in what follows
        met=1
        kill -INT "$pid" ;;
      "status "*) status=${line#status } ;;
    esac
  done
  exec 3<&-
  [ -n "$met" ] || fail "${*:2}: prints no line that begins with '$1'"
  [ "$status" = 130 ] || fail "${*:2}: interrupted at '$1' it ends with $status: $(cat err)"
  check_told "$name" "$status" err "$name ${*:2}"
  grep -q "checkpoint, and --resume goes on from it" err || fail "says: $(cat err)"
  cat err
}

# natgrad's curves without their seconds.
curves() { sed -e 's/{"method":"Adam.*//' -e 's/"seconds":\[[^]]*\]//g' "$1"; }

"$program" "$@" --output straight > out || fail "the run without a stop ends with $?"
interrupt "$first" "$@" --output stopped
[ ! -e stopped.json ] || fail "there are results of a run that was interrupted"
"$program" "$@" --output stopped --seed 7 --resume > out 2> err
check_told "$name" $? err "--resume of another run"
interrupt "$second" "$@" --output stopped --resume
"$program" "$@" --output stopped --resume > out || fail "the resumed run ends with $?"
grep -q "^resumed after" out || fail "nothing was resumed: $(cat out)"
[ "$(curves straight.json)" = "$(curves stopped.json)" ] || fail "the curves differ"
curves straight.json | grep -q loss || fail "there are no curves: $(cat straight.json)"
[ -z "$(ls | grep -e checkpoint -e partial)" ] || fail "leaves $(ls)"
