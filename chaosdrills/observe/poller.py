"""Polling endpoints beside the load: an open loop for each, all in one thread that never holds up another.

A poll is due by a schedule made beforehand, whatever became of the ones before it. Outcomes: ``OK`` for a whole answer
in time that is as expected; ``FAILED`` for an answer that is not, and for what could not be sent because too much was
in flight; ``UNKNOWN`` where no answer came in time or the connection broke (refused, reset, closed half-way).
"""

import asyncio
import logging
import os
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress

from chaosdrills.core.history import NO_TIME, Outcome
from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.endpoints import Endpoint
from chaosdrills.observe.http import MOST_HEAD, Answer, NoAnswer, Unheard, ask
from chaosdrills.observe.ledger import LedgerPage
from chaosdrills.observe.pacing import Lateness, OpenLoop

logger = logging.getLogger(__name__)

TICK_S = 0.05
CLOSE_S = 2.0  # to note everything, beyond what polls in flight are given
MOST_IDLE = 4
MOST_IN_FLIGHT = 600  # of all endpoints: each is a descriptor, of which the workload needs some too

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """Polls one endpoint, over a fresh connection each time or over idle ones."""

    def __init__(self, endpoint: Endpoint, secure: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._secure = secure
        self._idle: list[Connection] = []

    async def poll(self) -> tuple[Outcome, str]:
        """Poll once, within the timeout: the outcome, and why it is not OK."""
        answer = await self.ask()
        if not isinstance(answer, Answer):
            return answer
        why = self._endpoint.expectation.why_not(answer.status, answer.body)
        return (Outcome.FAILED if why else Outcome.OK), why

    async def ask(self) -> Answer | tuple[Outcome, str]:
        """A whole answer, whatever it is, within the timeout; or what became of it, and why."""
        try:
            async with asyncio.timeout(self._endpoint.timeout_s):
                return await self._answer()
        except TimeoutError:
            return Outcome.UNKNOWN, f"no answer within {self._endpoint.timeout_s:g} s"
        except NoAnswer as error:
            return Outcome.FAILED, str(error)
        except Unheard as error:
            return Outcome.UNKNOWN, str(error)
        except (OSError, ssl.SSLError) as error:
            return Outcome.UNKNOWN, _trouble(error)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _answer(self) -> Answer:
        """An answer; an idle connection that the other side has closed meanwhile is no trouble of the endpoint."""
        while self._idle:
            connection = self._idle.pop()
            if connection[0].at_eof() or connection[1].is_closing():
                connection[1].close()
                continue
            try:
                return await self._over(connection)
            except Unheard as error:
                if not error.silent:
                    raise
            except ConnectionError:
                pass
        return await self._over(await self._connected())

    async def _connected(self) -> Connection:
        endpoint = self._endpoint
        return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=self._secure, limit=MOST_HEAD)

    async def _over(self, connection: Connection) -> Answer:
        reader, writer = connection
        try:
            answer = await ask(reader, writer, self._endpoint.request)
        except BaseException:
            writer.transport.abort()
            raise
        if self._endpoint.keep_alive and answer.reusable and len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            writer.close()
        return answer


class Poller:
    """Polls `endpoints` from `begin` to `end`; their numbers are those of the poll streams.

    `troubles`: why the last bad poll of an endpoint was bad, by name. `lateness` of polls that were sent.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.troubles: dict[str, str] = {}
        self.lateness = Lateness()
        self._endpoints = endpoints
        self._ending = threading.Event()
        self._giving_up = threading.Event()
        self._noted = threading.Event()  # all of it; the thread may then still wait for a resolver that hangs
        self._thread: threading.Thread | None = None

    def begin(self, page: LedgerPage) -> None:
        """Start polling, if there is anything to poll; notes go on `page`, which is this thread's alone."""
        if self._endpoints:
            self._thread = threading.Thread(target=self._run, args=(page,), name="poller", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Send nothing more. Returns at once; idempotent."""
        self._ending.set()

    def finish(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for polls in flight, then give them up: they are noted as unknown. Idempotent."""
        self.end()
        if self._thread is not None:
            self._noted.wait(timeout_s)
            self._giving_up.set()
            self._noted.wait(CLOSE_S)

    def checks(self, slow_ns: int) -> list[tuple[str, bool, str]]:
        """As those of a workload: a poller that was itself as late as an answer may be has measured itself."""
        if not self.lateness.count:
            return []
        detail = f"99 % within {self.lateness.quantile_ms(0.99):.1f} ms, all within {self.lateness.max_ms:.1f} ms"
        return [("polls kept their schedule", self.lateness.max_ns < slow_ns, detail)]

    def _run(self, page: LedgerPage) -> None:
        try:
            asyncio.run(self._drive_all(page))
        except Exception:
            logger.exception("polling failed")
        finally:
            self._noted.set()

    async def _drive_all(self, page: LedgerPage) -> None:
        secure = secure_for(self._endpoints)
        drives = (self._drive(number, one, page, secure) for number, one in enumerate(self._endpoints))
        try:
            await asyncio.gather(*drives)
        finally:
            with suppress(DrillError):  # the scribe's own trouble is told by the load
                page.close()
            self._noted.set()

    async def _drive(self, number: int, endpoint: Endpoint, page: LedgerPage, secure: ssl.SSLContext | None) -> None:
        client = Client(endpoint, secure if endpoint.secure else None)
        most = min(10 + 2 * int(endpoint.rate_per_s * endpoint.timeout_s), MOST_IN_FLIGHT // len(self._endpoints))
        plan = OpenLoop(boottime_ns(), endpoint.rate_per_s)
        tasks: set[asyncio.Task[None]] = set()
        while not self._ending.is_set():
            for intended_ns in plan.take(boottime_ns(), most):
                if len(tasks) >= most:
                    page.poll(number, intended_ns, boottime_ns(), Outcome.FAILED)
                    continue
                self.lateness.add(boottime_ns() - intended_ns)
                task = asyncio.create_task(self._poll(number, intended_ns, client, page))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            page.turn()
            await asyncio.sleep(min(plan.wait_s(boottime_ns()), TICK_S))
        while tasks and not self._giving_up.is_set():
            await asyncio.wait(tasks, timeout=TICK_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        client.close()

    async def _poll(self, number: int, intended_ns: int, client: Client, page: LedgerPage) -> None:
        completed_ns, outcome, why = NO_TIME, Outcome.UNKNOWN, "given up"
        try:
            outcome, why = await client.poll()
            completed_ns = boottime_ns()
        except asyncio.CancelledError:
            pass  # given up at the end: noted as unknown
        except Exception:
            logger.exception("a poll failed in a way that it should not")
        page.poll(number, intended_ns, completed_ns, outcome)
        self._note(self._endpoints[number].name, why)

    def _note(self, name: str, why: str) -> None:
        """Log when an endpoint becomes bad or good, or bad for another reason."""
        if why != self.troubles.get(name, ""):
            self.troubles[name] = why
            logger.info("the endpoint %s: %s", name, why or "good")


def secure_for(endpoints: Sequence[Endpoint]) -> ssl.SSLContext | None:
    """What those of `endpoints` need that are by TLS; None if none is."""
    return ssl.create_default_context() if any(endpoint.secure for endpoint in endpoints) else None


def _trouble(error: OSError) -> str:
    """What happened to a connection, in words that name no address."""
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "no connection"
