"""The desk of a running drill: where it is seen and talked to from another terminal.

While a drill runs, its `chaos` process serves a unix socket beside a file that names it::

    $XDG_STATE_HOME/chaosdrills/drills/<pid>-<start_ticks>.sock
    $XDG_STATE_HOME/chaosdrills/drills/<pid>-<start_ticks>.json
    {"version": 1, "drill_id": "d1c2...", "title": "...", "folder": "/.../journals/...", "started_at": "..."}

The name is the identity of the process (`chaosdrills.host.processes`), so what a dead one left behind misleads nobody;
`chaosdrills.observe.running` finds the living ones. A connection is one request and its answer, as in
`chaosdrills.observe.channel`, for the same user only:

- ``{"do": "status"}``: what `status_of` tells.
- ``{"do": "note", "text"}``: ``{"at_s"}`` once the remark is on disk.
- ``{"do": "go"}``: ``{}`` if the drill was held.
- ``{"do": "abort", "by"}``: ``{"accepted", "phase"}`` at once; `accepted` is false if the drill ends already.
- ``{"do": "mark", "name", "label", "at_ns"}``: ``{"marked"}``: a heal from outside begins or has ended.

Several drills may run at the same time, as long as at most one of them has faults outstanding.
"""

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError
from chaosdrills.host.files import write_json
from chaosdrills.host.paths import state_dir
from chaosdrills.host.processes import Identity, this_process
from chaosdrills.observe.channel import Channel, ChannelClosed, error_object
from chaosdrills.observe.drill import ObservedDrill

VERSION = 1
REQUEST_S = 5.0
BACKLOG = 16


def desks_dir() -> Path:
    """The folder of all desks."""
    return state_dir("drills")


def stem_of(identity: Identity) -> str:
    """The name of a process's desk, without what follows the dot."""
    return f"{identity.pid}-{identity.start_ticks}"


class Desk:
    """Serves one drill from threads of its own. `open` and `close` are idempotent."""

    def __init__(self, drill: ObservedDrill) -> None:
        self._drill = drill
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to serve. Raises `UnavailableError` if that is not possible here."""
        try:
            self._socket = _listening(self._path("sock"))
            write_json(self._path("json"), self._about())
        except OSError as error:
            self.close()
            raise UnavailableError(
                f"the drill cannot be seen from other terminals: {self._path('sock')}: {error.strerror or error}.",
                "set XDG_STATE_HOME to a folder of a local disk that you may write to.",
            ) from error
        threading.Thread(target=self._serve, args=(self._socket,), name="desk", daemon=True).start()

    def close(self) -> None:
        """Serve nobody any more, and leave no file."""
        served, self._socket = self._socket, None
        if served is None:
            return
        for suffix in ("json", "sock"):
            with contextlib.suppress(OSError, DrillError):
                self._path(suffix).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            served.shutdown(socket.SHUT_RDWR)
        served.close()

    def _path(self, suffix: str) -> Path:
        return desks_dir() / f"{stem_of(this_process())}.{suffix}"

    def _about(self) -> dict[str, Any]:
        drill = self._drill
        return {
            "version": VERSION,
            "drill_id": drill.drill_id,
            "title": drill.title,
            "folder": str(drill.folder.resolve()),
            "started_at": drill.started_at,
        }

    def _serve(self, served: socket.socket) -> None:
        while True:
            try:
                connection, _ = served.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), name="desk answer", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        channel = Channel(connection)
        try:
            request = channel.receive(REQUEST_S) if _is_ours(connection) else None
            if request is not None:
                channel.send(self._done(request))
        except ChannelClosed:
            pass
        finally:
            channel.close()

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": answer(self._drill, request)}
        except DrillError as error:
            return {"error": error_object(error)}
        except Exception as error:
            return {"error": error_object(InternalError(f"unexpected {type(error).__name__}: {error}."))}


def answer(drill: ObservedDrill, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked of `drill`; the answer. Raises `DrillError` if it cannot be done."""
    match request:
        case {"do": "status"}:
            return status_of(drill)
        case {"do": "note", "text": str(text)}:
            return {"at_s": drill.note(text)}
        case {"do": "go"}:
            _go(drill)
            return {}
        case {"do": "abort", "by": str(by)}:
            phase = drill.phase
            return {"accepted": drill.cut_short(by), "phase": phase}
        case {"do": "mark", "name": "heal_begin" | "heal_end" as name, "label": str(label), "at_ns": int(at_ns)}:
            return {"marked": drill.mark_from_outside(name, label, at_ns)}
    raise InternalError(f"a drill does not know the request {request.get('do')!r}.", "use the same version for both.")


def status_of(drill: ObservedDrill) -> dict[str, Any]:
    """What a running drill tells of itself; `figures` as `chaosdrills.observe.figures`, null before there are any.

    `hold` is "none" if it does not hold, else the state of `chaosdrills.observe.hold`. `aborted` is why it is being
    aborted, empty if it is not.
    """
    figures: dict[str, Any] | None
    try:
        figures = drill.figures()
    except DrillError:
        figures = None
    return {
        "drill_id": drill.drill_id,
        "title": drill.title,
        "service": drill.plan.service,
        "started_at": drill.started_at,
        "phase": drill.phase,
        "phase_s": drill.phase_s,
        "since_fault_s": drill.since_fault_s,
        "hold": "none" if drill.hold is None else drill.hold.state,
        "aborted": drill.abort.why,
        "load_over": drill.observed and not drill.under_load,
        "figures": figures,
    }


def _go(drill: ObservedDrill) -> None:
    if drill.hold is not None and drill.hold.go():
        return
    if drill.abort.why:
        raise UsageError("the drill is being aborted.", "wait for its end, and run it again.")
    if drill.hold is None:
        raise UsageError("the drill does not hold, so there is nothing to go on from.", "run it with --hold.")
    if drill.hold.state == "ahead":
        raise UsageError(
            f"the drill does not hold yet: it is in the phase {drill.phase!r}.",
            "wait until 'chaos drills status' says so.",
        )
    raise UsageError(f"the drill holds no more: it is in the phase {drill.phase!r}.", "look at 'chaos drills status'.")


def short_address(path: Path, directory: int) -> str:
    """`path` as the address of a socket, however long it is: through `directory`, a descriptor of its folder.

    The kernel takes no more than 107 bytes.
    """
    return f"/proc/self/fd/{directory}/{path.name}"


def _listening(path: Path) -> socket.socket:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    made = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        made.bind(short_address(path, directory))
        path.chmod(0o600)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    finally:
        os.close(directory)
    return made


def _is_ours(connection: socket.socket) -> bool:
    """Whether the other side is this user or root."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (0, os.getuid())
