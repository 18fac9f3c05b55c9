#!/bin/sh
# Compiles the agent into build/libtidegauge-agent.so with the system's C compiler. usage: scripts/agent-build.sh [extra compiler flags]
set -eu
cd "$(dirname "$0")/.."
cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo "tidegauge: no C compiler ($cc) to build the agent with: install gcc or clang, or set CC" >&2; exit 3; }
mkdir -p build
"$cc" -std=gnu11 -O2 -g1 -fPIC -shared -fvisibility=hidden -fno-plt -fno-semantic-interposition -flto=auto -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
  -Wall -Wextra -Wl,-z,now -Wl,--as-needed "$@" -o build/agent.tmp.$$ agent/*.c -ldl -lpthread
mv build/agent.tmp.$$ build/libtidegauge-agent.so
