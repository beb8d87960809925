"""The observer: ``python -m chaosdrills.observe.process FD``, started by `chaosdrills.observe.session`.

FD is an inherited socket. Over it come the spec (first line: `chaosdrills.observe.spec`) and requests, and go answers:

- ``{"id", "do": "mark", "name", "at_ns", "label"}``: answered ``{"id", "ok": {}}`` once the mark is on disk.
- ``{"id", "do": "note", "text", "at_ns"}``: the same for a remark.
- ``{"id", "do": "snapshot", "window_s"}``: the figures now.
- ``{"id", "do": "finish", "drain_s", "readback_timeout_s"}``: ``{"id", "say": text}`` while it works, then its result.
- ``{"id", "do": "abort"}``: ends the load at once; the record keeps what is there, with `load_end` and without `end`.
- An error is ``{"id", "error": {"kind", "message", "hint"}}``. Without an id: ``{"event": "ready", "origin_ns",
  "facts"}`` once every stream was acknowledged, ``{"event": "say", "text"}``, and ``{"event": "failed", "error"}`` when
  the observer ends by itself.

The end of the socket means that the drill died: the load ends, what is in flight is waited for briefly, and the record
is closed without finals and without `end`, so that nobody takes it for a whole one. SIGTERM does the same. SIGINT and
SIGHUP are ignored: they are meant for the terminal's process group.
"""

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

from chaosdrills.core.history import to_ns
from chaosdrills.errors import INTERRUPTED, DrillError, InternalError, UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.channel import Channel, ChannelClosed, error_object
from chaosdrills.observe.endpoints import endpoints_of
from chaosdrills.observe.ledger import Ledger
from chaosdrills.observe.load import Ending, Load, header_of
from chaosdrills.observe.pacing import Lateness
from chaosdrills.observe.poller import Poller
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.sampler import Sampler
from chaosdrills.observe.spec import ObserverSpec
from chaosdrills.observe.watches import watches_of
from chaosdrills.observe.workload import Opened, load_workload

logger = logging.getLogger(__name__)

TICK_S = 0.1
SWITCH_S = 0.0005  # how long a thread may keep the interpreter while the load thread wants it
SPEC_TIMEOUT_S = 30.0
LAST_WORDS_S = 10.0  # how long a load may take to end beyond its drain when it is told to


