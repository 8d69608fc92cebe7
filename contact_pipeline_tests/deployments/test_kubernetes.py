"""Dagster's own K8sRunLauncher, against an API server that runs Jobs as processes, evicts and kills them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

import kubernetes_validate
import pytest
import yaml

from contact_pipeline.orchestration.kubernetes import CONFIG_TAG
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.deployments.cluster import Cluster
from contact_pipeline_tests.deployments.serving import DEPLOY, Deployment
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import Importer, eventually

HOME = "/var/lib/contact-pipeline/dagster"


class Deployed(NamedTuple):
    services: Deployment
    cluster: Cluster


@pytest.fixture
def deployed(deploy: Callable[..., Deployment]) -> Iterator[Deployed]:
    """The services, whose runs a cluster runs."""
    made = deploy(CONTACT_PIPELINE_IMAGE="contact-pipeline:0.1.0", CONTACT_PIPELINE_NAMESPACE="contacts")
    ours = ("CONTACT_PIPELINE_", "AWS_", "POLARS_", "PYTHONUNBUFFERED")
    secret = {name: value for name, value in made.environment.items() if name.startswith(ours)}
    cluster = Cluster(made.folder, {"contact-pipeline": secret}, {HOME: str(made.home)})
    try:
        outside = (
            f"config:\n    load_incluster_config: false\n    kubeconfig_file: {cluster.kubeconfig}\n    job_namespace"
        )
        made.prepare("kubernetes/dagster.yaml", {"config:\n    job_namespace": outside})
        made.start_services()
        yield Deployed(made, cluster)
    finally:
        cluster.close()


def test_each_manifest_is_valid():
    for name in ("access.yaml", "services.yaml"):
        for manifest in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()):
            kubernetes_validate.validate(manifest, "1.31", strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_manifests_are_valid_and_name_what_they_need():
    made = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True)
    manifests = list(yaml.safe_load_all(made.stdout))
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.31", strict=True)
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    assert names >= {("Deployment", name) for name in ("api", "code", "daemon", "webserver")}
    launcher = yaml.safe_load((DEPLOY / "kubernetes" / "dagster.yaml").read_text())["run_launcher"]["config"]
    assert ("ServiceAccount", launcher["service_account_name"]) in names
    pods = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] in {"Deployment", "Job"}]
    for pod in pods:
        assert ("ServiceAccount", pod.get("serviceAccountName", "contact-pipeline")) in names
        for volume in pod["volumes"]:
            assert ("ConfigMap", volume["configMap"]["name"]) in names
        for container in (*pod["containers"], *pod["initContainers"]):
            assert container["image"] == "contact-pipeline:0.1.0"
            given = {one["name"]: one.get("value") for one in container["env"]}
            assert given["CONTACT_PIPELINE_IMAGE"] == container["image"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_files_are_imported_as_on_a_laptop_with_memory_by_their_format(deployed, importer: Importer, tmp_path):
    services, cluster = deployed
    small, book = tmp_path / "small.csv", tmp_path / "book.xlsx"
    sample_files.write(small, 2_000, "A9", seed=1, dirty=0.02)
    sample_files.write(book, 2_000, "A9", seed=2)
    made = services.import_as_on_a_laptop(importer, (small, book))
    for upload_id, path in made.items():
        (run,) = services.dagster.runs(upload_id)
        given = cluster.of_run(run["runId"]).container["resources"]
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        assert given == json.loads(tags[CONFIG_TAG])["container_config"]["resources"]
        assert given["requests"]["memory"] == ("1Gi" if path is book else "448Mi")
    _was_allowed(cluster)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reason", ["OOMKilled", "Evicted"])
def test_a_pod_that_is_killed_costs_its_import_a_launch(deployed, long_file, reason):
    services, cluster = deployed
    upload_id = services.mid_import(long_file)
    run_id = services.only_run(upload_id)
    cluster.kill(run_id, reason)
    record = services.wait(upload_id, seconds=400)
    assert record.attempt == 2
    invariants.check(services.settings, services.store, {upload_id: long_file}, None)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_drained_node_hands_the_import_on(deployed, long_file):
    services, cluster = deployed
    upload_id = services.mid_import(long_file)
    run_id = services.only_run(upload_id)
    cluster.delete(f"dagster-run-{run_id}")
    record = services.wait(upload_id)
    assert record.attempt == 2
    first = services.dagster.runs(upload_id)[-1]
    assert "shut down" in {tag["key"]: tag["value"] for tag in first["tags"]}["contact_pipeline/cause"]
    invariants.check(services.settings, services.store, {upload_id: long_file}, None)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_terminate_cancels_the_import_and_ends_its_pod(deployed, long_file):
    services, cluster = deployed
    upload_id = services.mid_import(long_file)
    run_id = services.only_run(upload_id)
    assert services.dagster.terminate(run_id) == "TerminateRunSuccess"
    assert services.find(upload_id).state == "cancelled"
    cluster.of_run(run_id).process.wait(60)
    eventually(lambda: services.dagster.status(run_id) == "CANCELED", 60)
    services.dagster.reexecute(run_id)
    services.wait(upload_id)
    _was_allowed(cluster)
    invariants.check(services.settings, services.store, {upload_id: long_file}, None)


def _was_allowed(cluster: Cluster) -> None:
    """What Dagster has asked of the API is what the Role lets it do."""
    (role,) = (
        one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "access.yaml").read_text()) if one["kind"] == "Role"
    )
    allowed = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert cluster.asked
    assert cluster.asked <= allowed
