"""Which kinds of a lab's network can be tested here."""

import pytest

from chaosdrills.host import packet_filter

FILTERED = pytest.param(
    "filtered",
    marks=pytest.mark.skipif(bool(packet_filter.why_not()), reason=f"NO PACKET FILTER HERE: {packet_filter.why_not()}"),
)
