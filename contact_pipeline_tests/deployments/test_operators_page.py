"""The operator's page, followed word by word: Debian's PostgreSQL and Redis, an S3 server of its own, our units.

Its commands are run by bash as they stand. Stand-ins: `sudo` becomes nobody, `aws` is boto3, `systemctl` notes what it
is to start, and that is started here as systemd does it. Paths of the system lie in the test's folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from contact_pipeline.client import UploadClient
from contact_pipeline.database import postgres
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.samples import files as sample_files
from contact_pipeline.settings import Settings
from contact_pipeline.stack import dagster_servers, storage_servers
from contact_pipeline.stack.home import free_ports
from contact_pipeline_tests.deployments.serving import PROGRAMS, SERVICES, Deployment
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import Importer, answers, content, eventually

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "run-in-production.md"
POSTGRES = Path("/usr/lib/postgresql/15/bin")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not POSTGRES.exists() or shutil.which("redis-server") is None, reason="Debian's postgresql-15 and redis-server"
    ),
]

NOT_RUN_HERE = {
    "sudo useradd --system --home-dir /var/lib/contact-pipeline contact-pipeline": "it changes the machine",
    "sudo python3 -m venv /opt/contact-pipeline": "the tests' own environment is taken",
    "sudo /opt/contact-pipeline/bin/pip install -c constraints.txt .": "the tests' own environment is taken",
}

_SUDO = """#!/usr/bin/env bash
if [ "$1" = -u ]; then shift 2; fi
program=$1; shift
# There is no such user or group on this machine.
arguments=()
while [ $# -gt 0 ]; do
    case "$1" in -o | -g) shift 2 ;; *) arguments+=("$1"); shift ;; esac
done
exec "$program" "${arguments[@]}"
"""

_AWS = """#!{python}
import json, os, sys
import boto3
words = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=os.environ["OWN_S3"], region_name="us-east-1")
given = lambda name: words[words.index(name) + 1]
said = lambda name: json.load(open(given(name).removeprefix("file://")))
if words[:2] == ["s3", "mb"]:
    s3.create_bucket(Bucket=words[2].removeprefix("s3://"))
elif words[1] == "put-bucket-cors":
    s3.put_bucket_cors(Bucket=given("--bucket"), CORSConfiguration=said("--cors-configuration"))
elif words[1] == "put-bucket-lifecycle-configuration":
    s3.put_bucket_lifecycle_configuration(
        Bucket=given("--bucket"), LifecycleConfiguration=said("--lifecycle-configuration")
    )
else:
    sys.exit("what is this? " + " ".join(words))
"""


@dataclass
class Machine:
    """Where the servers of the operator's machine are."""

    folder: Path
    postgres_port: int
    redis_port: int
    s3: Settings

    @property
    def environment(self) -> dict[str, str]:
        """What a shell of the operator has."""
        secret = self.s3.s3_secret_access_key
        assert secret is not None
        return {
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:{POSTGRES}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres_port),
            "PGUSER": "postgres",
            "OWN_S3": str(self.s3.s3_endpoint_url),
            "AWS_ACCESS_KEY_ID": str(self.s3.s3_access_key_id),
            "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
        }

    def run(self, commands: list[str], **more: str) -> str:
        """Run commands by one bash, as they stand but for their paths; returns what they print."""
        script = "\n".join(["set -euo pipefail", *(self.here(command) for command in commands)])
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env={**self.environment, **more}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def here(self, text: str) -> str:
        """A text with the system's paths made the test's."""
        text = text.replace("/opt/contact-pipeline/bin/", f"{PROGRAMS}/")
        return re.sub(r"(?<![\w/])/(etc|var)/", rf"{self.folder}/\1/", text)


