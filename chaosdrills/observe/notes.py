"""Remarks on a running drill, as they are kept: one line of visible text that names nobody."""

from chaosdrills.errors import UsageError
from chaosdrills.observe.folder import without_names
from chaosdrills.report.wording import visible

MAX_BYTES = 16 * 1024


def remark(text: str, words: str = "") -> str:
    """`text` as a note of the drill whose own text is `words`: without line ends, control characters and names.

    Raises `UsageError` for what is empty, or longer than `MAX_BYTES` as UTF-8.
    """
    kept = " ".join(str(without_names(visible(text), words)).split())
    if not kept:
        raise UsageError("the note is empty.", 'say something: chaos drills note "the first alert came in".')
    if len(kept.encode()) > MAX_BYTES:
        raise UsageError(
            f"the note is {len(kept.encode()):,} bytes long, {MAX_BYTES:,} are kept.",
            "say it in fewer words, and keep the rest beside the report.",
        )
    return kept
