"""The docs say what the code does: the reference is made from it, links lead somewhere, old names are gone."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# Names that the glossary has other words for.
FORMER = (
    "NotTheOwner", "keep_total", "CalledOff", "HeldUp", "Wishes", "Wrapping", "Habits", "Oddities",
    "rehearsal", "Sketch", "Following", "Callers", "Refusal", "misfits", "warehouse", "dressings",
    "most_parts", "most_open", "broken_by_width",
)  # fmt: skip


def generated() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer: dict[str, str] = module.pages()
    return answer


@pytest.mark.parametrize("page", ["fields.md", "settings.md", "options.md", "codes.md", "command-line.md", "api.md"])
def test_the_reference_is_what_the_code_says(page):
    assert (DOCS / "reference" / page).read_text(encoding="utf-8") == generated()[page], "run `make docs`"


def test_the_site_builds_strictly(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "site" / "index.html").exists()


def test_files_that_the_readme_and_contributing_name_are_there():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), f"{page} names {target}"
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("folder", ["contact_pipeline", "benchmarks"])
def test_former_names_are_gone(folder):
    found = [
        (path.name, name)
        for path in (ROOT / folder).rglob("*.py")
        if "versions" not in path.parts
        for name in FORMER
        if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_command_in_the_docs_is_one():
    commands = set(
        re.findall(r"^## (\S+)$", (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    named = {
        name
        for page in pages
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for name in re.findall(r"^\$ contact-pipeline (\S+)", block, re.MULTILINE)
    }
    assert named
    assert named <= commands
