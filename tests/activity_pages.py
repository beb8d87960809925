"""The pages of docs/ that describe a service's activities, each under a heading and with one example."""

import json
import re
from pathlib import Path
from typing import Any

from chaosdrills import discover

ROOT = Path(__file__).resolve().parents[1]


class Page:
    """The page of `service`: its `text`, its `examples` by their activities, and what is `listed` by discovery."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.text = (ROOT / "docs" / f"{service}.md").read_text()
        self.blocks = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", self.text, re.S | re.M)]
        self.examples = {block["provider"]["func"]: block for block in self.blocks if "provider" in block}
        self.listed = {it["name"]: it for it in discover()["activities"] if f".{service}." in it["mod"]}

    def experiment(self, name: str) -> dict[str, Any]:
        """A whole experiment around an example, and the configuration that the page shows."""
        (configured,) = [block for block in self.blocks if "configuration" in block]
        example = self.examples[name]
        probes, method = ([example], []) if example["type"] == "probe" else ([], [example])
        return {
            "title": "An example",
            "description": "From the page.",
            **configured,
            "steady-state-hypothesis": {"title": "All is well", "probes": probes},
            "method": method,
        }

    def require_all(self) -> None:
        """Each activity has its heading and one example."""
        types = {name: it["type"] for name, it in self.listed.items()}
        assert {name: it["type"] for name, it in self.examples.items()} == types
        assert sorted(re.findall(r"^### `(\w+)`$", self.text, re.M)) == sorted(self.listed)
        assert len([block for block in self.blocks if "provider" in block]) == len(self.listed)

    def require_target(self, name: str) -> None:
        """The tolerance of a probe's example looks at a key of the answer that the activity's own help shows."""
        example = self.examples[name]
        if example["type"] == "probe":
            assert f'"{example["tolerance"]["target"]}":' in re.sub(r"\s+", " ", self.listed[name]["doc"])

    def variables(self) -> tuple[set[str], set[str]]:
        """The service's variables that its experiments take, and those that the page has in a table."""
        called = f"{self.service.upper()}_\\w+"
        texts = [path.read_text() for path in (ROOT / "experiments").glob(f"{self.service}-*.json")]
        rows = "".join(line for line in self.text.splitlines() if re.match(rf"\| `{called}`", line))
        taken = {name for text in texts for name in re.findall(rf'"({called})"', text)}
        return taken, set(re.findall(rf"`({called})`", rows))
