# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive who started them, known by process id and start time: an id that was given to another is never touched."""
import os
import pathlib
import select
import signal
import time

TERM_S, KILL_S = 20, 10


def start_ticks(pid):
    """When it was started, in the kernel's ticks; None when it is gone, or a zombie that nobody has waited for."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def identity(pid):
    return {"pid": pid, "start_ticks": start_ticks(pid)}


def lives(process):
    return process["start_ticks"] is not None and start_ticks(process["pid"]) == process["start_ticks"]


def send(process, number):
    if lives(process):
        try:
            os.kill(process["pid"], number)
        except ProcessLookupError:
            pass  # gone since


def wait_gone(processes, seconds):
    """Those that are left after this time."""
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if lives(process)]:
        if time.monotonic() > deadline:
            return left
        reap()
        select.select([], [], [], 0.02)
    return []


def reap():
    """Who is still our child is a zombie until it is waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end(processes):
    """SIGTERM, and SIGKILL for who does not heed it; those that are left even so."""
    for process in processes:
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)
    for process in wait_gone(processes, TERM_S):
        send(process, signal.SIGKILL)
    return wait_gone(processes, KILL_S)
