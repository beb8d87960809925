"""One member of a drill's consumer group: ``python -m chaosdrills.kafka.member ADDRESS NUMBER``.

A process of its own, started by the drill's observer or by a heal. ADDRESS is the observer's abstract Unix socket. Over
it go JSON objects, one a line (`chaosdrills.observe.channel`):

- ``{"say": "here", "member": 2}``, answered by what it is to do: ``{"bootstrap_servers", "client", "properties",
  "settings", "group", "topic", "drill_id", "partitions", "port"}``. That may hold secrets, so it stands nowhere else.
- ``{"say": "looked", "owns": [0, 3], "seen": [[0, 17]], "failed": [3], "begun_ns": 1, "now_ns": 2}``, every 0.1 s:
  the partitions that it owns, the newest seq that it has seen since the last look, and those that could not be read.
  Instants are of CLOCK_BOOTTIME.
- ``{"say": "failed", "kind", "message", "hint"}`` before it ends by itself. A member that was killed says nothing.

Once it owns partitions it listens at its port of 127.0.0.1, for whoever heals it. The end of the socket means that the
observer is gone: it leaves the group and ends. Offsets are committed by the client itself, as it does by default: every
5 s, and when partitions are taken away.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from chaosdrills.core.history import NO_SEQ
from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.client import Connection, KafkaError, KafkaException, Trouble, new_consumer
from chaosdrills.kafka.consumers import CLIENT_ID
from chaosdrills.kafka.payload import Opener
from chaosdrills.kafka.reader import MOST_MESSAGES, POLL_S, SETTINGS, look_through
from chaosdrills.observe.channel import Channel, ChannelClosed

logger = logging.getLogger(__name__)

TOLD_S = 30.0
LEAVE_S = 3.0
LOOPBACK = "127.0.0.1"

# What no waiting mends: the member says so and ends.
_FINAL = (
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.UNSUPPORTED_ASSIGNOR,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,
)


class Member:
    """A consumer that is subscribed to the drill's topic. `told` is what the observer said."""

    def __init__(self, channel: Channel, number: int, told: Mapping[str, Any]) -> None:
        self._channel = channel
        self._port: int = told["port"]
        self._listening: socket.socket | None = None
        self._openers = {partition: Opener(told["drill_id"], partition) for partition in range(told["partitions"])}
        self._trouble = Trouble()
        connection = Connection(told["bootstrap_servers"], told["client"], _without_name(told["properties"]))
        settings = {
            **SETTINGS,
            "auto.offset.reset": "earliest",  # the drill committed where it begins: nothing may be passed over
            "enable.auto.commit": True,
            "enable.auto.offset.store": True,
            **told["settings"],
            "group.id": told["group"],
            "client.id": f"{CLIENT_ID}{number}",
        }
        self._consumer = new_consumer(connection, self._trouble, settings)
        self._consumer.subscribe([told["topic"]])

    def run(self) -> None:
        """Read until the observer is gone. Raises `ChannelClosed` then, `DrillError` for what no waiting mends."""
        while True:
            self._look()
            while self._channel.receive(0) is not None:
                pass

    def leave(self) -> None:
        """Leave the group, within 3 s if it can be done."""
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(LEAVE_S)

    def _look(self) -> None:
        begun_ns, downs = boottime_ns(), self._trouble.downs
        messages = self._consumer.consume(MOST_MESSAGES, POLL_S)
        now_ns = boottime_ns()
        found = look_through(messages, self._openers)
        self._refuse_final(found.errors)
        owns = [it.partition for it in self._consumer.assignment()]
        failed = owns if self._trouble.downs > downs else sorted(found.failed)
        seen = [[partition, seq] for partition, seq in found.newest.items() if seq != NO_SEQ]
        self._channel.send(
            {"say": "looked", "owns": owns, "seen": seen, "failed": failed, "begun_ns": begun_ns, "now_ns": now_ns}
        )
        if owns and self._listening is None:
            self._listening = _listen(self._port)

    def _refuse_final(self, errors: list[KafkaError]) -> None:
        for error in errors:
            if error.code() in _FINAL or error.fatal():
                raise UsageError(
                    f"Kafka does not take a consumer of the drill into its group: {error.str()}.",
                    "let this user read in groups called chaosdrills-*, or correct the group's arguments.",
                )
            self._trouble.note(error)
        if self._trouble.refused is not None and self._listening is None:
            raise UsageError(
                f"the Kafka brokers do not accept a consumer of the drill: {self._trouble.refused.str()}.",
                "check security.protocol, sasl.mechanism, the user and its password, or the certificates.",
            )


def _without_name(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Without the user's own client.id: by ours the group's coordinator tells which process a member is."""
    return {name: value for name, value in properties.items() if name != "client.id"}


def _listen(port: int) -> socket.socket:
    """Listen at a port that the observer has bound and not opened, so that nobody else can."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((LOOPBACK, port))
    listening.listen()
    return listening


def _connect(address: str) -> Channel:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"\0{address}")
    return Channel(connection)


def _run(channel: Channel, number: int) -> None:
    """Be a member until the observer is gone, and leave the group then."""
    channel.send({"say": "here", "member": number})
    told = channel.receive(TOLD_S)
    if told is None:
        raise ChannelClosed(f"the observer did not say what to do within {TOLD_S:g} s")
    member = Member(channel, number, told)
    try:
        member.run()
    finally:
        member.leave()


def main(argv: list[str]) -> None:
    """Be the member `argv[1]` of the observer at `argv[0]`."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        channel = _connect(argv[0])
    except OSError as error:
        logger.warning("the observer is gone: %s", error)
        return
    try:
        _run(channel, int(argv[1]))
    except ChannelClosed as error:
        logger.info("the observer is gone: %s", error)
    except DrillError as error:
        _say_why(channel, error)
    except KafkaException as error:
        _say_why(channel, UnavailableError(f"a consumer of the drill failed: {error.args[0]}.", "read its log."))
    except Exception as error:
        logger.exception("the consumer failed")
        _say_why(channel, InternalError(f"a consumer of the drill failed: {error!r}.", "this is a defect."))


def _say_why(channel: Channel, error: DrillError) -> None:
    logger.error("%s", error)
    try:
        channel.send({"say": "failed", "kind": type(error).__name__, "message": error.message, "hint": error.hint})
    except ChannelClosed:
        logger.warning("nobody hears it: the observer is gone")


if __name__ == "__main__":
    main(sys.argv[1:])
    logging.shutdown()
    os._exit(0)  # a driver's threads must not keep a member alive
