"""Actions of other extensions, in words: what they call, and with which arguments."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def described(provider: Mapping[str, Any], arguments: Any) -> str:
    """One line for a provider: the function, program or address, and its arguments."""
    kind = provider.get("type")
    if kind == "process":
        words = _words(arguments)
        return f"process {shlex.join([str(provider.get('path', '')), *words])}"
    if kind == "http":
        return f"{provider.get('method', 'GET')} {provider.get('url', '')}{_object(arguments)}"
    return f"{provider.get('module', '')}.{provider.get('func', '')}{_object(arguments)}"


def _words(arguments: Any) -> list[str]:
    if isinstance(arguments, Mapping):
        return [str(word) for pair in arguments.items() for word in pair if word not in (None, "")]
    if isinstance(arguments, Sequence) and not isinstance(arguments, str):
        return [str(word) for word in arguments]
    return shlex.split(str(arguments)) if arguments else []


def _object(arguments: Any) -> str:
    return f" {json.dumps(arguments, default=str)}" if arguments else ""
