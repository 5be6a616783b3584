#!/usr/bin/env python3
"""A job that takes its settings from keyfs: see ../README.md."""

import os
import sys
import time


def keys():
    """The directory with the two trees, which a mount of one environment has at its root."""
    mount = os.environ.get("KEYFS_MOUNT", "/keys")
    if all(os.path.isdir(os.path.join(mount, tree)) for tree in ("variables", "secrets")):
        return mount
    directory = os.path.join(mount, os.environ.get("KEYFS_ENV", "dev"))
    if not os.path.isdir(os.path.join(directory, "variables")):
        sys.exit(f"there are no keys in {directory}: is keyfs mounted, and are KEYFS_MOUNT and KEYFS_ENV right?")
    return directory


def get(tree, key, default=None):
    """A key's value, less one trailing newline."""
    path = os.path.join(keys(), tree, key)
    try:
        with open(path, "rb") as file:
            return file.read().removesuffix(b"\n")
    except FileNotFoundError:
        if default is None:
            sys.exit(f"{key} is missing: write it to {path}")
        return default
    except PermissionError:
        why = "getfattr -n system.keyfs.why --only-values --absolute-names"
        sys.exit(f"{key} is not for this process; to see why: {why} {path}")
    except OSError as error:
        sys.exit(f"{key} can't be read from {path}: {error.strerror}")


def put(key, value):
    """Stores a variable. It is stored when the file is closed, so an error may show as late as that."""
    path = os.path.join(keys(), "variables", key)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(f"{value}\n")
    except OSError as error:
        sys.exit(f"{key} can't be written to {path}: {error.strerror}")


def main():
    host = get("variables", "db/host", default=b"localhost")
    password = get("secrets", "db/password")
    last_run = get("variables", "jobs/last_run", default=b"never")
    print("host:", host.decode())
    print("password:", len(password), "bytes")
    print("last run:", last_run.decode())
    put("jobs/last_run", int(time.time()))


main()
