"""The table in docs/explanation/reliability.md, made from what the faults came to.

python -m contact_pipeline_tests.faults.report RESULTS.xml
"""

from __future__ import annotations

import os
import platform
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

PAGE: Final = Path("docs/explanation/reliability.md")
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->\n"


def table(results: Path) -> Iterator[str]:
    """The lines of the table."""
    cases: defaultdict[str, list[ET.Element]] = defaultdict(list)
    for case in ET.parse(results).iter("testcase"):
        cases[case.get("name", "").partition("[")[0]].append(case)
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    yield f"{datetime.now(UTC):%Y-%m-%d}, {machine}.\n\n"
    yield "| fault | times | held | seconds |\n|---|---|---|---|\n"
    for name, found in cases.items():
        bad = sum(any(child.tag in ("failure", "error") for child in case) for case in found)
        words = name.removeprefix("test_").replace("_", " ")
        seconds = sum(float(case.get("time", 0)) for case in found)
        yield f"| {words} | {len(found)} | {len(found) - bad} | {seconds:.0f} |\n"


def main(results: Path) -> None:
    """Put the table into the page."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(before + _BEGIN + "".join(table(results)) + _END + after)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
