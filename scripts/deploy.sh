#!/usr/bin/env bash
# Deploys this checkout to production.
#
#   scripts/deploy.sh                     on this host, with docker compose: replaces the running
#                                         nodes, one service at a time
#   scripts/deploy.sh --color blue|green  on Kubernetes: starts this color with the image in its
#                                         kustomization.yaml, then switches traffic to it
#
# Settings: COMPOSE_FILE (compose files), IMAGE_TAG (the commit by default), those of kubectl.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
cd "$(dirname "$0")/.."

say() { printf '\n=== %s\n' "$*"; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

# --- One host ---

# Uses the compose plugin of Docker, or else the older docker-compose.
find_compose() {
	command -v docker >/dev/null || fail "docker is missing: https://docs.docker.com/engine/install"
	if docker compose version >/dev/null 2>&1; then compose() { docker compose "$@"; }; return; fi
	command -v docker-compose >/dev/null ||
		fail "docker compose is missing: https://docs.docker.com/compose/install"
	compose() { docker-compose "$@"; }
}

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# Creates a secret unless it exists. The mode of the folder excludes other users of this host; the
# file must be readable for the user in the container.
secret() {
	[ -e "secrets/$1" ] && return
	printf '%s' "$2" >"secrets/$1"
	chmod 444 "secrets/$1"
	echo "made secrets/$1"
}

make_secrets() {
	local password
	mkdir -p secrets && chmod 700 secrets
	secret postgres_password "$(random)"
	password=$(cat secrets/postgres_password)
	secret database_url "postgres://{service}:$(random)@postgres:5432/{service}"
	secret database_admin_url "postgres://postgres:$password@postgres:5432/postgres"
	secret jwt_secret "$(random)"
	secret admin_password "$(random)"
	# Empty: sends no e-mail. Otherwise smtp://user:password@host:587.
	secret smtp_url ""
	# Required by PAYMENT_PROVIDER=stripe (docs/payments.md).
	secret stripe_secret_key ""
	secret stripe_webhook_secret ""
}

# Waits until these containers are healthy. Fails once the engine reports one as unhealthy.
healthy() {
	local found
	for _ in $(seq 120); do
		found=$(docker inspect -f '{{.State.Health.Status}}' "$@") || return 1
		case "$found" in
		*unhealthy*) return 1 ;;
		*starting*) sleep 1 ;;
		*) return 0 ;;
		esac
	done
	return 1
}

# Prints the containers of a service, except the given ones.
others() { compose ps -q "$1" | grep -vxF "$(printf '%s\n' "${@:2}")" || true; }

# Removes the containers of a service, except the given ones, at once.
remove_others() { docker rm -f $(others "$@") >/dev/null 2>&1 || true; }

# Removes containers after they have completed their requests.
remove() {
	docker stop "$@" >/dev/null
	docker rm "$@" >/dev/null
}

