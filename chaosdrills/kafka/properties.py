"""A file of confluent-kafka properties (SASL, TLS), whose secrets lie in the environment or in files of their own.

One ``name=value`` a line; empty lines and lines that begin with ``#`` are passed over. A value ``env:NAME`` is that
environment variable, ``file:PATH`` the content of that file without its last line's end. Names are librdkafka's, as in
its CONFIGURATION.md. Example::

    security.protocol=SASL_SSL
    sasl.mechanism=SCRAM-SHA-512
    sasl.username=drill
    sasl.password=env:KAFKA_PASSWORD
    ssl.ca.location=/etc/kafka/ca.pem
"""

import os
from pathlib import Path

from chaosdrills.errors import UsageError


def load_properties(path: str) -> dict[str, str]:
    """The properties in the file `path`; none for an empty path. Raises `UsageError` that shows no value."""
    if not path:
        return {}
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(
            f"cannot read the Kafka properties in {path}: {reason}.", "correct kafka_properties_file."
        ) from error
    properties: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise UsageError(f"{path}, line {number} is not name=value.", "write one property a line.")
        if name in properties:
            raise UsageError(f"{path}, line {number} gives {name} again.", "remove one of the two.")
        properties[name] = _resolved(value, f"{path}, line {number} ({name})")
    return properties


def _resolved(value: str, where: str) -> str:
    kind, colon, name = value.partition(":")
    if not colon or kind not in ("env", "file"):
        return value
    if kind == "env":
        if name not in os.environ:
            raise UsageError(f"{where} names the environment variable {name}, which is not set.", f"set {name}.")
        return os.environ[name]
    try:
        return Path(name).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{where} names the file {name}, which cannot be read.", "correct it, or its rights."
        ) from error
