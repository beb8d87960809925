"""The active controller of a KRaft cluster, as its metadata quorum tells (DescribeQuorum).

A broker passes the question on to the active controller, so any that answers will do, and nothing of it is stale:
whoever does not lead the quorum says so. confluent-kafka does not know the request, so this module, alone, uses
kafka-python, which is pure Python, with what confluent-kafka's properties mean for it: PLAINTEXT, SSL, and SASL with
PLAIN or SCRAM. Certificates are read from PEM files. What else the properties ask for is refused.
"""

import contextlib
import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.kafka.client import Admin, Connection

try:
    from kafka import KafkaAdminClient
    from kafka.errors import (
        AuthorizationError,
        IncompatibleBrokerVersion,
        KafkaError,
        UnsupportedVersionError,
    )
except ImportError as missing:
    raise UnavailableError(
        f"kafka-python is not installed: {missing}.", "run pip install 'chaosdrills[kafka]'."
    ) from missing

ASK_S = 3.0  # one broker may hang: then another one is asked
LEAST_S = 1.0
POLL_S = 0.1
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
# Properties that say who we are, or whom we trust, in ways that cannot be handed on.
_UNKNOWN_WAYS = (
    "ssl.keystore.location", "ssl.certificate.pem", "ssl.key.pem", "ssl.ca.pem", "ssl.engine.location",
    "ssl.providers", "ssl.crl.location",
)  # fmt: skip


def active_controller(connection: Connection, timeout_s: float) -> int:
    """The id of the node that is the active controller; waits for one while it is elected.

    Raises `UnavailableError` if no broker answers, or there is no controller, within `timeout_s`; `UsageError` if the
    brokers refuse us, do not know the question (ZooKeeper, or Kafka before 3.3), or the properties cannot be used here.
    """
    deadline = time.monotonic() + timeout_s
    Admin(connection).view(timeout_s)  # tells what is wrong with an address or a password
    settings = settings_of(connection)
    while True:
        try:
            with _explained():
                leader, why = _ask(settings, max(LEAST_S, min(ASK_S, deadline - time.monotonic())))
        except KafkaError as error:
            leader, why = -1, f"{type(error).__name__} {error}".strip()
        if leader >= 0:
            return leader
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"the cluster has no active controller that answers within {timeout_s:g} s: {why}.",
                "look at the logs of the controllers; more than half of them must run.",
            )
        time.sleep(POLL_S)


def _ask(settings: Mapping[str, Any], timeout_s: float) -> tuple[int, str]:
    """The quorum's leader, or -1 and why there is none. Raises kafka-python's `KafkaError`."""
    timeout_ms = round(timeout_s * 1000)
    with _quiet():
        client = KafkaAdminClient(**settings, request_timeout_ms=timeout_ms, bootstrap_timeout_ms=timeout_ms)
        try:
            answer = client.describe_metadata_quorum()
        finally:
            client.close()
    partition = answer["topics"][0]["partitions"][0]
    if partition["error"] is not None:
        return -1, str(partition["error"])
    return int(partition["leader_id"]), "its quorum has no leader"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Have kafka-python not tell as errors, on its own log, what is tried again: what matters is in what it raises."""
    log = logging.getLogger("kafka")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn errors that no waiting mends into ours."""
    try:
        yield
    except AuthorizationError as error:
        raise UsageError(
            "Kafka does not allow it: the metadata quorum cannot be looked at.",
            "give this user the right to describe the cluster.",
        ) from error
    except (IncompatibleBrokerVersion, UnsupportedVersionError) as error:
        raise UsageError(
            "the brokers do not know of a metadata quorum, so the active controller cannot be asked for.",
            "use a cluster with KRaft, of Kafka 3.3 or newer.",
        ) from error


def settings_of(connection: Connection) -> dict[str, Any]:
    """kafka-python's settings for confluent-kafka's properties. Raises `UsageError` for what has no counterpart."""
    given = {name: str(value) for name, value in connection.properties.items()}
    protocol = given.get("security.protocol", "plaintext").upper()
    if protocol not in PROTOCOLS:
        raise UsageError(f"security.protocol is {protocol!r}.", f"use one of {', '.join(PROTOCOLS)}.")
    return {
        "bootstrap_servers": [address.strip() for address in connection.bootstrap_servers.split(",")],
        "client_id": "chaosdrills",
        "security_protocol": protocol,
        **(_login(given) if protocol.startswith("SASL") else {}),
        **({"ssl_context": _tls(given)} if protocol.endswith("SSL") else {}),
    }


def _login(given: Mapping[str, str]) -> dict[str, Any]:
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms", "GSSAPI"))
    if mechanism not in MECHANISMS:
        raise UsageError(
            f"the active controller cannot be asked for with the SASL mechanism {mechanism}.",
            f"use {', '.join(MECHANISMS)}; where the probe is cluster_health, give it controller false.",
        )
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": given.get("sasl.username", ""),
        "sasl_plain_password": given.get("sasl.password", ""),
    }


def _tls(given: Mapping[str, str]) -> ssl.SSLContext:
    """Whom to trust and who we are, as librdkafka takes it from the same properties."""
    unknown = next((name for name in _UNKNOWN_WAYS if given.get(name)), "")
    if unknown:
        raise UsageError(
            f"the active controller cannot be asked for with the property {unknown}.",
            "use PEM files (ssl.ca.location, ssl.certificate.location, ssl.key.location); where the probe is "
            "cluster_health, give it controller false.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verified = given.get("enable.ssl.certificate.verification", "true").lower() != "false"
    context.check_hostname = verified and given.get("ssl.endpoint.identification.algorithm", "https") == "https"
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    try:
        _trust(context, given.get("ssl.ca.location", ""))
        if certificate := given.get("ssl.certificate.location"):
            key = given.get("ssl.key.location") or None
            context.load_cert_chain(certificate, key, given.get("ssl.key.password", ""))
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"the certificates cannot be read: {error.strerror or error}.", "correct the ssl.* properties."
        ) from error
    return context


def _trust(context: ssl.SSLContext, location: str) -> None:
    if not location or location == "probe":
        context.load_default_certs()
    elif Path(location).is_dir():
        context.load_verify_locations(capath=location)
    else:
        context.load_verify_locations(cafile=location)
