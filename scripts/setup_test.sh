#!/bin/sh
# What the tests need beside Python: a chromium to drive, kcat as a Kafka client that nobody here wrote, Java and Maven
# to run Apache Kafka itself, openssl for its certificates, and strace, which makes a disk slow.
set -eu

java_is_new_enough() {
    # The first line is: openjdk version "17.0.15" 2025-04-15
    version=$(java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

missing=""
for program in chromium kcat openssl strace; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
java_is_new_enough || missing="$missing default-jre-headless"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "orderpulse: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update </dev/null
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq install -y --no-install-recommends $missing fonts-dejavu-core </dev/null >/dev/null
    java_is_new_enough && exit 0
    echo "orderpulse: the tests need Java 17 or newer, and \`java -version\` says another; put a newer one first in PATH" >&2
    exit 1
fi
echo "orderpulse: the tests need$missing (Java 17 or newer); on Debian: sudo apt-get install$missing" >&2
exit 1
