"""Checks of the machine: cores, directories, ports, clocks."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sedna_tinyms.diagnosis.finding import Finding, note, ok, problem, warning
from sedna_tinyms.errors import EndpointError, StorageError, WorkerError
from sedna_tinyms.heartbeat import (
    HEARTBEAT,
    LONGEST_SILENCE_SECONDS,
    seconds_since_last_beat,
)

__all__ = ["check_clocks", "check_cores", "check_directory", "check_port", "check_worker"]

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
THREADS = "OMP_NUM_THREADS"

MIB = 1 << 20
LEAST_BYTES = 64 * MIB
"""A round writes a model twice and its replay memory: less is as good as full."""
COMFORTABLE_BYTES = 1024 * MIB
LEAST_FILES = 1000

PROBE_BYTES = 4096

EARLIEST = 1_735_689_600.0
"""The first second of 2025: a clock before it was never set."""
CLOCK_TOLERANCE_SECONDS = 2.0
"""The coarsest time stamps in use, FAT's, are two seconds apart."""


def check_cores() -> Finding:
    """Look how many cores there are for threads and data set workers."""
    cores = len(os.sched_getaffinity(0))
    quota = _cpu_quota()
    here = f"{cores} of {os.cpu_count()} cores may be used"
    threads = os.environ.get(THREADS, "")
    if threads.isdecimal() and int(threads) > cores:
        return warning(
            "cores",
            f"{here}, and {THREADS}={threads} starts more threads than that",
            f"export {THREADS}={cores}",
            code="too-many-threads",
        )
    if quota is not None and quota < cores:
        return warning(
            "cores",
            f"{here}, but the container's quota is worth {quota:g}: threads will wait for it",
            f"export {THREADS}={max(1, int(quota))}",
            code="cpu-quota",
        )
    return ok("cores", f"{here}; num_parallel_workers of a data set goes up to {cores}")


def check_directory(
    purpose: str,
    directory: Path,
    *,
    needed: bool = True,
    least_bytes: int = LEAST_BYTES,
    comfortable_bytes: int = COMFORTABLE_BYTES,
) -> Finding:
    """Write a small file into a directory, delete it, and look how much space is left.

    Parameters
    ----------
    purpose : str
        What the directory is for; names the check.
    directory : Path
        It need not exist: then its nearest parent that does is looked at.
    needed : bool
        Whether a command fails without it; if not, what is wrong with it is a warning.
    least_bytes, comfortable_bytes : int
        Less free space than the first is a problem, less than the second a warning.
    """

    def wrong(message: str, mend: str, code: str) -> Finding:
        if not needed:
            return warning(purpose, message, mend, code=code)
        return problem(purpose, StorageError, message, mend, code=code)

    existing = nearest_existing(directory)
    free_it = f"du -xh --max-depth=1 {existing} | sort -h | tail"
    try:
        _write_probe(existing)
        space = os.statvfs(existing)
    except OSError as error:
        mend = {
            errno.ENOSPC: free_it,
            errno.EDQUOT: free_it,
            errno.EROFS: f"mount -o remount,rw $(findmnt -no TARGET -T {existing})",
            errno.EACCES: f"sudo install -d -o {os.geteuid()} {directory}",
        }.get(error.errno or 0, "choose another directory")
        code = "no-space" if mend == free_it else "cannot-write"
        return wrong(f"cannot write to {existing}: {error.strerror}", mend, code)
    free = space.f_bavail * space.f_frsize
    here = f"{directory}{'' if existing == directory else ' (to be created)'}: {_size(free)} free"
    if free < least_bytes:
        return wrong(f"{here}, less than {_size(least_bytes)}", free_it, "no-space")
    if space.f_files and space.f_favail < LEAST_FILES:
        return wrong(f"{here}, but room for {space.f_favail} files only", free_it, "no-space")
    if free < comfortable_bytes:
        message = f"{here}, less than {_size(comfortable_bytes)}"
        return warning(purpose, message, free_it, code="low-space")
    return ok(purpose, here)


def check_port(port: int = 0) -> Finding:
    """Look whether a runner could listen on a port of loopback; 0 means any free one."""
    try:
        with socket.socket() as listener:
            # As the runner does: a port that was given back just now is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
    except (OSError, OverflowError) as error:
        return problem(
            "port",
            EndpointError,
            f"cannot listen on 127.0.0.1:{port}: {error}; without --port any free one is taken",
            f"ss -ltnp 'sport = :{port}'",
            code="cannot-listen",
        )
    return ok("port", f"127.0.0.1:{port} is free" if port else "loopback has a free port")


def check_worker() -> Finding:
    """Look whether the worker beside which this runs, in a container, goes on."""
    silent = seconds_since_last_beat()
    if silent is None:
        return ok("worker", "none has a heartbeat here: training and evaluation need none")
    if silent > LONGEST_SILENCE_SECONDS:
        return problem(
            "worker",
            WorkerError,
            f"it has not gone on for {silent:.0f} s, says {os.environ[HEARTBEAT]}",
            f"kubectl delete pod {socket.gethostname()}",
            code="hanging",
        )
    return ok("worker", f"it went on {max(0.0, silent):.0f} s ago")


def check_clocks(directory: Path, now: Callable[[], float] = time.time) -> Finding:
    """Compare the system's clock with a directory's file system and with the monotonic clock.

    Parameters
    ----------
    directory : Path
        Where a file is written to see its time stamp; elsewhere, such as on a network share,
        another machine's clock stamps it.
    now : callable
        The system's clock, in seconds since the epoch.
    """
    set_it = "timedatectl set-ntp true"
    began, steady = now(), time.monotonic()
    try:
        stamp = _write_probe(nearest_existing(directory))
    except OSError as error:
        return note("clocks", f"not compared: {error}", code="cannot-write")
    ended, passed = now(), time.monotonic() - steady
    if began < EARLIEST:
        message = f"the system's clock says {time.ctime(began)}"
        return warning("clocks", message, set_it, code="clock-not-set")
    if passed < 0 or abs((ended - began) - passed) > CLOCK_TOLERANCE_SECONDS:
        return warning(
            "clocks",
            f"the system's clock went {ended - began:+.1f} s while {passed:.1f} s passed: it is "
            "being set",
            set_it,
            code="clock-being-set",
        )
    skew = stamp - ended if stamp > ended else min(stamp - began, 0.0)
    if abs(skew) > CLOCK_TOLERANCE_SECONDS:
        return warning(
            "clocks",
            f"files in {directory} are stamped {skew:+.1f} s off the system's clock: when a "
            "dataset was left alone cannot be told",
            f"{set_it} (here and on the file server)",
            code="clock-skew",
        )
    return ok("clocks", "the system's clock, the file system's and the monotonic one agree")


def nearest_existing(directory: Path) -> Path:
    """Return a directory, or the nearest of its parents that exists."""
    path = directory.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _write_probe(directory: Path) -> float:
    """Write a file to the disk, delete it, and return its time stamp."""
    handle, name = tempfile.mkstemp(prefix=".doctor.", dir=directory)
    try:
        os.write(handle, bytes(PROBE_BYTES))
        os.fsync(handle)
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def _cpu_quota() -> float | None:
    """Return how many cores' worth of time a container gets; None if there is no limit."""
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no cgroup of version 2, or "max"
        return None


def _size(count: int) -> str:
    return f"{count / MIB / 1024:.1f} GiB" if count >= 1024 * MIB else f"{count / MIB:.0f} MiB"
