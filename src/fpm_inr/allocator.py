"""How the C library keeps freed memory.

Buffers of a few megabytes are taken and given back at every step of a solve. glibc hands such
buffers to the system and takes them anew, page by page; on one machine that doubled the time of a
step.
"""

from __future__ import annotations

import ctypes
import sys

# <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # the most that glibc takes for M_MMAP_THRESHOLD
MOST_KEPT = 512 << 20


def keep_freed_memory() -> None:
    """Let glibc keep freed buffers for the next step; elsewhere, do nothing.

    It changes the whole process, so that commands call it and the library does not.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
