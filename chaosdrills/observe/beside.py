"""A thread beside the load: a reader, or what watches the service while it is written to."""

import threading
from collections.abc import Callable

STOP_S = 10.0


class Beside:
    """Runs `run` in a daemon thread called `name`, which ends by itself once `stopped`."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end; waits at most 10 s for it. Idempotent, also where it was never started."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def stopped(self) -> bool:
        """Whether it is to end."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is to end; whether it is."""
        return self._stop.wait(seconds)
