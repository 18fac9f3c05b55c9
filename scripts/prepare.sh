#!/bin/sh
# Makes what ./tidegauge needs and a clone does not have: npm packages, the bundle, the agent, the launcher. Says so in one line on
# stderr. Called by ./tidegauge when something is missing or older than its sources. Exit status 3: this machine lacks a part.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 3
cd "$root" || exit 3

stop() {
  echo "tidegauge: $1" >&2
  exit 3
}

command -v node > /dev/null || stop "Node.js is not installed; install version 20.19 or later (package nodejs, or a release from its makers)"
version=$(node -p 'const [a, b] = process.versions.node.split(".").map(Number); a > 20 || (a === 20 && b >= 19) ? "" : process.versions.node') ||
  stop "node does not run: $(command -v node)"
[ -z "$version" ] || stop "Node.js $version is too old; version 20.19 or later is needed"

mkdir -p build dist || stop "cannot write into $root; make the folder writable"
log=build/prepare.log

# One preparation at a time: two first calls at once would write into each other's node_modules.
if command -v flock > /dev/null; then
  exec 9> build/prepare.lock
  flock 9
fi

newer() { # FILE SOURCES...: whether one of the sources is newer than FILE, or FILE is missing
  file=$1
  shift
  [ ! -e "$file" ] || [ -n "$(find "$@" -newer "$file" -print -quit 2> /dev/null)" ]
}

packages='' bundle='' agent='' launcher=''
newer node_modules/.package-lock.json package-lock.json && packages='npm packages'
{ [ -n "$packages" ] || newer dist/tidegauge.cjs src scripts/build.mjs scripts/start.cjs package.json; } && bundle='the bundle'
ls agent/*.c > /dev/null 2>&1 && newer build/libtidegauge-agent.so agent scripts/agent-build.sh && agent='the agent'
newer build/tidegauge-launch src/capture/run/launcher.c && launcher='the launcher'
compiler=${CC:-cc}
if ! command -v "$compiler" > /dev/null; then
  [ -z "$agent$launcher" ] || echo "tidegauge: no C compiler ($compiler), so recordings will have no lines, only pages; install gcc or clang" >&2
  agent='' launcher=''
fi

list=''
for part in "$packages" "$bundle" "$agent" "$launcher"; do
  [ -z "$part" ] || list="$list${list:+, }$part"
done
[ -z "$list" ] || echo "tidegauge: preparing $list (once)…" >&2

attempt() { # WHAT COMMAND...
  what=$1
  shift
  "$@" > "$log" 2>&1 9>&- && return
  tail -n 15 "$log" >&2
  stop "could not prepare $what; the whole output is in $root/$log"
}

# The stamp is as old as the beginning: a source that changes meanwhile is newer.
touch build/prepared.new
[ -z "$packages" ] || command -v npm > /dev/null || stop "npm is not installed; it comes with Node.js (on Debian: package npm)"
[ -z "$packages" ] || attempt "$packages" npm ci --no-audit --no-fund
[ -z "$bundle" ] || attempt "$bundle" node scripts/build.mjs
[ -z "$agent" ] || attempt "$agent" scripts/agent-build.sh
[ -z "$launcher" ] || attempt "$launcher" "$compiler" -std=c11 -O2 -Wall -Wextra -o build/tidegauge-launch src/capture/run/launcher.c
mv build/prepared.new build/prepared
