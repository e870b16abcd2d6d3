"""Read a server's resource usage from Linux's /proc."""

from __future__ import annotations

from pathlib import Path


def processor_seconds(server):
    """Return the processor time that the workers have used so far."""
    spent = (
        thread.read_text().split()[0]  # nanoseconds
        for pid in _workers(server)
        for thread in _proc(pid).glob("task/*/schedstat")
    )
    return sum(map(int, spent)) / 1e9


def peak_bytes(server):
    """Return the sum of the workers' peak resident memory, in bytes."""
    return sum(_peak(pid) for pid in _workers(server))


def _workers(server):
    pid = server.process.pid
    return (_proc(pid) / "task" / str(pid) / "children").read_text().split()


def _proc(pid):
    return Path("/proc") / str(pid)


def _peak(pid):
    for line in (_proc(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no peak")
