"""Runs a command where there is no network but loopback: ``namespace.py COMMAND …``.

The Milvus server listens on every interface that it finds, so it is only ever started in here.
"""

import os
import subprocess
import sys

NAME = f"pokesim-{os.getpid()}"


def ip(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=False)


def main() -> int:
    try:
        made = ip("netns", "add", NAME)
        told = made.stderr.strip()
    except FileNotFoundError:
        made, told = None, "there is no program ip; it is in iproute2"
    if made is None or made.returncode:
        print(f"Skipped {sys.argv[-1]}: a network namespace cannot be made ({told}).")
        return 0
    try:
        ip("netns", "exec", NAME, "ip", "link", "set", "lo", "up")
        # The server takes another port where one is not free, as for a minute after it was killed.
        no_time_wait = "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets"
        ip("netns", "exec", NAME, "sh", "-c", no_time_wait)
        return subprocess.call(["ip", "netns", "exec", NAME, *sys.argv[1:]])
    finally:
        ip("netns", "delete", NAME)


if __name__ == "__main__":
    sys.exit(main())
