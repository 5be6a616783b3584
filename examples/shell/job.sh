#!/bin/sh
# A job that takes its settings from keyfs: see ../README.md.
set -eu

newline='
'

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Sets `value` to what a file holds, less one trailing newline; where it can't be read, `error` to the reason.
read_key() {
    # The dot keeps the newlines that a substitution would take off.
    if value=$(LC_ALL=C cat -- "$1" 2>&1 && echo .); then
        value=${value%.}
        value=${value%"$newline"}
    else
        error=${value##*: }
        return 1
    fi
}

# `get TREE KEY [DEFAULT]` sets `value`.
get() {
    path=$keys/$1/$2
    if read_key "$path"; then
        return
    fi
    case $error in
    "No such file or directory")
        if [ $# -lt 3 ]; then
            fail "$2 is missing: write it to $path"
        fi
        value=$3
        ;;
    "Permission denied")
        fail "$2 is not for this process; to see why: getfattr -n system.keyfs.why --only-values --absolute-names $path"
        ;;
    *)
        fail "$2 can't be read from $path: $error"
        ;;
    esac
}

# A mount of one environment has the two trees at its root.
keys=${KEYFS_MOUNT:-/keys}
if ! [ -d "$keys/variables" ] || ! [ -d "$keys/secrets" ]; then
    keys=$keys/${KEYFS_ENV:-dev}
    [ -d "$keys/variables" ] || fail "there are no keys in $keys: is keyfs mounted, and are KEYFS_MOUNT and KEYFS_ENV right?"
fi

get variables db/host localhost
host=$value
get secrets db/password
length=$(printf %s "$value" | wc -c)
get variables jobs/last_run never

echo "host: $host"
echo "password: $length bytes"
echo "last run: $value"

# A program of its own, not a builtin: it closes what it wrote, and says so where that fails.
mkdir -p "$keys/variables/jobs"
error=$( (LC_ALL=C date +%s > "$keys/variables/jobs/last_run") 2>&1 ) ||
    fail "jobs/last_run can't be written to $keys/variables/jobs/last_run: ${error##*: }"