@pytest.fixture
def machine(servers: Settings, tmp_path: Path) -> Iterator[Machine]:
    """Debian's PostgreSQL and Redis, and the stand-ins."""
    postgres_port, redis_port = free_ports(2)
    made = Machine(tmp_path, postgres_port, redis_port, servers)
    (tmp_path / "bin").mkdir()
    for name, text in (
        ("sudo", _SUDO),
        ("aws", _AWS.replace("{python}", sys.executable)),
        ("systemctl", f'#!/bin/sh\necho "$@" >> {tmp_path}/systemctl\n'),
    ):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for place in ("etc/systemd/system", "var/lib/contact-pipeline"):
        (tmp_path / place).mkdir(parents=True)
    # The servers came with a bucket of that name.
    store = ObjectStore.from_settings(servers)
    store.s3.delete_bucket(Bucket=store.bucket)
    as_ordinary = storage_servers._as_ordinary_user()
    data = tmp_path / "data"
    subprocess.run(
        [*as_ordinary, POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--locale=C.UTF-8"],
        check=True, capture_output=True,
    )  # fmt: skip
    log = (tmp_path / "servers.log").open("wb")
    running = [
        subprocess.Popen(command, stdout=log, stderr=log)
        for command in (
            [
                *as_ordinary,
                str(POSTGRES / "postgres"),
                "-D",
                str(data),
                "-p",
                str(made.postgres_port),
                "-k",
                str(tmp_path),
            ],
            ["redis-server", "--port", str(made.redis_port), "--dir", str(tmp_path), "--save", ""],
        )
    ]
    try:
        eventually(lambda: answers(f"postgresql://postgres@127.0.0.1:{made.postgres_port}/postgres"))
        yield made
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            process.wait(30)
        log.close()


def commands() -> list[str]:
    """What stands behind a `$` on the page, in order."""
    return re.findall(r"^\$ (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_leads_to_a_deployment_that_imports(machine, deploy: Callable[..., Deployment], importer: Importer):
    deployed = deploy()
    shown = [command for command in commands() if command not in NOT_RUN_HERE]
    assert NOT_RUN_HERE.keys() <= set(commands())
    filling = next(at for at, command in enumerate(shown) if "contact-pipeline migrate" in command)
    starting = next(at for at, command in enumerate(shown) if "enable --now" in command)
    machine.run(shown[:filling])

    # "Fill in /etc/contact-pipeline/env."
    place = machine.folder / "etc/contact-pipeline/env"
    filled = machine.here(place.read_text())
    for written, ours in {
        "127.0.0.1:5432": f"127.0.0.1:{machine.postgres_port}",
        "127.0.0.1:6379": f"127.0.0.1:{machine.redis_port}",
        "https://s3.eu-central-1.amazonaws.com": machine.environment["OWN_S3"],
        "=eu-central-1": "=us-east-1",
        "=KEY": f"={machine.environment['AWS_ACCESS_KEY_ID']}",
        "=SECRET": f"={machine.environment['AWS_SECRET_ACCESS_KEY']}",
        "https://contacts.example.com": deployed.settings.api_url,
        "https://dagster.example.com": deployed.settings.dagster_url,
    }.items():
        assert written in filled
        filled = filled.replace(written, ours)
    place.write_text(filled)
    workspace = machine.folder / "etc/contact-pipeline/workspace.yaml"
    workspace.write_text(workspace.read_text().replace("4000", deployed.ports["4000"]))

    machine.run(shown[filling : starting + 1])
    ordered = (machine.folder / "systemctl").read_text()
    _enable_for_boot(ordered.splitlines()[-1].split()[2:], machine.folder)
    environment = dict(line.split("=", 1) for line in filled.splitlines() if line and not line.startswith("#"))
    deployed.as_written(environment, workspace)
    for unit in SERVICES:
        deployed.start(unit)

    sample = machine.folder / "leads.csv"
    sample_files.write(sample, 12_000, "A9", seed=4, dirty=0.01)
    rest = [command.replace(":8000", f":{deployed.ports['8000']}") for command in shown[starting + 1 :]]
    waiting, creating = rest
    machine.run([waiting])
    # "put a proxy before both": from here on Dagster's webserver is asked too.
    eventually(lambda: dagster_servers.location_loaded(deployed.settings.dagster_url), 120)
    token = machine.run([creating]).split()[0]
    with closing(UploadClient(deployed.settings.api_url, token)) as client:
        upload_id = client.upload(sample, lambda _: None, {})
        eventually(lambda: client.progress(upload_id)["phase"] == "finished", 120)

    database_url = environment["CONTACT_PIPELINE_DATABASE_URL"]
    deployed.settings = deployed.settings.model_copy(
        update={
            "database_url": database_url, "redis_url": environment["CONTACT_PIPELINE_REDIS_URL"],
            "s3_bucket": "contact-pipeline",
        }
    )  # fmt: skip
    with closing(postgres.connect(database_url)) as connection:
        importer.run(sample)
        assert content(connection) == content(importer.connection)
    _stop_the_code_server(deployed, token, machine.folder)


def _enable_for_boot(units: list[str], folder: Path) -> None:
    """What `systemctl enable` makes of the units: they start with the machine."""
    assert set(units) == {f"contact-pipeline-{unit}" for unit in SERVICES}
    if shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", f"--root={folder}", "enable", *units], check=True, capture_output=True)
        wanted = {path.name for path in (folder / "etc/systemd/system/multi-user.target.wants").iterdir()}
        assert wanted == {f"{unit}.service" for unit in units}


def _stop_the_code_server(deployed: Deployment, token: str, folder: Path) -> None:
    """Runs that the code server had end after their chunk; their imports go on when it is back."""
    path = folder / "long.csv"
    sample_files.write(path, 150_000, "A9", seed=5)
    with closing(UploadClient(deployed.settings.api_url, token)) as client:
        upload_id = client.upload(path, lambda _: None, {})
    eventually(lambda: deployed.chunks(upload_id) >= 2, 120, step=0.02)
    code = deployed.running["code"]
    code.terminate()
    assert code.wait(60) == 0
    record = deployed.find(upload_id)
    assert record is not None
    assert record.state == "queued"
    loaded = deployed.chunks(upload_id)
    assert loaded < 15
    deployed.start("code")
    record = deployed.wait(upload_id)
    assert record.attempt == 2
    invariants.check(deployed.settings, deployed.store, {upload_id: path}, None)
