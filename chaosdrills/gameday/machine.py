"""Checks of the machine: room on its disks, memory, processors, limits and clocks."""

import os
import resource
import shutil
import time
from pathlib import Path

import chaosdrills
from chaosdrills.gameday.checkup import Finding, State
from chaosdrills.host.paths import cache_path, state_path

MIB = 1 << 20
ROOM_MIB = {"state": (500, 2000), "cache": (200, 500), "this folder": (50, 500)}  # what is needed, what is enough
MEMORY_MIB = (700, 1500)  # three brokers take 400 MiB, the observer 90
OPEN_FILES = (256, 1024)
SLOW_CLOCKS = {"acpi_pm", "hpet", "jiffies", "pit"}  # a look at one of these costs a microsecond or more
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def folders() -> list[Finding]:
    """The folders of state, caches and runs can be written to and have room."""
    places = {"state": state_path(), "cache": cache_path(), "this folder": Path.cwd()}
    return [_folder(name, path) for name, path in places.items()]


def memory() -> Finding:
    """There is memory for three brokers."""
    free = available_mib()
    need, enough = MEMORY_MIB
    state: State = "fail" if free < need else "warn" if free < enough else "ok"
    fix = "" if state == "ok" else f"end other programs: the lab's brokers need {need} MiB, {enough} are comfortable."
    return Finding("memory", state, f"{free:,} MiB available", fix)


def processors() -> Finding:
    """There is more than one processor, so that brokers and observer do not wait for each other."""
    count = len(os.sched_getaffinity(0))
    if count > 1:
        return Finding("processors", "ok", str(count))
    return Finding("processors", "warn", "1", "give it two: with one the observer's own lateness may blur figures.")


def open_files() -> Finding:
    """The limit of open files suffices for brokers with hundreds of segments."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    need, enough = OPEN_FILES
    unlimited = soft == resource.RLIM_INFINITY
    state: State = "ok" if unlimited or soft >= enough else "warn" if soft >= need else "fail"
    fix = "" if state == "ok" else f"run 'ulimit -n {enough * 4}' in this shell."
    return Finding("open files", state, "no limit" if unlimited else f"{soft:,} at most", fix)


def clock() -> Finding:
    """The record's clock runs and is quick to read, and the time of day is no earlier than this program."""
    source = CLOCK_SOURCE.read_text().strip() if CLOCK_SOURCE.exists() else "unknown source"
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    resolution_ns = round(time.clock_getres(time.CLOCK_BOOTTIME) * 1e9)
    shown = f"{source}, {resolution_ns:,} ns, {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    if time.clock_gettime_ns(time.CLOCK_BOOTTIME) < before or resolution_ns > 1_000_000:
        return Finding("clock", "fail", f"{shown}: too coarse, or it goes backwards", "use another kernel or machine.")
    if time.time() < Path(chaosdrills.__file__).stat().st_mtime - 86_400:
        return Finding("clock", "warn", f"{shown}: earlier than this program", "set the machine's time of day.")
    if source in SLOW_CLOCKS:
        return Finding("clock", "warn", f"{shown}: slow to read", "use another clock source, such as tsc or kvm-clock.")
    return Finding("clock", "ok", shown)


def available_mib() -> int:
    """The memory that new programs could use, MiB: the machine's, or what the control group still allows."""
    fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) // 1024
    try:
        limit, used = (int((CGROUP / name).read_text()) // MIB for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such control group, or "max"
        return free
    return max(0, min(free, limit - used))


def _folder(name: str, path: Path) -> Finding:
    """The folder `path`, or the nearest above it that is there: that is where it would be made."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    shown = f"{path}: " if there == path else f"{path} (to be made): "
    move = "free room there, or run from another folder."
    if name != "this folder":
        move = f"free room there, or set XDG_{name.upper()}_HOME to another folder."
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "fail", f"{shown}{there} cannot be written to", move.replace("free room", "get rights"))
    free = shutil.disk_usage(there).free // MIB
    need, enough = ROOM_MIB[name]
    state: State = "fail" if free < need else "warn" if free < enough else "ok"
    return Finding(name, state, f"{shown}{free:,} MiB free", "" if state == "ok" else move)
