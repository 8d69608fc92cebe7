"""A deployment: the processes that the units of deploy/systemd start, as systemd starts them, on servers given."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from contact_pipeline.client import UploadClient
from contact_pipeline.database import postgres, queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import control, dagster_servers
from contact_pipeline.stack.home import free_ports
from contact_pipeline.stack.programs import http_answers
from contact_pipeline.stack.servers import settings_environment
from contact_pipeline_tests.running import Dagster, Importer, content, eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAMS = Path(sys.executable).parent
SERVICES = ("code", "webserver", "daemon", "api")


def celery_url(settings: Settings) -> str:
    """The second database of the stack's Valkey."""
    return settings.redis_url.rsplit("/", 1)[0] + "/1"


@dataclass
class Deployment:
    """Processes of a deployment, in a folder of their own."""

    folder: Path
    settings: Settings
    """Of the servers; `api_url`, `dagster_url` and the databases are the deployment's own."""
    environment: dict[str, str] = field(default_factory=dict)
    running: dict[str, psutil.Popen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = dict(zip(("3000", "4000", "8000"), map(str, free_ports(3)), strict=True))
        ours = {
            "api_url": f"http://127.0.0.1:{self.ports['8000']}",
            "dagster_url": f"http://127.0.0.1:{self.ports['3000']}",
        }
        self.settings = self.settings.model_copy(update=ours)
        self.home = self.folder / "dagster"
        self.workspace = self.home / "workspace.yaml"
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONTACT_PIPELINE_", "DAGSTER_", "CELERY_", "AWS_"))
        }
        secret = self.settings.s3_secret_access_key
        assert self.settings.s3_access_key_id is not None
        assert secret is not None
        (self.folder / "tmp").mkdir()
        self.environment = {
            **clean,
            **settings_environment(self.settings),
            "AWS_ACCESS_KEY_ID": self.settings.s3_access_key_id,
            "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
            "CELERY_BROKER_URL": celery_url(self.settings),
            "CONTACT_PIPELINE_CODE_HOST": "127.0.0.1",
            "DAGSTER_HOME": str(self.home),
            "POLARS_MAX_THREADS": "2",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder / "tmp"),
            **self.environment,
        }

    def prepare(self, dagster_yaml: str, replaced: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make databases, bucket and $DAGSTER_HOME.

        Args:
            replaced: texts of the dagster.yaml that are others here.
        """
        control._prepare_storage(self.settings, lambda _: None)
        self.home.mkdir()
        self._write("workspace.yaml", (DEPLOY / "workspace.yaml").read_text().replace("4000", self.ports["4000"]))
        text = (DEPLOY / dagster_yaml).read_text()
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        self._write("dagster.yaml", text)
        control._prepare_dagster(self.settings, self.environment, lambda _: None)

    def _write(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)

    def as_written(self, environment: Mapping[str, str], workspace: Path) -> None:
        """Run everything with this environment, and nothing else."""
        self.environment = {"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp"), **environment}
        self.workspace = workspace

    def start(self, unit: str, name: str | None = None) -> psutil.Popen:
        """Start what a unit of systemd starts."""
        text = (DEPLOY / "systemd" / f"contact-pipeline-{unit}.service").read_text()
        found = re.search(r"^ExecStart=/opt/contact-pipeline/bin/(.*)$", text, re.MULTILINE)
        assert found is not None
        command = found[1].replace("/etc/contact-pipeline/workspace.yaml", str(self.workspace))
        program, *arguments = [self.ports.get(word, word) for word in shlex.split(command)]
        name = name or unit
        with (self.folder / f"{name}.log").open("ab") as log:
            process = psutil.Popen(
                [PROGRAMS / program, *arguments], env=self.environment, cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.running[name] = process
        return process

    def start_services(self) -> None:
        """Start everything but workers, and wait until it answers."""
        for unit in SERVICES:
            self.start(unit)
        eventually(lambda: http_answers(f"{self.settings.api_url}/ready"), 120)
        eventually(lambda: dagster_servers.location_loaded(self.settings.dagster_url), 120)

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.folder / f"{name}.log").read_text()

    def runs(self, *workers: str) -> list[psutil.Process]:
        """The processes that workers run something in: their pool's, of which each runs one thing."""
        found = []
        for worker in workers:
            process = self.running[worker]
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found += process.children()
        return found

    def stop(self) -> None:
        """End all processes, and whatever they have started."""
        started = [
            one
            for process in self.running.values()
            if process.is_running()
            for one in (process, *process.children(recursive=True))
        ]
        for process in self.running.values():
            if process.is_running():
                process.terminate()
        _, alive = psutil.wait_procs(started, timeout=60)
        for one in alive:
            one.kill()
        psutil.wait_procs(alive, timeout=20)
        self.running.clear()

    @property
    def dagster(self) -> Dagster:
        """The deployment's webserver."""
        return Dagster(self.settings.dagster_url)

    @property
    def store(self) -> ObjectStore:
        """The deployment's bucket."""
        return ObjectStore.from_settings(self.settings)

    def connect(self) -> Connection:
        """A connection to the deployment's database."""
        return postgres.connect(self.settings.database_url)

    def upload(self, path: Path, **options: Any) -> str:
        """Upload a file; returns its id."""
        token = self.settings.api_token.get_secret_value()
        with closing(UploadClient(self.settings.api_url, token)) as client:
            return client.upload(path, lambda _: None, options)

    def find(self, upload_id: str) -> ImportRecord | None:
        """The import as it is now."""
        with closing(self.connect()) as connection:
            return queries.find(connection, upload_id)

    def chunks(self, upload_id: str) -> int:
        """Committed chunks of an import."""
        with closing(self.connect()) as connection:
            return queries.totals(connection, upload_id).chunks

    def wait(self, upload_id: str, state: str = "succeeded", seconds: float = 240) -> ImportRecord:
        """Wait for a state; returns the import."""

        def reached() -> ImportRecord | None:
            record = self.find(upload_id)
            return record if record is not None and record.state == state else None

        answer: ImportRecord = eventually(reached, seconds, step=0.3)
        return answer

    def mid_import(self, path: Path) -> str:
        """Upload a file, and wait until its import is under way; returns its id."""
        upload_id = self.upload(path)
        eventually(lambda: self.chunks(upload_id) >= 2, 120, step=0.02)
        return upload_id

    def only_run(self, upload_id: str) -> str:
        """The id of the one run that an import has had."""
        (run,) = self.dagster.runs(upload_id)
        answer: str = run["runId"]
        return answer

    def import_as_on_a_laptop(self, importer: Importer, paths: Iterable[Path]) -> dict[str, Path]:
        """Upload files, wait for the one run of each, and import them by `importer` too; returns the files by id."""
        made = {self.upload(path): path for path in paths}
        for upload_id, path in made.items():
            record = self.wait(upload_id)
            importer.run(path, record.uploaded_at)
            run_id = self.only_run(upload_id)
            eventually(lambda: self.dagster.status(run_id) == "SUCCESS")  # noqa: B023 - it is over before the next
        with closing(self.connect()) as connection:
            assert content(connection) == content(importer.connection)
        return made
