"""Takes from a process, and from what it starts, what lets root write everywhere."""

from __future__ import annotations

import ctypes

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
DROPPED = (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
VERSION_3 = 0x20080522


def without_the_rights_of_root() -> None:
    """Let modes of files hold for this process, though root started it, and for its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in DROPPED:  # what a process started by root would be given
        libc.prctl(PR_CAPBSET_DROP, capability)
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and of numbers above 31
    if libc.capget(header, sets) == 0:
        for index in range(3):
            for capability in DROPPED:
                sets[index] &= ~(1 << capability)
        if libc.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")
