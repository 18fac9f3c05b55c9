#!/usr/bin/env bash
# Makes a virtual environment from a requirements file, unless it is there already:  scripts/venv.sh FOLDER REQUIREMENTS
#
# The interpreter is the newest CPython 3.11 here that has venv and pip (else 3.12, then 3.13): the oldest for which the current
# numpy has wheels, so that the tests cover the layout most programs run on. $VENV_PYTHON chooses another.
set -euo pipefail
folder=$1 requirements=$2
here=$(dirname "$0")

python=${VENV_PYTHON:-}
for minor in 3.11 3.12 3.13; do
  [ -z "$python" ] || break
  while IFS=$'\t' read -r _ path; do
    "$path" -c 'import venv, ensurepip' 2> /dev/null && python=$path
  done < <("$here/interpreters.sh" list | grep "^$minor\.")
done
[ -n "$python" ] || { echo "no CPython 3.11 to 3.13 with venv and ensurepip here: install python3-venv" >&2; exit 1; }

stamp=$("$python" -c 'import sys; print(sys.version, sys.executable)')$(cat "$requirements")
[ "$(cat "$folder/.stamp" 2> /dev/null)" != "$stamp" ] || exit 0
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: -r "$requirements"
printf '%s' "$stamp" > "$folder/.stamp"
