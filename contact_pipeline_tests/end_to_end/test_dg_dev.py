"""A developer's Dagster: `dg dev` in a clone, beside servers that `up --without-dagster` has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from contact_pipeline.client import UploadClient
from contact_pipeline.database import postgres, queries
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control
from contact_pipeline.stack.dagster_servers import location_loaded
from contact_pipeline.stack.home import Home, free_ports
from contact_pipeline_tests.running import eventually, independent_counts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Home, Settings]]:
    """Servers without Dagster."""
    home = Home(tmp_path / "home")
    try:
        yield home, control.up(home, lambda _: None, dagster=False)
    finally:
        control.down(home, lambda _: None)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What Dagster looks at in a clone; the code itself is the one that is tested."""
    place = tmp_path / "clone"
    place.mkdir()
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml", "contact_pipeline"):
        (place / name).symlink_to(ROOT / name)
    return place


def test_dg_dev_imports_what_is_uploaded(servers, clone, tmp_path):
    home, settings = servers
    assert not control.status(home)["processes"].keys() & {"dagster-code", "dagster-daemon", "dagster-webserver"}
    told = subprocess.run(
        [sys.executable, "-m", "contact_pipeline.cli.main", "env", "--home", str(home.path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (clone / ".env").write_text(told.stdout)
    (port,) = free_ports(1)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CONTACT_PIPELINE", "DAGSTER"))}
    with (tmp_path / "dg.log").open("wb") as log:
        developing = subprocess.Popen(
            [Path(sys.executable).with_name("dg"), "dev", "--port", str(port)],
            cwd=clone, env={**clean, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            eventually(lambda: location_loaded(f"http://127.0.0.1:{port}"), 120)
            path = tmp_path / "people.csv"
            sample_files.write(path, 3_000, "A9", seed=5, dirty=0.02)
            with closing(UploadClient(settings.api_url, settings.api_token.get_secret_value())) as client:
                upload_id = client.upload(path, lambda _: None)
                eventually(lambda: client.progress(upload_id)["phase"] == "finished", 120)
        finally:
            started = [developing, *psutil.Process(developing.pid).children(recursive=True)]
            developing.send_signal(signal.SIGINT)
            developing.wait(60)
    with closing(postgres.connect(settings.database_url)) as connection:
        record = queries.find(connection, upload_id)
        assert record is not None
        assert (record.state, record.inserted, record.rejected) == ("succeeded", *independent_counts(path))
    # A code server that was not told ends when it has heard nothing for half a minute.
    _, alive = psutil.wait_procs([one for one in started if isinstance(one, psutil.Process)], timeout=90)
    assert alive == []
