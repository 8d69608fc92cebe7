"""The wheel holds what an installation needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_module_and_no_test(tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(ROOT / "contact_pipeline", sources / "contact_pipeline")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(sources)],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "contact_pipeline").rglob("*.py")}
    data = {
        "contact_pipeline/stack/dagster.yaml",
        "contact_pipeline/database/migrations/script.py.mako",
        "contact_pipeline/py.typed",
    }
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "contact_pipeline/uploads/page").iterdir()}
    assert {"index.html", "app.js"} <= {Path(name).name for name in page}
    assert modules | data | page <= names
    assert not [name for name in names if name.startswith("contact_pipeline_tests")]
