#!/usr/bin/env bash
# The image as Fargate gets it: the real Dockerfile built for both architectures, pushed to a registry on loopback,
# pulled back, measured, and this machine's one run confined. `make test-image` runs it, with the folder's go on PATH.
set -euo pipefail
cd "$(dirname "$0")/../image"

max_bytes=12000000
native=$(go env GOHOSTARCH)
base=$(sed -n 's/^FROM .* \(.*\) AS build$/\1/p' Dockerfile)
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
registry=127.0.0.1:$(free_port)
address=127.0.0.1:$(free_port)
scratch=$(mktemp -d)
containers='' images='' registry_pid=''

fail() {
	echo "error: $*" >&2
	exit 1
}

# What a command says is shown only when it fails.
quiet() {
	"$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2 && fail "this failed: $*"; }
}

# expect STATUS URL: waits for that status, at most 15 s, and prints the body.
expect() {
	local end=$((SECONDS + 15)) got=''
	until got=$(curl -sS --noproxy '*' --max-time 5 -o "$scratch/body" -w '%{http_code}' "$2" 2>&1) &&
		[ "$got" = "$1" ]; do
		[ "$SECONDS" -lt "$end" ] || fail "$2 gives $got, not $1"
		sleep 0.1
	done
	cat "$scratch/body"
}

# Podman's imitation of docker does not know this format, so it does not count as docker.
if [ -n "$(docker info --format '{{.ServerVersion}}' 2>/dev/null)" ]; then
	echo "engine: $(docker --version)"
	export DOCKER_BUILDKIT=1 # what FROM --platform needs
	engine() { docker "$@"; }
	# shellcheck disable=SC2086 # a list of words
	remove_images() { docker image rm --force $images >/dev/null; }
elif [ "$(uname)" = Linux ] && type -P podman >/dev/null; then
	echo "engine: $(podman --version)"
	engine() { podman --root "$scratch/root" --runroot "$scratch/run" "$@"; }
	remove_images() {
		engine image rm --all --force >/dev/null
		if mountpoint --quiet "$scratch/root/overlay"; then umount "$scratch/root/overlay"; fi
	}
	export CONTAINERS_REGISTRIES_CONF=$scratch/registries.conf
	printf '%s\n' 'unqualified-search-registries = ["docker.io"]' \
		'[[registry]]' "location = \"$registry\"" 'insecure = true' >"$CONTAINERS_REGISTRIES_CONF"
	if [ ! -d /run/systemd/system ]; then # as in a CI container: podman would leave all this to systemd
		export CONTAINERS_CONF=$scratch/containers.conf
		printf '%s\n' '[containers]' 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]' \
			'[engine]' 'runtime = "runc"' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' >"$CONTAINERS_CONF"
	fi
else
	rmdir "$scratch"
	fail "neither docker with its daemon nor podman is here: start Docker, or on Debian" \
		"apt-get install podman runc docker-registry busybox-static"
fi

end() {
	for container in $containers; do engine rm --force --volumes "$container" >/dev/null; done
	if [ -n "$images" ]; then remove_images; fi
	rm -r "$scratch"
	if [ -n "$registry_pid" ]; then kill "$registry_pid" && wait; fi
}
trap end EXIT
trap 'exit 1' INT TERM

if type -P docker-registry >/dev/null; then
	printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $scratch/registry}}" \
		"http: {addr: '$registry'}" >"$scratch/registry.yml"
	# The variable is podman's, but the registry reads every REGISTRY_* as a setting of its own.
	env -u REGISTRY_AUTH_FILE docker-registry serve "$scratch/registry.yml" >"$scratch/registry.log" 2>&1 &
	registry_pid=$!
else
	containers=$(engine run --detach --publish "$registry:5000" docker.io/library/registry:2)
fi
expect 200 "http://$registry/v2/" >/dev/null

if engine image inspect "$base" >/dev/null 2>&1; then
	echo "base: $base, which was here"
elif engine pull --quiet "$base" >"$scratch/log" 2>&1; then
	echo "base: $base, pulled"
elif curl --silent --max-time 10 --output "$scratch/hub" https://registry-1.docker.io/v2/; then
	fail "$base cannot be pulled: $(cat "$scratch/log")"
else
	busybox=$(type -P busybox) || fail "$base cannot be pulled, and its stand-in needs busybox-static"
	mkdir -p "$scratch"/base/{bin,root,tmp}
	cp "$busybox" "$scratch/base/bin/sh"
	tar -c -C "$scratch/base" . -C "$(go env GOROOT)/.." --transform 's,^go/,usr/local/go/,' go >"$scratch/base.tar"
	images="docker.io/library/$base"
	quiet engine import --change 'ENV PATH=/usr/local/go/bin' --change 'ENV HOME=/root' \
		"$scratch/base.tar" "$images"
	echo "base: a stand-in for $base, of busybox and $(go version), because Docker Hub cannot be reached"
fi

for arch in arm64 amd64; do
	image=$registry/dog-names:$arch
	# podman 4 does not set BUILDPLATFORM.
	quiet engine build --platform "linux/$arch" --build-arg "BUILDPLATFORM=linux/$native" --tag "$image" .
	images="$images $image"
	quiet engine push "$image"
	quiet engine image rm "$image"
	quiet engine pull --platform "linux/$arch" "$image"

	is=$(engine image inspect --format '{{.Os}}/{{.Architecture}} as {{.Config.User}}' "$image")
	[ "$is" = "linux/$arch as 65532:65532" ] || fail "the image for linux/$arch is $is"
	bytes=$(engine image inspect --format '{{.Size}}' "$image")
	[ "$bytes" -le "$max_bytes" ] || fail "the image for linux/$arch has $bytes bytes, more than $max_bytes"
	container=$(engine create --platform "linux/$arch" "$image")
	containers="$containers $container"
	quiet engine cp "$container:/dog-names" "$scratch/$arch"
	[[ $(go version -m "$scratch/$arch") == *GOARCH=$arch* ]] || fail "the binary in the image for linux/$arch is not"
	echo "linux/$arch: built, pushed and pulled, $bytes bytes"
done

container=$(engine run --detach --read-only --cap-drop all --security-opt no-new-privileges --memory 64m \
	--env DRAIN_SECONDS=2 --publish "$address:8080" "$registry/dog-names:$native")
containers="$containers $container"
expect 200 "http://$address/healthz"
expect 200 "http://$address/dogs"
quiet engine kill --signal TERM "$container"
expect 503 "http://$address/healthz"
expect 200 "http://$address/dogs"
code=$(engine wait "$container")
[ "$code" = 0 ] || fail "after SIGTERM the container ended with $code: $(engine logs "$container" 2>&1)"
echo "linux/$native: ran read-only without capabilities, drained on SIGTERM and exited 0"
