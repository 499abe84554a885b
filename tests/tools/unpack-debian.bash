# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts that take programs out of Debian packages without installing them.

# unpack_debian WORK SUITE PACKAGE…: into WORK/root, from a Debian suite that need not be among the
# system's sources. Says everything to stderr.
unpack_debian() {
  local work=$1 suite=$2 apt=$1/apt-$2 package mirror
  shift 2
  mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null ||
    awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list)
  mkdir -p "$apt"/{lists,cache/archives}/partial "$work/debs-$suite" "$work/root"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "$mirror" "$suite" >"$apt/sources.list"
  : >"$apt/status"
  local options=(-o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
    -o "Dir::Cache=$apt/cache" -o "Dir::Etc::sourcelist=$apt/sources.list"
    -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
    -o Acquire::Retries=3 -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  apt-get "${options[@]}" update -q >&2
  (cd "$work/debs-$suite" && apt-get "${options[@]}" download -q "$@") >&2
  for package in "$work/debs-$suite"/*.deb; do dpkg -x "$package" "$work/root" >&2; done
}
