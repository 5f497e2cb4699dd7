"""Runs a command where there is no network but loopback: ``namespace.py COMMAND …``.

The Milvus server listens on every interface that it finds, so it is only ever started in here.
"""

import contextlib
import os
import signal
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
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        ip("netns", "exec", NAME, "ip", "link", "set", "lo", "up")
        # The server takes another port where one is not free, as for a minute after it was killed.
        no_time_wait = "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets"
        ip("netns", "exec", NAME, "sh", "-c", no_time_wait)
        return subprocess.call(["ip", "netns", "exec", NAME, *sys.argv[1:]])
    finally:
        for pid in ip("netns", "pids", NAME).stdout.split():  # a server, if its tests were killed
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        ip("netns", "delete", NAME)


if __name__ == "__main__":
    sys.exit(main())
