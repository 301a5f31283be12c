#!/usr/bin/env bash
# Runs the README's commands on a machine that has only what the README names: a root folder of Debian 12, made by mmdebstrap.
#
# 1. root: `make run`, which sets up everything.
# 2. an ordinary user: `make run`, and `make test` as far as the collection of the tests; what is missing takes one line each.
# 3. root: the recipes of `make test`, which may install what is missing. No service is started.
#
# The root folder without the checkout is cached in ~/.cache/loopline ($XDG_CACHE_HOME), by its list of packages. How packages are
# reached is this machine's business: its apt sources, its settings of pip and uv, its certificates and uv's cache are lent to each run.
set -euo pipefail

suite=bookworm
packages=python3.11,python3.11-venv,make,ca-certificates
product=diamond_cut
recipes=(.postgresql .redis .prometheus .engine)
script=$(realpath "$0")
repository=$(dirname "$(dirname "$script")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/loopline
base=$cache/bare-$(printf '%s %s' "$suite" "$packages" | sha256sum | cut -c1-16).tar
checkout=/srv/loopline

say() {
	printf 'bare machine, %3d s: %s\n' "$SECONDS" "$*"
}

skip() {
	echo "bare machine: skipped, as $1"
	exit 0
}

fail() {
	say "$1" >&2
	exit 1
}

# --- outside: a base, and a folder that is gone afterwards

can_run() {
	test "$(id -u)" = 0 || skip "a root folder needs root: sudo make bare-machine"
	command -v mmdebstrap >/dev/null ||
		{ apt-get -qq update && apt-get -qq -y install --no-install-recommends mmdebstrap; } </dev/null >/dev/null 2>&1 ||
		skip "mmdebstrap is missing. On Debian 12: sudo apt-get install --no-install-recommends mmdebstrap"
	unshare --mount --pid --fork true 2>/dev/null || skip "no file system can be mounted here: run it outside the container"
}

# how this machine reaches a server, in apt's own words
apt_settings() {
	apt-config dump | grep -E '^Acquire::(https?::(Proxy|CaInfo)|Check-|Retries)' || true
}

# the files that name the suite's sources; other repositories of this machine are left out
apt_sources() {
	grep -lsE "(^Suites:|^deb)(.* )?$suite( |$)" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources || true
}

make_base() {
	local options=() sources=()
	mapfile -t options < <(apt_settings | sed 's/^/--aptopt=/')
	mapfile -t sources < <(apt_sources)
	# the cached base names no server
	mmdebstrap --quiet --variant=minbase --include="$packages" "${options[@]}" --customize-hook='cd "$1/etc" && rm -f \
		apt/sources.list apt/sources.list.d/* apt/apt.conf.d/99mmdebstrap hosts resolv.conf' "$suite" "$scratch/base.tar" "${sources[@]}"
	mv "$scratch/base.tar" "$base"
}

outside() {
	can_run
	mkdir -p "$cache"
	scratch=$(mktemp -d "$cache/run.XXXXXX")
	trap 'rm -rf --one-file-system "$scratch"' EXIT
	(
		flock 9
		test -e "$base" || make_base
	) 9>"$base.lock"
	say "the base of $suite and $packages is there"
	# mounts and processes of its own, which end with it
	unshare --mount --pid --fork --kill-child "$script" "$scratch/root"
	say "done"
}

# --- inside: what this machine lends, and the commands

lend() { # PATH...: at the same place, read-only
	local path
	for path in "$@"; do
		test -e "$path" && test ! -e "$root$path" || continue
		mkdir -p "$root$(dirname "$path")"
		if test -d "$path"; then mkdir "$root$path"; else touch "$root$path"; fi
		mount --bind "$path" "$root$path"
		mount -o remount,bind,ro "$root$path"
	done
}

# variables that say how an index is reached
index_variables() {
	env | grep -E '^(PIP|UV)_|^(SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)=' |
		grep -vE '^UV_CACHE_DIR=' || true
}

lend_index() {
	local file found=()
	# this machine may trust a certificate of its own; a copy, as a package that is installed may add to it
	cp -a /etc/ssl/certs/. "$root/etc/ssl/certs/"
	lend /usr/local/share/ca-certificates /etc/pip.conf /etc/xdg/pip /etc/uv
	variables+=(UV_LINK_MODE=copy)
	for file in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
		test -f "$file" && cp "$file" "$root/etc/pip-of-user.conf" && variables+=(PIP_CONFIG_FILE=/etc/pip-of-user.conf) && break
	done
	file=${UV_CONFIG_FILE:-$HOME/.config/uv/uv.toml}
	test ! -f "$file" || { cp "$file" "$root/etc/uv-of-user.toml" && variables+=(UV_CONFIG_FILE=/etc/uv-of-user.toml); }
	# folders of packages that these settings name
	mapfile -t found < <({
		cat /etc/pip.conf /etc/xdg/pip/pip.conf "$root/etc/pip-of-user.conf" 2>/dev/null
		index_variables
	} | grep -oE '(^|[ =])(file://)?/[^ ]+' | sed -E 's/^[ =]*(file:\/\/)?//' | sort -u)
	lend "${found[@]}"
	local uv_cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
	mkdir -p "$uv_cache" "$root/root/.cache/uv"
	mount --bind "$uv_cache" "$root/root/.cache/uv"
}

lend_apt() {
	local file
	rm -f "$root/etc/apt/sources.list"
	while read -r file; do cp "$file" "$root$file"; done < <(apt_sources)
	apt_settings >"$root/etc/apt/apt.conf.d/99lent"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/lent"
	# Debian's way to say that an installed service must not start
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
}

as() { # USER COMMAND...: as in a login, with no terminal
	local user=$1 home
	shift
	home=$(chroot "$root" getent passwd "$user" | cut -d: -f6)
	chroot "$root" runuser -u "$user" -- env -i -C "$checkout" HOME="$home" USER="$user" LOGNAME="$user" \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${variables[@]}" "$@" </dev/null
}

quietly() { # COMMAND...: shown when it fails
	"$@" >"$log" 2>&1 || {
		cat "$log"
		fail "failed: $*"
	}
}

run_product() { # USER: the loop runs, and says nothing on the error stream
	as "$1" make run PRODUCT="$product" >"$log" 2>"$log.err" || {
		cat "$log" "$log.err"
		fail "make run failed for $1"
	}
	grep -q "^$product  champion v1 " "$log" || { cat "$log" && fail "make run promoted nothing for $1"; }
	test ! -s "$log.err" || { cat "$log.err" && fail "make run complained for $1, though it went well"; }
	say "make run: $(grep '^done ' "$log"), as $1"
}

told() { # the lines of recipes in the log
	grep -cE '^(No|Not all of) .* skipped\. On Debian 12: sudo apt-get install ' "$log" || true
}

inside() {
	mkdir "$root"
	# in memory where there is plenty: 60,000 small files are then gone at once, which took a busy disk three minutes
	if test "$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)" -gt 8000000; then
		mount -t tmpfs -o size=5g,mode=755 tmpfs "$root"
	fi
	tar -C "$root" -xf "$base"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount --rbind /sys "$root/sys"
	cp -L /etc/hosts /etc/resolv.conf "$root/etc/"
	mapfile -t variables < <(index_variables)
	lend_index
	mkdir -p "$root$checkout"
	git -c safe.directory='*' -C "$repository" ls-files -z --cached --others --exclude-standard |
		tar -C "$repository" --null --ignore-failed-read -T - -cf - 2>/dev/null | tar -C "$root$checkout" --no-same-owner -xf -
	say "unpacked"

	quietly as root make setup
	say "make setup, as root"
	run_product root
	quietly as root make .venv/dev.stamp .venv/containers.stamp

	chroot "$root" useradd --create-home --shell /bin/bash ordinary
	rm -rf "$root$checkout/data"
	chroot "$root" chown -R ordinary: "$checkout"
	run_product ordinary
	quietly as ordinary make test JOBS=0 ARGS="--collect-only -q tests/machine tests/assets/observability/test_prometheus_rules.py tests/assets/serving/test_container_image.py"
	test "$(told)" = ${#recipes[@]} || { cat "$log" && fail "make test says other than one line for each missing program"; }
	say "make test: $(told) lines for what is missing, tests collected, as an ordinary user"

	lend_apt
	quietly as root make "${recipes[@]}"
	test "$(told)" = 0 || { cat "$log" && fail "root's make test did not install all that was missing"; }
	say "make test: all of it installed, as root"
}

root=${1:-}
if test -n "$root"; then
	log=$(dirname "$root")/log
	inside
else
	outside
fi
