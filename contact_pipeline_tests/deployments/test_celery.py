"""Dagster's runs by Celery, on two workers that are killed, terminated, restarted, and told the same thing twice."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest
import redis

from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.deployments.serving import Deployment, celery_url
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import Importer, content, eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
def deployed(deploy: Callable[..., Deployment]) -> Deployment:
    """A deployment with two workers."""
    made = deploy()
    made.prepare("celery/dagster.yaml")
    made.start_services()
    for name in ("one", "two"):
        made.start("worker", name)
    return made


def worker_of(deployed: Deployment, upload_id: str) -> str:
    """The worker that runs an import."""
    data = deployed.dagster.ask(
        """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
               ... on MessageEvent { message } } } } }""",
        id=deployed.dagster.runs(upload_id)[0]["runId"],
    )
    told = " ".join(event.get("message", "") for event in data["logsForRun"]["events"])
    pid = int(re.search(r"Started process for run \(pid: (\d+)\)", told)[1])
    return next(name for name in ("one", "two") if pid in {child.pid for child in deployed.runs(name)})


def test_ten_files_are_imported_as_on_a_laptop(deployed, importer: Importer, tmp_path):
    paths = [tmp_path / f"{number}.csv" for number in range(10)]
    for number, path in enumerate(paths):
        sample_files.write(path, 2_000, "A9", seed=number, dirty=0.02)
    made = deployed.import_as_on_a_laptop(importer, paths)
    invariants.check(deployed.settings, deployed.store, made, content(importer.connection))


def test_a_worker_that_is_killed_costs_its_import_a_launch(deployed, long_file):
    upload_id = deployed.mid_import(long_file)
    deployed.running[worker_of(deployed, upload_id)].kill()
    record = deployed.wait(upload_id)
    assert record.attempt == 2
    invariants.check(deployed.settings, deployed.store, {upload_id: long_file}, None)


def test_a_worker_that_is_stopped_hands_its_import_on(deployed, long_file):
    upload_id = deployed.mid_import(long_file)
    stopped = worker_of(deployed, upload_id)
    deployed.running[stopped].send_signal(signal.SIGTERM)
    assert deployed.running[stopped].wait(60) == 0
    record = deployed.wait(upload_id)
    assert record.attempt == 2
    first = deployed.dagster.runs(upload_id)[-1]
    assert "shut down" in {tag["key"]: tag["value"] for tag in first["tags"]}["contact_pipeline/cause"]
    invariants.check(deployed.settings, deployed.store, {upload_id: long_file}, None)


def test_terminate_cancels_the_import_and_ends_its_process(deployed, long_file):
    upload_id = deployed.mid_import(long_file)
    run_id = deployed.only_run(upload_id)
    assert deployed.dagster.terminate(run_id) == "TerminateRunSuccess"
    assert deployed.find(upload_id).state == "cancelled"
    eventually(lambda: deployed.dagster.status(run_id) == "CANCELED", 60)
    frozen = deployed.chunks(upload_id)
    # Whoever is free takes the next one.
    small = long_file.with_name("small.csv")
    sample_files.write(small, 500, "A9", seed=3)
    deployed.wait(deployed.upload(small))
    assert (deployed.find(upload_id).state, deployed.chunks(upload_id)) == ("cancelled", frozen)
    deployed.dagster.reexecute(run_id)
    record = deployed.wait(upload_id)
    assert record.attempt == 2
    invariants.check(deployed.settings, deployed.store, {upload_id: long_file}, None)


def test_a_run_that_is_delivered_twice_is_run_once(deployed, long_file):
    broker = redis.Redis.from_url(celery_url(deployed.settings))
    for name in ("one", "two"):
        deployed.running[name].terminate()
        deployed.running[name].wait(60)
    upload_id = deployed.upload(long_file)
    eventually(lambda: broker.llen("dagster"), 60)
    (message,) = broker.lrange("dagster", 0, -1)
    deployed.start("worker", "one")
    eventually(lambda: deployed.chunks(upload_id) >= 2, 120, step=0.02)
    broker.rpush("dagster", message)
    deployed.start("worker", "two")
    eventually(lambda: "delivered again" in deployed.log("one") + deployed.log("two"), 60)
    record = deployed.wait(upload_id)
    assert record.attempt == 1
    broker.rpush("dagster", message)
    eventually(lambda: (deployed.log("one") + deployed.log("two")).count("delivered again") == 2, 60)
    run_id = deployed.only_run(upload_id)
    eventually(lambda: deployed.dagster.status(run_id) == "SUCCESS")
    invariants.check(deployed.settings, deployed.store, {upload_id: long_file}, None)
