"""Histories as a user writes them, for the commands that read one."""

import json
from pathlib import Path
from typing import Any


def lines(outage_s: float = 2.0, lost: int = 0, service: str = "kafka", ended: bool = True) -> list[dict[str, Any]]:
    """Ten writes a second for 60 s in one stream; the fault at 20 s, nothing answered for `outage_s` from then on.

    The last `lost` writes before the fault are not read back.
    """
    header = {"kind": "header", "version": 1, "service": service, "stream_kind": "log"}
    writes = []
    for seq in range(600):
        at_s = seq / 10
        done_s = 20 + outage_s if 20 <= at_s < 20 + outage_s else at_s + 0.01
        one = {"kind": "write", "stream": "0", "seq": seq, "invoked_s": at_s, "completed_s": done_s, "outcome": "ok"}
        writes.append(one)
    names = (("fault_begin", 20.0), ("fault_end", 20.1), ("load_end", 60.0), ("drained", 60.1))
    marks = [{"kind": "mark", "name": name, "at_s": at_s, "label": "kill"} for name, at_s in names]
    kept = [seq for seq in range(600) if not 200 - lost <= seq < 200]
    final = {"kind": "final", "stream": "0", "at_s": 61, "seqs": kept}
    end = [{"kind": "end", "at_s": 62}] if ended else []
    return [{**header, "started_at": "2026-11-23T08:00:00Z"}, *writes, *marks, final, *end]


def write(path: Path, **more: Any) -> Path:
    """A file with the history `lines(**more)`."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(**more)))
    return path
