#!/bin/sh
# Imports an archive of images into the containerd store of a root file system that is not running.
# Run it as root in separate mount and process namespaces: `unshare --mount --pid --fork`.
#
# usage: preload.sh <root file system> <archive>
set -eu
root=$1
archive=$2

mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
touch "$root/tmp/images.tar"
mount --bind "$archive" "$root/tmp/images.tar"

# shellcheck disable=SC2016 # the inner shell expands them
exec chroot "$root" sh -eu -c '
    containerd --log-level warn &
    containerd=$!
    tries=0
    until ctr version >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "containerd did not answer within 20 s"; exit 1; }
        sleep 0.2
    done
    ctr --namespace k8s.io images import /tmp/images.tar
    ctr --namespace k8s.io images ls --quiet
    kill "$containerd"
    wait "$containerd" || true
'