# Runs a command before the script ends, also after a failure, Ctrl-C or a lost connection. No signal
# interrupts the command.
at_exit() {
	trap "trap '' INT TERM HUP; $*" EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

# Starts as many new containers as there are old ones, waits until they are healthy, then stops the
# old ones. An interruption leaves either the old or the new ones: the next run would double the
# number of both.
replace() {
	local service=$1 old new count
	old=$(compose ps -q "$service")
	count=$(wc -w <<<"$old")
	at_exit remove_others "$service" $old
	compose up -d --no-build --no-deps --no-recreate --scale "$service=$((2 * count))" "$service" &&
		new=$(others "$service" $old) && [ -n "$new" ] && healthy $new ||
		fail "the new $service does not become healthy; the old one still runs"
	# Containers that are removed already do not prevent the removal of the others.
	at_exit remove $old "|| true"
	remove $old
	trap - EXIT INT TERM HUP
	echo "replaced $count of $service"
}

# Starts the services that are new in this version, all together: they may depend on each other, and
# the new nodes of the other services may depend on them. Then replaces the nodes of the others.
replace_all() {
	local service new="" old=""
	for service in "$@"; do
		if [ -n "$(compose ps -q "$service")" ]; then old+=" $service"; else new+=" $service"; fi
	done
	if [ -n "$new" ]; then
		compose up -d --no-build --no-deps $new
		healthy $(compose ps -q $new) ||
			fail "new in this version and not healthy:$new; the others run as before"
		echo "started$new"
	fi
	for service in $old; do replace "$service"; done
}

deploy_compose() {
	export COMPOSE_FILE=${COMPOSE_FILE:-docker-compose.yml:docker-compose.prod.yml}
	local running nodes
	find_compose
	TAG=${IMAGE_TAG:-$(git rev-parse --short=12 HEAD)} ||
		fail "this is no checkout of git: set IMAGE_TAG"
	export TAG
	make_secrets
	# A service without a container of its own runs in that of another.
	nodes=$(compose config --services | grep -xF "$(ls services)")
	say "Building moleculer-commerce:$TAG"
	compose build migrate
	running=$(compose ps -q api 2>/dev/null || true)
	if [ -z "$running" ]; then
		say "Starting everything"
		compose up -d --no-build
		healthy $(compose ps -q $nodes edge) ||
			fail "not everything becomes healthy: see docker ps and docker logs"
	else
		say "Migrating"
		compose up -d --no-build --no-recreate postgres nats redis
		compose run --rm --no-deps migrate || fail "the migration failed; the nodes run as before"
		say "Replacing the nodes"
		# The gateway last, so that the services behind its new routes are available.
		replace_all $(grep -vx api <<<"$nodes") api
		compose up -d --no-build --no-deps --no-recreate edge
	fi
	say "Deployed $TAG"
}

# --- Kubernetes ---

overlay=k8s/overlays/blue-green

# Applies the objects of the overlay with these labels.
apply() { kubectl apply -k "$overlay" -l "$1"; }

# Writes the color that receives the traffic to switch.yaml.
switch_to() {
	sed "s/color: .*/color: $1/" "$overlay/switch.yaml" >"$overlay/.switch.yaml"
	mv "$overlay/.switch.yaml" "$overlay/switch.yaml"
}

deploy_color() {
	local color=$1 job=job/shop-migrate-$1 namespace before deployments deployment replicas
	command -v kubectl >/dev/null || fail "kubectl is missing: https://kubernetes.io/docs/tasks/tools"
	[ -e "$overlay/secrets.env" ] ||
		fail "$overlay/secrets.env is missing: copy secrets.env.example and fill it in"
	namespace=$(sed -n 's/^namespace: *//p' "$overlay/kustomization.yaml")
	before=$(sed -n 's/^ *color: *//p' "$overlay/switch.yaml")
	kube() { kubectl --namespace "$namespace" "$@"; }

	say "Applying the shared objects"
	apply '!color,!switch'
	say "Migrating with $color"
	# A completed Job is immutable.
	kube delete "$job" --ignore-not-found
	apply "color=$color,app.kubernetes.io/component!=node"
	kube wait --for=condition=complete --timeout=300s "$job" || fail "the migration with $color" \
		"did not complete (kubectl -n $namespace logs $job); nothing is switched"
	say "Starting $color"
	apply "color=$color,app.kubernetes.io/component=node"
	deployments=$(kube get deployments -l "color=$color" -o name)
	[ -n "$deployments" ] || fail "$color has no deployments; nothing is switched"
	for deployment in $deployments; do
		# An idle color has no replicas, and its autoscaler does not scale it up from zero.
		replicas=$(kube get "$deployment" -o 'jsonpath={.spec.replicas}')
		[ "${replicas:-0}" -ge 3 ] || kube scale "$deployment" --replicas=3
	done
	for deployment in $deployments; do
		kube rollout status --timeout=300s "$deployment" || fail "$deployment does not become" \
			"ready; nothing is switched (kubectl -n $namespace get pods -l color=$color)"
	done
	say "Switching to $color"
	switch_to "$color"
	apply switch || {
		switch_to "$before"
		fail "the switch could not be applied: customers still reach $before"
	}
	say "Customers reach $color. Commit $overlay/switch.yaml. The other color keeps running, so" \
		"that you can switch back; docs/running.md explains how to stop it"
}

case "$*" in
"") deploy_compose ;;
"--color blue" | "--color green") deploy_color "$2" ;;
*) fail "unknown arguments \"$*\"; \"scripts/deploy.sh --help\" lists them" ;;
esac
