"""Whether an activity really did what its run says: the Chaos Toolkit calls more a success than one may believe.

A `process` action succeeds whatever its exit status, an `http` action whatever the server answered; both return an
object with a ``status`` (chaoslib 1.44, `provider/process.py` and `provider/http.py`). And many an extension's action
succeeds with an empty list when its selector matched nothing.
"""

from collections.abc import Mapping, Sized
from typing import Any


def refused(run: Mapping[str, Any]) -> str:
    """Why the activity of `run` failed though it is said to have succeeded; empty if it did not."""
    output = run.get("output")
    status = output.get("status") if isinstance(output, Mapping) else None
    if not isinstance(status, int):
        return ""
    kind = run["activity"].get("provider", {}).get("type")
    if kind == "process" and status != 0:
        return f"it ended with exit status {status}"
    if kind == "http" and status >= 400:
        return f"the server answered {status}"
    return ""


def hit_nothing(run: Mapping[str, Any]) -> str:
    """Why the fault of `run` cannot be said to have hit anything; empty if it can."""
    why = refused(run)
    output = run.get("output")
    if why or output is None or output is True:
        return why
    empty = isinstance(output, Sized) and len(output) == 0
    return "it returned nothing that it hit" if empty or output is False or output == 0 else ""
