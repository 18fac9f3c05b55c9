#!/usr/bin/env bash
# The virtual environment of the benchmarks: CPython 3.11 with the peers and what the panel imports, in .venv-bench.
# (3.11: the newest version that all of them support in every mode that is compared.)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV_PYTHON:-$(scripts/interpreters.sh list | awk -F'\t' '$1 ~ /^3\.11\./ { path = $2 } END { print path }')}
[ -n "$python" ] || { echo "no CPython 3.11 here: set VENV_PYTHON to one" >&2; exit 1; }
VENV_PYTHON=$python scripts/venv.sh .venv-bench bench/requirements-peers.txt
.venv-bench/bin/python -m pip list --disable-pip-version-check 2> /dev/null | grep -iE '^(memray|scalene|filprofiler|numpy|pandas) '
