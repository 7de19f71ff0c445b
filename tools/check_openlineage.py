"""Check OpenLineage events against the published JSON schemas.

    python tools/check_openlineage.py SPEC lineage/openlineage.jsonl

SPEC is the folder ``spec`` of a checkout of github.com/OpenLineage/OpenLineage, or any folder with its
``OpenLineage.json`` and the schemas of facets (Apache-2.0; they are no part of this project). Every event must be a
RunEvent, every facet that has a schema there what it says. Prints what was checked and each fault; ends with 1 when
there is one. Nothing is downloaded: a schema that refers to another version of a file gets the one that is there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

FORMATS = FormatChecker(["uuid"])
CORE = "https://openlineage.io/spec/OpenLineage.json#/$defs/RunEvent"


@FORMATS.checks("uri")
def _uri(value: object) -> bool:
    return not isinstance(value, str) or all(urlsplit(value)[:2])


@FORMATS.checks("date-time", raises=ValueError)
def _instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Published:
    """The schemas of a folder.

    Args:
        folder: holds them, at any depth.
    """

    def __init__(self, folder: Path) -> None:
        self.schemas: dict[str, Any] = {path.name: json.loads(path.read_bytes()) for path in folder.rglob("*.json")}
        self._registry = Registry(
            retrieve=lambda url: Resource.from_contents(self.schemas[Path(urlsplit(url).path).name])
        )

    def faults(self, value: Any, url: str) -> Iterator[str]:
        """Yield what a value has that the definition under a URL does not allow."""
        name, definition = Path(urlsplit(url).path).name, urlsplit(url).fragment
        reference = {"$ref": f"{self.schemas[name]['$id']}#{definition}"}
        validator = Draft202012Validator(reference, registry=self._registry, format_checker=FORMATS)
        for fault in validator.iter_errors(value):
            yield f"{fault.json_path}: {fault.message}"

    def check(self, event: dict[str, Any], checked: Counter[str]) -> Iterator[str]:
        """Yield the faults of an event and of its facets, counting by schema on the way."""
        parts = [event["run"], event["job"], *event.get("inputs", []), *event.get("outputs", [])]
        kinds = ("facets", "inputFacets", "outputFacets")
        facets = [facet for part in parts for kind in kinds for facet in part.get(kind, {}).values()]
        for value, url in [(event, CORE), *((facet, facet["_schemaURL"]) for facet in facets)]:
            name = Path(urlsplit(url).path).name
            if name not in self.schemas:
                checked[f"{name}: no schema there"] += 1
                continue
            checked[self.schemas[name]["$id"]] += 1
            yield from self.faults(value, url)


if __name__ == "__main__":
    published, counted = Published(Path(sys.argv[1])), Counter[str]()
    lines = Path(sys.argv[2]).read_bytes().splitlines()
    found = [
        f"line {at}: {fault}"
        for at, line in enumerate(lines, 1)
        for fault in published.check(json.loads(line), counted)
    ]
    for schema, times in sorted(counted.items()):
        print(f"{times:>6} × {schema}")  # noqa: T201  (a tool's result)
    print("\n".join(found) or f"{len(lines)} events, no fault")  # noqa: T201
    sys.exit(1 if found or not lines else 0)
