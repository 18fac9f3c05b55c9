#!/usr/bin/env bash
# CPythons to test with.
#
#   scripts/interpreters.sh          fetch what is missing into .interpreters/, say what was skipped and why
#   scripts/interpreters.sh list     one line a usable interpreter, "VERSION<TAB>PATH", oldest first; fetches nothing
#
# A stable distribution has one Python; later suites of the same distribution have newer ones. They are fetched with this
# machine's own apt settings, the suite's name replaced, into lists of their own: apt's signatures are checked as usual
# and nothing of the system changes, so no root is needed. A newer Python needs a newer libc, hence each is unpacked
# with everything that it depends on, and its ELF header is changed (set-loader.mjs) to name the loader and the library
# folder of that tree. The result is an ordinary executable: sys.executable, virtual environments,
# child processes and LD_PRELOAD work. docs/interpreters.md lists the limits.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD/.interpreters

# What to fetch: the minor version, then the suites to look in, best first.
wanted=("3.13 trixie" "3.13 sid forky" "3.14 sid forky" "3.15 sid forky")

skip() { echo "interpreters: skipped $1: $2" >&2; }

# --- this machine's apt, another suite ----------------------------------------------------------------------------------

# Writes the machine's entries for its own suite, with the suite's name replaced, to $2. Both styles of entries are read.
write_sources() { # suite target
  local suite=$1 target=$2 own file
  own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  [ -n "$own" ] || return 1
  : > "$target/suite.list"; : > "$target/suite.sources"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] || continue
    sed -nE "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)$own( .*)$/\1$suite\3/p" "$file" >> "$target/suite.list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    # A stanza qualifies when its own suite stands alone among the suites (not as "SUITE-security" only).
    awk -v own="$own" -v suite="$suite" '
      function flush() { if (mine) printf "%s\n", text; text = ""; mine = 0 }
      /^[ \t]*$/ { flush(); next }
      /^#/ { next }
      /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == own) mine = 1; text = text "Suites: " suite "\n"; next }
      /^Types:/ { text = text "Types: deb\n"; next }
      { text = text $0 "\n" }
      END { flush() }' "$file" >> "$target/suite.sources"
  done
  [ -s "$target/suite.list" ] || [ -s "$target/suite.sources" ]
}

apt_of() { # suite command...
  local home=$tree/apt/$1; shift
  local tool=$1; shift
  "$tool" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$home/sources" -o Dir::State="$home/state" \
    -o Dir::State::lists="$home/lists" -o Dir::State::status="$home/status" -o Dir::Cache="$home/cache" \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o Acquire::Languages=none \
    -o APT::Get::AllowUnauthenticated=false -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 "$@"
}

# Reads the suite's package lists once per call of this script. The empty status file makes apt resolve every dependency.
declare -A prepared=()
prepare_suite() { # suite
  [ -z "${prepared[$1]:-}" ] || { [ "${prepared[$1]}" = yes ]; return; }
  local home=$tree/apt/$1
  prepared[$1]=no
  mkdir -p "$home/sources" "$home/state" "$home/lists/partial" "$home/cache/archives/partial"
  : > "$home/status"
  write_sources "$1" "$home/sources" || return 1
  apt_of "$1" apt-get -qq update > "$home/log" 2>&1 || return 1
  prepared[$1]=yes
}

candidate() { # suite package -> version, or nothing
  apt_of "$1" apt-cache policy "$2" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2; exit }'
}

# --- one interpreter ------------------------------------------------------------------------------------------------------

