#!/bin/sh
# What the tests need beside Python: a chromium to drive, and kcat as a Kafka client that nobody here wrote.
set -eu
missing=""
for program in chromium kcat; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "orderpulse: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update </dev/null
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq install -y --no-install-recommends $missing fonts-dejavu-core </dev/null >/dev/null
    exit 0
fi
echo "orderpulse: the tests need$missing; on Debian: sudo apt-get install$missing" >&2
exit 1