class Observer:
    """The main thread: answers requests, copies what the load noted to disk, and ends the process in good order."""

    def __init__(self, channel: Channel, spec: ObserverSpec, ready_timeout_s: float) -> None:
        self._channel = channel
        self._spec = spec
        self._ready_timeout_s = ready_timeout_s
        self._ready = False
        self._origin_ns = 0
        self._terminated = threading.Event()
        self._finishing: list[int] = []
        signal.signal(signal.SIGTERM, lambda signum, frame: self._terminated.set())
        self._workload = load_workload(spec.workload, spec.drill_id, spec.arguments)
        self._endpoints = endpoints_of(spec.polls)
        self._watches = watches_of(spec.watches)
        beside = Poller(self._endpoints), Sampler(self._watches)
        self._load = Load(spec, self._workload, self._make_ledger, ready_timeout_s, *beside)

    def run(self) -> int:
        """Observe until told to end. Returns the exit status."""
        self._load.start()
        try:
            self._serve()
        except ChannelClosed as error:
            logger.warning("the drill is gone (%s): ending the load", error)
            self._wind_down()
        except DrillError as error:
            self._load.abort()
            self._load.done.wait(LAST_WORDS_S)
            raise self._load.failure or error from error
        if self._load.failure is not None:
            raise self._load.failure
        return 0

    def _serve(self) -> None:
        """Answer requests until the load has ended."""
        deadline = time.monotonic() + self._ready_timeout_s
        while not self._load.done.is_set():
            request = self._channel.receive(TICK_S)
            if self._terminated.is_set():
                raise ChannelClosed("told to by SIGTERM")
            if request is not None:
                self._answer(request)
            if self._load.ledger is not None:
                self._load.ledger.write_up()
            if not self._ready:
                self._look_ready(deadline)
        if self._load.failure is None:
            for number in self._finishing:
                self._channel.send({"id": number, "ok": self._load.result, "last": True})

    def _look_ready(self, deadline: float) -> None:
        ledger, opened = self._load.ledger, self._load.opened
        if ledger is not None and opened is not None and not ledger.silent:
            self._ready = True
            self._load.lateness = Lateness()  # while everything starts, late is no wonder and costs no figure
            gc.freeze()
            gc.set_threshold(100_000, 50, 50)  # a collection of everything would make operations late
            self._channel.send({"event": "ready", "origin_ns": self._origin_ns, "facts": dict(opened.facts)})
        elif time.monotonic() >= deadline + TICK_S:
            raise UnavailableError(self._waited_for(), "look at the service's own log; it may need more time to start.")

    def _waited_for(self) -> str:
        trouble = self._load.trouble()
        why = f" The driver's last trouble: {trouble}." if trouble else ""
        if self._load.ledger is None or self._load.opened is None:
            what = "could not be opened"
        else:
            what = f"acknowledged nothing on stream {', '.join(self._load.ledger.silent)}"
        return f"{self._spec.service} {what} within {self._ready_timeout_s:g} s.{why}"

    def _answer(self, request: dict[str, Any]) -> None:
        number = request.get("id")
        try:
            answer = self._do(request)
        except DrillError as error:
            self._channel.send({"id": number, "error": error_object(error)})
            if isinstance(error, UnavailableError):
                raise
            return
        if answer is not None:
            self._channel.send({"id": number, "ok": answer})

    def _do(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Do what is asked; None if the answer comes later."""
        match request:
            case {"do": "mark", "name": name, "at_ns": at_ns, "label": label}:
                self._ledger().mark(name, at_ns, label)
                return {}
            case {"do": "note", "text": text, "at_ns": at_ns}:
                self._ledger().note(text, at_ns)
                return {}
            case {"do": "snapshot", "window_s": window_s}:
                return self._load.snapshot(window_s)
            case {"do": "finish", "id": number, "drain_s": drain_s, "readback_timeout_s": readback_timeout_s}:
                self._finishing.append(number)
                self._load.end(Ending(drain_s, readback_timeout_s, self._say))
                return None
            case {"do": "abort", "id": number}:
                self._finishing.append(number)
                self._load.abort()
                return None
        raise InternalError(f"the observer does not know the request {request.get('do')!r}.")

    def _ledger(self) -> Ledger:
        if self._load.ledger is None:
            raise InternalError("a mark was to be recorded before the load began.")
        return self._load.ledger

    def _say(self, text: str) -> None:
        with contextlib.suppress(ChannelClosed):  # the main thread sees it too, and ends the load
            self._channel.send({"id": self._finishing[0], "say": text})

    def _wind_down(self) -> None:
        """End the load of a drill that is gone."""
        if self._load.ledger is None:  # what it has opened is empty, and goes
            self._load.abort()
            self._load.done.wait(LAST_WORDS_S)
            return
        if self._load.phase == "running":
            self._load.end(Ending(self._spec.eof_drain_s, None, lambda text: None))
            self._load.done.wait(self._spec.eof_drain_s + LAST_WORDS_S)
        self._load.abort()
        if not self._load.done.wait(LAST_WORDS_S):
            logger.error("the load does not end; the record stays as it is")

    def _make_ledger(self, opened: Opened) -> Ledger:
        self._origin_ns = boottime_ns()
        record = RecordWriter.create(
            self._spec.record,
            service=self._spec.service,
            stream_kind=self._workload.stream_kind,
            started_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            origin_ns=self._origin_ns,
            extra=header_of(self._spec, opened.facts),
        )
        polled = [endpoint.name for endpoint in self._endpoints]
        slow_ns, gap_ns = to_ns(self._spec.slow_s), to_ns(self._spec.gap_s)
        watched = [watch.name for watch in self._watches]
        return Ledger(record, opened.streams, slow_ns, gap_ns, polled, opened.pools, watched)


def main(argv: list[str]) -> int:
    """Run the observer on the socket whose descriptor is `argv[0]`. Returns the exit status."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.setswitchinterval(SWITCH_S)
    channel = Channel(socket.socket(fileno=int(argv[0])))
    try:
        told = channel.receive(SPEC_TIMEOUT_S)
        if told is None:
            raise ChannelClosed(f"no spec came within {SPEC_TIMEOUT_S:g} s")
        return Observer(channel, ObserverSpec.of(told["spec"]), told["ready_timeout_s"]).run()
    except DrillError as error:
        return _report(channel, error)
    except ChannelClosed as error:
        logger.warning("the drill is gone: %s", error)
        return INTERRUPTED
    except Exception as error:
        logger.exception("the observer failed")
        return _report(
            channel, InternalError(f"the observer failed: {error!r}.", "read observer.log; this is a defect.")
        )


def _report(channel: Channel, error: DrillError) -> int:
    logger.error("%s", error)
    with contextlib.suppress(ChannelClosed):  # then nobody is left to hear it but the log
        channel.send({"event": "failed", "error": error_object(error)})
    return error.exit_status


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # a driver's threads must not keep an observer alive whose record is closed
