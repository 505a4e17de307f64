#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""without_io_uring.py PROGRAM ARGUMENTS...: runs a program whose io_uring system calls fail with EPERM (seccomp), or those
that E2E_REFUSED_CALLS=FIRST:BEHIND_LAST numbers."""
import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_SYSCALL = (0x20, 0, 0, 0)  # seccomp_data.nr is at offset 0
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
# 425 to 427 are setup, enter, register: the same numbers on every architecture.
REFUSED = range(*map(int, os.environ.get("E2E_REFUSED_CALLS", "425:428").split(":")))


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


def main():
    program = [instruction(*LOAD_SYSCALL), instruction(0x35, 0, 2, REFUSED.start), instruction(0x25, 1, 0, REFUSED.stop - 1),
               instruction(0x06, 0, 0, REFUSE), instruction(0x06, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        sys.exit(f"without_io_uring: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[1], sys.argv[1:])


main()
