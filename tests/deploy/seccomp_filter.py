#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seccomp_filter.py PROFILE PROGRAM ARGUMENTS...: runs a program as Kubernetes runs a container that may do nothing: under a seccomp profile
in the form of OCI, without capabilities, with no_new_privs, and not as root if it was."""
import ctypes
import ctypes.util
import json
import os
import sys

NOBODY = 65532  # the user of k8s/base/daemonset.yaml
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
OPERATIONS = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
UNKNOWN = -1  # what libseccomp knows only of other architectures has other negative numbers


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operation", ctypes.c_int), ("first", ctypes.c_uint64), ("second", ctypes.c_uint64)]


def library():
    name = ctypes.util.find_library("seccomp")
    if name is None:
        raise OSError("libseccomp2 is not installed")
    lib = ctypes.CDLL(name, use_errno=True)
    lib.seccomp_init.argtypes, lib.seccomp_init.restype = [ctypes.c_uint32], ctypes.c_void_p
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison)]
    return lib


def number_of(lib, name):
    return lib.seccomp_syscall_resolve_name(name.encode())


def action_of(name, errno):
    return {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO | errno}[name]


def load(profile):
    """From here on the filter holds for this process and what it becomes."""
    lib = library()
    filter_ = lib.seccomp_init(action_of(profile["defaultAction"], profile["defaultErrnoRet"]))
    for rule in profile["syscalls"]:
        compared = (Comparison * len(rule.get("args", [])))(*[
            Comparison(each["index"], OPERATIONS[each["op"]], each["value"], each.get("valueTwo", 0)) for each in rule.get("args", [])])
        for name in rule["names"]:
            number = number_of(lib, name)
            if number == UNKNOWN:
                raise OSError(f"there is no system call {name}")
            done = lib.seccomp_rule_add_array(filter_, action_of(rule["action"], rule.get("errnoRet", 1)), number, len(compared), compared)
            if number >= 0 and done != 0:
                raise OSError(-done, f"rule of {name}: {os.strerror(-done)}")
    if done := lib.seccomp_load(filter_):
        raise OSError(-done, os.strerror(-done))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        profile = json.load(file)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    load(profile)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
