"""Checks of what isolation of a broker needs: the packet filter, or namespaces of one's own.

Asked of the kernel itself and without changing anything: nf_tables is asked for its tables, and a child process enters
namespaces of its own and ends.
"""

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from chaosdrills.desk.checkup import Finding

NETLINK_NETFILTER = 12
GET_TABLES = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE
DUMP_REQUEST = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
ERROR = 2  # NLMSG_ERROR
ANSWER_S = 1.0
CHILD_S = 5.0
# CLONE_NEWUSER | CLONE_NEWNET; exits with the error number
ENTER_NAMESPACES = (
    "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True); "
    "sys.exit(ctypes.get_errno() or 1 if libc.unshare(0x10000000 | 0x40000000) else 0)"
)


def isolation() -> Finding:
    """A broker can be cut off from the network on this machine by packet filter."""
    filtering, namespaces = nf_tables_trouble(), namespaces_trouble()
    beside = namespaces or "namespaces of one's own are allowed"
    if not filtering:
        return Finding("isolation", "ok", f"root, and nf_tables answers; {beside}")
    return Finding(
        "isolation",
        "warn",
        f"{filtering}; {beside}: a broker can be isolated only where a proxy stands before it",
        "run as root on a kernel with nf_tables for isolation by packet filter; other drills need no rights.",
    )


def nf_tables_trouble() -> str:
    """Why this process cannot use nf_tables; empty if it can."""
    if os.geteuid() != 0:
        return "not root"
    request = struct.pack("=IHHIIBBH", 20, GET_TABLES, DUMP_REQUEST, 1, 0, 0, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            kernel.settimeout(ANSWER_S)
            kernel.bind((0, 0))
            kernel.send(request)
            answer = kernel.recv(1 << 16)
    except OSError as error:
        return f"nf_tables does not answer ({error.strerror or 'in time'})"
    kind, code = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    return f"nf_tables refuses ({os.strerror(-code)})" if kind == ERROR and code else ""


def namespaces_trouble() -> str:
    """Why a process of this user cannot have namespaces of its own; empty if it can."""
    if not Path("/proc/self/ns/user").exists():
        return "this kernel has no user namespaces"
    argv = [sys.executable, "-I", "-S", "-c", ENTER_NAMESPACES]
    try:
        status = subprocess.run(argv, capture_output=True, timeout=CHILD_S, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"namespaces cannot be tried ({type(error).__name__})"
    return f"namespaces are refused ({os.strerror(status)})" if status else ""
