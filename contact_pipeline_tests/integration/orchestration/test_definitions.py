import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
from dagster import DefaultScheduleStatus, DefaultSensorStatus

from contact_pipeline.definitions import defs

ROOT = Path(__file__).parents[3]
_SHOW_INSTANCE = """
from dagster import DagsterInstance
instance = DagsterInstance.get()
print(type(instance.run_storage).__name__, type(instance.run_coordinator).__name__)
print(instance.run_retries_max_retries, instance.run_monitoring_max_resume_run_attempts)
"""


def test_what_dagster_finds():
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "uploaded_objects", "failed_runs", "cancelled_runs", "reconcile_imports",
    }  # fmt: skip
    assert all(sensor.default_status is DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "backfill_unfinished_imports", "expire_uploads",
    }  # fmt: skip
    assert all(schedule.default_status is DefaultScheduleStatus.RUNNING for schedule in repository.schedule_defs)


def test_the_job_is_partitioned_by_upload_and_runs_in_one_process():
    job = defs.resolve_job_def("import_contacts")
    assert isinstance(job.partitions_def, dg.DynamicPartitionsDefinition)
    assert job.executor_def.name == "in_process"
    assert job.tags["dagster/retry_strategy"] == "ALL_STEPS"
    graph = job.graph.node_dict["contacts"].definition
    assert isinstance(graph, dg.GraphDefinition)
    assert [node.name for node in graph.nodes_in_topological_order] == [
        "open_upload", "load_chunks", "verify_import", "publish_import",
    ]  # fmt: skip


def test_no_op_retries_itself():
    # With the in-process executor a terminated run would go on (dagster#15026).
    job = defs.resolve_job_def("import_contacts")
    graph = job.graph.node_dict["contacts"].definition
    assert isinstance(graph, dg.GraphDefinition)
    assert graph.nodes
    for node in graph.nodes:
        assert isinstance(node.definition, dg.OpDefinition)
        assert node.definition.retry_policy is None


@pytest.mark.parametrize("profile", [ROOT / "dagster.yaml", files("contact_pipeline.stack") / "dagster.yaml"])
def test_both_profiles_load(profile, stack, tmp_path):
    (tmp_path / "dagster.yaml").write_text(Path(str(profile)).read_text())
    url = stack.dagster_database_url
    user_and_password, host_and_database = url.split("://")[1].rsplit("@", 1)
    user, password = user_and_password.split(":")
    host_and_port, name = host_and_database.split("/")
    port = host_and_port.split(":")[1]
    if "port: 5432" in (text := (tmp_path / "dagster.yaml").read_text()):
        (tmp_path / "dagster.yaml").write_text(text.replace("port: 5432", f"port: {port}"))
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW_INSTANCE],
        env={
            **os.environ,
            "DAGSTER_HOME": str(tmp_path),
            "CONTACT_PIPELINE_DAGSTER_DATABASE_URL": url,
            "CONTACT_PIPELINE_LOGS_BUCKET": "logs",
            "DAGSTER_PG_USER": user,
            "DAGSTER_PG_PASSWORD": password,
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_DB": name,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert shown.stdout.split() == ["PostgresRunStorage", "ImportRunCoordinator", "2", "0"]


def test_the_workspace_of_a_deployment_loads_from_a_clone(tmp_path):
    (tmp_path / "dagster.yaml").touch()
    checked = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr[-2000:]
