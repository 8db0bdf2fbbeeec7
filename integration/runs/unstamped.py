"""`python -m integration.runs.unstamped COMMAND…`: runs it where the kernel stamps no arrivals, as on macOS.

On Linux a seccomp filter refuses SO_TIMESTAMPNS, for the command and all it starts, with the error other
systems give; nothing of ours is told. Elsewhere there is nothing to refuse.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
SOL_SOCKET = 1
SO_TIMESTAMPNS = 35

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.ENOPROTOOPT
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, LEVEL, OPTION = 0, 24, 32
"""Where a filter finds the number of the system call and (lower halves of) its second and third argument."""


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_stamps() -> None:
    """For this process and its children, from now on. Raises OSError where filters are not allowed."""
    steps = (
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 5, SETSOCKOPT[platform.machine()]),
        (LOAD, 0, 0, LEVEL),
        (JUMP_IF_EQUAL, 0, 3, SOL_SOCKET),
        (LOAD, 0, 0, OPTION),
        (JUMP_IF_EQUAL, 0, 1, SO_TIMESTAMPNS),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(steps), code)), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "prctl")


if __name__ == "__main__":
    if sys.platform == "linux":
        refuse_stamps()
    os.execvp(sys.argv[1], sys.argv[1:])
