#!/usr/bin/env bash
# CPython's own tests under Tidegauge: what passes without it has to pass with it.
#
#   test/cpython-suite.sh                          3.8, 3.11 and 3.13, every module, writes docs/cpython-suite.md (about 30 minutes)
#   VERSIONS=3.11 MODULES="test_gc test_dict" WAYS="bare exact" test/cpython-suite.sh -      some of it, to standard output
#
# Ways: bare; default (`tidegauge run`); exact (`tidegauge run --exact`); agent (exact mode, the preload alone, without the recorder).
# A module is compared by the names of the tests that fail, and what fails only under Tidegauge is tried once more, both ways:
# several of these tests depend on timing.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
versions=${VERSIONS:-3.8 3.11 3.13}
modules=${MODULES:-test_list test_dict test_threading test_subprocess test_asyncio test_gc test_generators test_fork1 test_multiprocessing_fork test_json test_pickle}
ways=${WAYS:-bare default exact}
output=${1:-docs/cpython-suite.md}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The interpreter that has the test package: Debian's builds leave it out.
python_of() { # minor
  scripts/interpreters.sh list | while IFS=$'\t' read -r version path; do
    case $version in "$1".*) "$path" -c 'import test.test_dict' 2> /dev/null && { echo "$path"; break; } ;; esac
  done
}

# Runs one module; leaves its output in $work/log and prints the names of the failing tests, "timeout" or "crash", one a line.
failing() { # way python module
  local way=$1 python=$2 module=$3 status folder=$work/run
  local -a command=("$python" -m test -w -v "$module")
  rm -rf "$folder"
  mkdir -p "$folder/tmp"
  # Some builds come without the three-line module that chooses a start method (3.11.7's "make install" forgets it).
  if [ "$module" = test_multiprocessing_fork ] && ! "$python" -c "import test.$module" 2> /dev/null; then
    printf '%s\n' 'import sys, unittest, test._test_multiprocessing' 'from test import support' \
      "test._test_multiprocessing.install_tests_in_module_dict(globals(), 'fork')" > "$folder/$module.py"
    command=("$python" -m unittest -v "$module")
  fi
  case $way in
    default) command=("$root/tidegauge" run -q -o "$folder/t.tide" -- "${command[@]}") ;;
    exact) command=("$root/tidegauge" run -q --exact -o "$folder/t.tide" -- "${command[@]}") ;;
    agent)
      mkdir -m 700 "$folder/t.tide.run"
      echo mode=exact > "$folder/t.tide.run/settings"
      command=(env "LD_PRELOAD=$root/build/libtidegauge-agent.so" "TIDEGAUGE_RUN=$folder/t.tide.run" "${command[@]}")
      ;;
  esac
  (cd "$folder" && TMPDIR=$folder/tmp timeout -k 5 600 "${command[@]}" > "$work/log" 2>&1 < /dev/null)
  status=$?
  [ $status -ne 124 ] && [ $status -ne 137 ] || { echo timeout; return; }
  # -w tries failed modules again in one go: what counts is the last word on each test.
  awk '/^Re-running/ { delete bad } /^(FAIL|ERROR): / { bad[$2 " " $3] = 1 } END { for (name in bad) print name }' "$work/log" | sort > "$work/names"
  cat "$work/names"
  [ $status -eq 0 ] || [ -s "$work/names" ] || echo "exit status $status: $(tail -n 1 "$work/log" | cut -c 1-80)"
}

table() {
  local minor python module way cell names bare row
  for minor in $versions; do
    python=$(python_of "$minor")
    if [ -z "$python" ]; then
      printf '\nCPython %s: skipped, no interpreter with the test package here.\n' "$minor"
      continue
    fi
    printf '\n## %s\n\n| module | %s |\n| --- |%s\n' "$("$python" -c 'import platform; print("CPython", platform.python_version())')" \
      "${ways// / | }" "$(printf ' --- |%.0s' $ways)"
    for module in $modules; do
      row="| $module |" bare=""
      for way in $ways; do
        local start=$SECONDS
        names=$(failing "$way" "$python" "$module")
        if [ "$way" = bare ]; then
          bare=$names
        elif [ -n "$(comm -13 <(echo "$bare") <(echo "$names"))" ]; then
          bare=$(printf '%s\n%s\n' "$bare" "$(failing bare "$python" "$module")" | sort -u)
          names=$(failing "$way" "$python" "$module")
        fi
        local new
        new=$(comm -13 <(echo "$bare") <(echo "$names") | grep -v '^$')
        if [ -z "$names" ]; then cell=pass
        elif [ "$way" = bare ]; then cell="fails: $(echo "$names" | paste -sd, | sed 's/,/, /g')"
        elif [ -z "$new" ]; then cell="as bare"
        else cell="**differs**: $(echo "$new" | paste -sd, | sed 's/,/, /g')"; cp "$work/log" "build/cpython-suite-$minor-$module-$way.log"; fi
        row+=" $cell |"
        echo "$minor $module $way: $cell ($((SECONDS - start)) s)" >&2
      done
      echo "$row"
    done
  done
}

document() {
  cat << TEXT
# CPython's own tests under Tidegauge

Written by \`test/cpython-suite.sh\`. A cell says whether every test of the module passed, or else which failed; *as bare*: the same tests fail
without Tidegauge on this machine; **differs**: these fail only with it.
TEXT
  table
}

mkdir -p build
if [ "$output" = - ]; then table; else document > "$work/document" && cp "$work/document" "$output"; fi
