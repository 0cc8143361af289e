#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Proves that `./dev test` and `./dev run` are all it takes on a fresh Debian 12: installs the smallest one into a
# temporary folder, clones what is committed here into it, and runs both there. Needs root, debootstrap and git, and
# takes some minutes, so no verb of ./dev calls it. With --all, what lint and Node need is installed first.
set -euo pipefail

# The rest runs in namespaces of its own: mounts and processes end with them, so nothing is left to clean but files.
if [[ ${1:-} != --inside ]]; then
	repository=$(realpath "$(dirname "$0")/..")
	root=$(mktemp -d)
	trap 'rm -rf --one-file-system "$root"' EXIT
	unshare --mount --pid --fork --kill-child "$0" --inside "$repository" "$root" "$@"
	echo "debootstrap: both commands work on a fresh Debian 12"
	exit
fi
repository=$2 root=$3

# From where this machine takes its own packages, by its own settings; Debian's mirrors where it is no Debian.
# shellcheck disable=SC2016 # apt-get expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Release: bookworm' 'Created-By: Packages' | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian}
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
export http_proxy https_proxy
debootstrap --variant=minbase bookworm "$root" "$mirror"
apt-config dump | grep -E '^Acquire::(https?|Retries|Check)' >"$root/etc/apt/apt.conf.d/90machine" || true
cp /etc/resolv.conf /etc/hosts "$root/etc/"

# And npm's.
for file in /etc/npmrc ~/.npmrc ${NODE_EXTRA_CA_CERTS:+"$NODE_EXTRA_CA_CERTS"}; do
	[[ ! -f $file ]] || install -D -m 600 "$file" "$root$(realpath "$file")"
done

git clone --quiet "$repository" "$root/root/sluice"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
dev() {
	chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" \
		http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
		NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" /root/sluice/dev "$@"
}
[[ ${4:-} != --all ]] || dev deps --all
dev test
dev run --once
