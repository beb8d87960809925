"""Whether a value that came from a file is of the type that our own code says."""

from types import UnionType
from typing import Any, get_args, get_origin

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def is_of(value: Any, hint: Any) -> bool:
    """Whether `value` is of the type `hint`: a bool is no number, a whole number is a `float` too."""
    kind, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is UnionType:
        return any(is_of(value, part) for part in parts)
    if kind is list:
        return isinstance(value, list) and all(is_of(one, parts[0]) for one in value)
    if kind is dict:
        return isinstance(value, dict) and all(
            is_of(key, parts[0]) and is_of(it, parts[1]) for key, it in value.items()
        )
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float) if hint is float else isinstance(value, hint)


def may_be(value: Any, hint: type) -> bool:
    """Whether what an experiment says can be of the type `hint`: variables are not known yet, and numbers may be texts.

    An empty text, and null, stand for no list and no object.
    """
    if isinstance(value, str) and "${" in value:
        return True
    if hint in (list, dict) and value in ("", None):
        return True
    if hint is bool and isinstance(value, str):
        return value.lower() in ("true", "false", "1", "0")
    if hint in (int, float) and isinstance(value, str):
        try:
            return isinstance(hint(value), int | float)
        except ValueError:
            return False
    return is_of(value, hint)


def in_words(hint: Any) -> str:
    """What `hint` asks for, as a user reads it: "a list of texts, or null"."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind is UnionType:
        return ", or ".join(in_words(part) for part in parts)
    if kind is list and parts[0] is str:
        return "a list of texts"
    return _WORDS.get(kind or hint, "something else")
