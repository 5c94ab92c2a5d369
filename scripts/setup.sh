#!/usr/bin/env bash
# Prepares a development machine: installs npm packages and the servers for cluster tests.
set -euo pipefail
case "$*" in
"") ;;
-h | --help) sed -n '2s/^# //p' "$0"; exit ;;
*)
	printf 'setup: unknown argument "%s"; "scripts/setup.sh --help" describes it\n' "$*" >&2
	exit 1
	;;
esac
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# npm installs Node 24, which runs everything else.
has node && has npm || fail "Node 20 or newer with npm is missing: https://nodejs.org"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
	fail "this is Node $(node --version): install Node 20 or newer"

echo "Installing packages …"
npm ci

missing=$(.ci/install --missing)
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && has apt-get; then
	echo "Installing $missing …"
	.ci/install || echo "The installation failed."
	missing=$(.ci/install --missing)
fi
[ -z "$missing" ] ||
	echo "Tests that require them are skipped: $missing missing (on Debian: sudo .ci/install)"
has docker || echo "docker is missing: only the compose files require it"
has kubectl || echo "kubectl is missing: only the Kubernetes manifests and their tests require it"

cat <<'TEXT'

Ready.
  npm start                       runs all services in one process
  npm run dev                     the same, with a restart after each change
  npm test                        runs all tests
  docker compose up --build       runs a cluster at http://localhost:8080
TEXT
