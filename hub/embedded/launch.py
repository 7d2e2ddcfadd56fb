"""Run a command that dies with its supervisor: `python -I -S launch.py PARENT SIGNAL USER -- …`.

PARENT is the supervisor's pid, SIGNAL what the kernel sends the command when the supervisor's
thread that started it ends, USER either "same" or "mapped": for a command that refuses to run as
root or without a name, the user is shown as `nobody` inside a user namespace. Nothing changes
outside of it.
Standard library only: it runs isolated from the environment that is being supervised.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
# `nobody`, the one ordinary user that every machine and every bare container knows by name.
MAPPED_ID = 65534


def main(argv: list[str]) -> None:
    """Become the command; the pid stays the same."""
    parent_pid, signal_number, user = int(argv[1]), int(argv[2]), argv[3]
    command = argv[argv.index("--") + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    if user == "mapped" and (os.geteuid() == 0 or not _has_name(os.geteuid())):
        _enter_user_namespace(libc)
    # Entering a namespace clears the death signal, so it is set after.
    libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the supervisor is gone")
    # Data, logs and spools are the owner's alone, also in a folder that others may enter.
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606  # becoming the given command is its purpose


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _enter_user_namespace(libc: ctypes.CDLL) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        reason = os.strerror(ctypes.get_errno())
        sys.exit(f"cannot enter a user namespace ({reason}): start as an ordinary user")
    # The kernel lets an unprivileged group map be written only after setgroups is given up.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{MAPPED_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{MAPPED_ID} {gid} 1")


if __name__ == "__main__":
    main(sys.argv)
