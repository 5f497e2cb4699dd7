"""Run a command in a network namespace with only loopback: ``namespace.py COMMAND …``.

The Milvus server listens on every interface that it finds, so tests start it only in here.
"""

import contextlib
import os
import signal
import subprocess
import sys

NAME = f"pokesim-{os.getpid()}"


def ip(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=False)


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    return ip("netns", "exec", NAME, *command)


def refusal() -> str:
    """Create the namespace; return why that failed, or an empty string."""
    try:
        made = ip("netns", "add", NAME)
    except FileNotFoundError:
        return "the program ip of iproute2 is not installed"
    if made.returncode == 0:
        made = inside("ip", "link", "set", "lo", "up")
    return made.stderr.strip() if made.returncode else ""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        if why := refusal():
            print(f"Skipped {sys.argv[-1]}: a network namespace cannot be created ({why}).")
            return 0
        # The server takes another port if its own is in use, as for a minute after it was killed.
        inside("sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets")
        return subprocess.call(["ip", "netns", "exec", NAME, *sys.argv[1:]])
    finally:
        with contextlib.suppress(FileNotFoundError):
            # A server may still run, if its tests were killed.
            for pid in ip("netns", "pids", NAME).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            ip("netns", "delete", NAME)


if __name__ == "__main__":
    sys.exit(main())
