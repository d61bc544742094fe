#!/bin/sh
# Installs the programs that only tests need, from Debian packages, if this is
# root and some are missing. Says which tests there will be without otherwise.
#
#	script/test-deps.sh PROGRAM...
set -eu

package() {
	case $1 in
	cc) echo gcc libc6-dev ;;
	find) echo findutils ;;
	mount | umount) echo mount ;;
	ip) echo iproute2 ;;
	unshare) echo util-linux ;;
	make) echo make ;;
	chromium) echo chromium fonts-dejavu-core ;;
	soffice) echo libreoffice-calc ;;
	*) echo "$0: no package is known for $1" >&2; exit 2 ;;
	esac
}

missing= packages=
for program; do
	if ! command -v "$program" >/dev/null; then
		missing="$missing $program"
		packages="$packages $(package "$program")"
	fi
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing:$packages"
		export DEBIAN_FRONTEND=noninteractive
		# shellcheck disable=SC2086 # a list
		apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 ||
			{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages >/dev/null; } ||
			echo "could not install:$packages"
	else
		echo "not installed, for this is not root on Debian:$packages"
	fi
	for program in $missing; do
		command -v "$program" >/dev/null || echo "tests that need $program are skipped"
	done
fi
if [ ! -e /dev/fuse ]; then
	echo "tests with a faulty file system are skipped: there is no /dev/fuse"
elif [ "$(id -u)" != 0 ] && ! command -v fusermount3 >/dev/null; then
	echo "tests with a faulty file system are skipped: not root, and no fusermount3 (Debian package fuse3)"
fi
if [ "$(id -u)" != 0 ]; then
	echo "tests that mount file systems or change the user are skipped: this is not root"
fi
