#!/usr/bin/env bash
# Brings what is checked out into production.
#
#   scripts/deploy.sh                        on this host, with docker compose: running nodes are replaced one service at a time
#   scripts/deploy.sh --color blue|green     on Kubernetes: brings up that colour with the image in its kustomization.yaml, then switches to it
#
# Settings: COMPOSE_FILE (other or further compose files), IMAGE_TAG (the commit unless given), and on Kubernetes what kubectl reads.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n=== %s\n' "$*"; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

# --- one host ---------------------------------------------------------------------------------------------------------------------

compose() {
	if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# Makes one secret, once. The folder keeps others on this host out; the file must be readable for the user in the container.
secret() { [ -e "secrets/$1" ] || { printf '%s' "$2" >"secrets/$1" && chmod 444 "secrets/$1" && echo "made secrets/$1"; }; }

make_secrets() {
	mkdir -p secrets && chmod 700 secrets
	secret postgres_password "$(random)"
	secret database_url "postgres://{service}:$(random)@postgres:5432/{service}"
	secret database_admin_url "postgres://postgres:$(cat secrets/postgres_password)@postgres:5432/postgres"
	secret jwt_secret "$(random)"
	secret admin_password "$(random)"
	# Empty: no e-mail is sent. smtp://user:password@host:587 sends it.
	secret smtp_url ""
}

healthy() {
	for _ in $(seq 90); do
		local waiting
		waiting=$(docker inspect -f '{{.State.Health.Status}}' "$@" | grep -vc '^healthy$' || true)
		[ "$waiting" = 0 ] && return
		sleep 1
	done
	return 1
}

# Starts as many new containers beside the running ones, waits until they are healthy, and only then ends the old ones.
replace() {
	local service=$1 old new count
	old=$(compose ps -q "$service")
	count=$(wc -w <<<"$old")
	compose up -d --no-build --no-deps --no-recreate --scale "$service=$((2 * count))" "$service"
	new=$(compose ps -q "$service" | grep -vxF "$old")
	healthy $new || { docker rm -f $new >/dev/null; fail "the new $service does not become healthy; the old one still runs"; }
	docker stop $old >/dev/null
	docker rm $old >/dev/null
	echo "replaced $count of $service"
}

deploy_compose() {
	export COMPOSE_FILE=${COMPOSE_FILE:-docker-compose.yml:docker-compose.prod.yml}
	export TAG=${IMAGE_TAG:-$(git rev-parse --short=12 HEAD)}
	make_secrets
	say "Building moleculer-commerce:$TAG"
	compose build migrate
	local running
	running=$(compose ps -q api 2>/dev/null || true)
	if [ -z "$running" ]; then
		say "Starting everything"
		compose up -d --no-build
	else
		say "Migrating"
		compose up -d --no-build --no-recreate postgres nats redis
		compose run --rm --no-deps migrate
		say "Replacing the nodes"
		# The gateway last: what it offers is there by then.
		for service in $(ls services | grep -vx api) api; do replace "$service"; done
		compose up -d --no-build --no-deps --no-recreate edge
	fi
	say "Deployed $TAG"
}

# --- Kubernetes -------------------------------------------------------------------------------------------------------------------

overlay=k8s/overlays/blue-green

# Applies what of the overlay has these labels.
apply() { kubectl apply -k "$overlay" -l "$1"; }

deploy_color() {
	local color=$1 job=job/shop-migrate-$1 namespace deployment
	[ -e "$overlay/secrets.env" ] || fail "$overlay/secrets.env is missing: copy secrets.env.example and fill it in"
	namespace=$(sed -n 's/^namespace: *//p' "$overlay/kustomization.yaml")
	kube() { kubectl --namespace "$namespace" "$@"; }

	say "What both colours share"
	apply '!color,!switch'
	say "Migrating with $color"
	# A finished Job cannot be changed.
	kube delete "$job" --ignore-not-found
	apply "color=$color,app.kubernetes.io/component!=node"
	kube wait --for=condition=complete --timeout=300s "$job"
	say "Bringing up $color"
	apply "color=$color,app.kubernetes.io/component=node"
	for deployment in $(kube get deployments -l "color=$color" -o name); do
		# A colour that was put to rest has none, and its autoscaler leaves it so.
		[ "$(kube get "$deployment" -o 'jsonpath={.spec.replicas}')" -ge 3 ] || kube scale "$deployment" --replicas=3
	done
	for deployment in $(kube get deployments -l "color=$color" -o name); do kube rollout status --timeout=300s "$deployment"; done
	say "Switching to $color"
	sed -i "s/color: .*/color: $color/" "$overlay/switch.yaml"
	apply switch
	say "Customers reach $color. Commit $overlay/switch.yaml, and leave the other colour up until its events are handled (docs/running.md)"
}

case "$*" in
"") deploy_compose ;;
"--color blue" | "--color green") deploy_color "$2" ;;
*) fail "say nothing, or --color blue or --color green" ;;
esac
