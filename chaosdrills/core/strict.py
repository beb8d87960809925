"""JSON read strictly: what two readers could understand differently is an error.

For files that people or crashes may have touched: experiments' metadata, summaries, objectives, the heal log, the lab's
state. Histories have a reader of their own (`chaosdrills.core.exchange`), which names lines.
"""

import json
from typing import Any, NoReturn


def loads(data: str | bytes) -> Any:
    """The value that `data` is, in UTF-8 if it is bytes.

    Raises `ValueError`, and nothing else, for what is not JSON, repeats a key of an object, holds a number that is not
    finite or text that is not valid (a lone surrogate), or is nested too deeply.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=without_repeats, parse_constant=_refuse)
        _written(value).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds text that is not valid (a lone surrogate)") from error
    return value


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError("it holds a number that is not finite") from error


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of `pairs`. Raises `ValueError` if one key is in it twice: which of the two counts, nobody can say."""
    whole = dict(pairs)
    if len(whole) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {json.dumps(twice)} is there twice")
    return whole


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
