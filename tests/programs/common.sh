# What the tests of programs share: a folder of their own, which they start in and which is gone
# with them, and how a failure is told.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMP_NUM_THREADS=1

fail() {
  echo "FAILED: $*"
  exit 1
}

# Whether a program has ended by itself, with one line on standard error that begins with its name
# (unless Google Benchmark says it).
#   check_told PROGRAM STATUS FILE_OF_STANDARD_ERROR COMMAND...
check_told() {
  local name=$1 status=$2 said=$3
  shift 3
  [ "$status" -ne 0 ] || fail "$*: ends with 0"
  [ "$status" -lt 129 ] || [ "$status" = 130 ] || fail "$*: ends by a signal ($status)"
  [ "$(wc -l < "$said")" = 1 ] || fail "$*: says not one line: $(cat "$said")"
  [ -n "${is_googles:-}" ] || grep -q "^\(.*/\)\?$name: " "$said" || fail "$*: does not say its name: $(cat "$said")"
}