fetch() { # suite minor folder -> 0 when usable; prints the reason when not
  local suite=$1 minor=$2 folder=$3 home=$tree/apt/$1 part=$3.part
  rm -rf "$part" "$home/cache/archives"
  mkdir -p "$part" "$home/cache/archives/partial"
  apt_of "$suite" apt-get -qq -y --no-install-recommends --download-only install "python$minor" "libpython$minor-stdlib" \
    > "$home/log" 2>&1 || { echo "apt could not fetch it (see $home/log)"; return 1; }
  local deb
  for deb in "$home"/cache/archives/*.deb; do
    case $(basename "$deb") in
      # Only libraries and the interpreter are needed. base-files makes /lib and /lib64 links into /usr and is skipped: its
      # packages all ship their files below /usr already, or below /lib, which is looked at too.
      base-files_* | debconf_* | cdebconf_* | dpkg_* | tar_* | perl* ) continue ;;
    esac
    dpkg-deb -x "$deb" "$part" || { echo "$(basename "$deb") could not be unpacked"; return 1; }
  done
  rm -rf "$home/cache/archives"
  local real=$part/usr/bin/python$minor loader libraries
  loader=$(find "$part/usr/lib" "$part/lib" -name 'ld-linux-*.so.*' 2>/dev/null | head -n 1)
  [ -x "$real" ] && [ -n "$loader" ] || { echo "the packages hold no python$minor or no loader"; return 1; }
  libraries=$(dirname "$loader")
  node scripts/set-loader.mjs "$real" "$folder${loader#"$part"}" "$folder${libraries#"$part"}" 2> "$home/log" \
    || { echo "its loader could not be set: $(tail -n 1 "$home/log")"; return 1; }
  rm -rf "$folder"
  mv "$part" "$folder"
  "$folder/usr/bin/python$minor" -c 'import sys, ssl, sqlite3, ctypes, subprocess
assert subprocess.check_output([sys.executable, "-c", "import sys; print(sys.version)"], text=True).strip() == sys.version' \
    > "$home/log" 2>&1 || { rm -rf "$folder"; echo "it does not run here: $(tail -n 1 "$home/log")"; return 1; }
  echo "$folder" > "$folder/.ready"
}

# The loader's path is absolute: a tree that was moved with its checkout has to be made again.
ready() { [ "$(cat "$1/.ready" 2> /dev/null)" = "$1" ]; }

fetch_all() {
  local entry minor suites suite version folder reason taken=" "
  command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || { skip "3.13 to 3.15" "this machine has no apt"; return 0; }
  mkdir -p "$tree"
  exec 9> "$tree/lock"
  flock 9 # two callers at once: the second finds everything there
  for entry in "${wanted[@]}"; do
    read -r minor suites <<< "$entry"
    reason="no suite of $suites offers it"
    for suite in $suites; do
      folder=$tree/$suite-$minor
      if ready "$folder"; then
        reason=""
        break
      fi
      prepare_suite "$suite" || { reason="apt could not read the package lists of $suite (see .interpreters/apt/$suite/log)"; continue; }
      version=$(candidate "$suite" "python$minor")
      [ -n "$version" ] || continue
      case $taken in *" $version "*) reason="the same version as in an earlier suite"; continue ;; esac
      echo "interpreters: fetching CPython ${version%-*} ($suite)" >&2
      if reason=$(fetch "$suite" "$minor" "$folder"); then
        taken+="$version "
        reason=""
        break
      fi
    done
    [ -z "$reason" ] || skip "CPython $minor (${suites// / or })" "$reason"
  done
  rm -rf "$tree"/apt/*/lists "$tree"/apt/*/cache "$tree"/apt/*/state
}

# --- what is there ----------------------------------------------------------------------------------------------------------

candidates() {
  local minor root path
  for path in "$tree"/*/usr/bin/python3.[0-9]*; do ready "${path%/usr/bin/*}" && echo "$path"; done
  root=${PYENV_ROOT:-$(command -v pyenv > /dev/null && pyenv root || true)}
  if [ -n "$root" ]; then
    for path in "$root"/versions/*/bin/python3; do echo "$path"; done
  fi
  # On the path: pyenv's own launchers in "shims" are not interpreters.
  for minor in 8 9 10 11 12 13 14 15; do
    type -ap "python3.$minor" | grep -v /shims/ || true
  done
  type -ap python3 | grep -v /shims/ || true
}

list() {
  local path seen=" " target version
  while read -r path; do
    [ -x "$path" ] || continue
    target=$(readlink -f "$path")
    case $seen in *" $target "*) continue ;; esac
    seen+="$target "
    # CPython 3.8 and later only; whatever does not start is left out.
    version=$("$path" -I -S -c 'import sys
if sys.implementation.name == "cpython" and sys.version_info >= (3, 8): print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null < /dev/null) || continue
    [ -z "$version" ] || printf '%s\t%s\n' "$version" "$path"
  done < <(candidates) | sort -t. -k1,1n -k2,2n -k3,3n
}

case ${1:-fetch} in
  fetch) fetch_all ;;
  list) list ;;
  *) echo "usage: scripts/interpreters.sh [list]" >&2; exit 2 ;;
esac
