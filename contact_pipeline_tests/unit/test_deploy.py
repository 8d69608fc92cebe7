"""The files of deploy/: they agree with each other and with the code, also those that nothing here can run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

SERVICES = ("code", "webserver", "daemon", "api")

OTHERS = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CELERY_BROKER_URL", "CONTACT_PIPELINE_CODE_HOST",
    "CONTACT_PIPELINE_IMAGE", "CONTACT_PIPELINE_NAMESPACE", "DAGSTER_HOME", "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
}  # fmt: skip
"""Variables that are no settings of ours: of boto3, Celery, Dagster and Polars, and those that our yaml files read."""


def unit_command(name: str) -> list[str]:
    """What systemd starts, for any address and port."""
    text = (DEPLOY / "systemd" / f"contact-pipeline-{name}.service").read_text()
    (line,) = re.findall(r"^ExecStart=/opt/contact-pipeline/bin/(.*)$", text, re.MULTILINE)
    return shlex.split(line)


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return loaded


def written_variables(text: str) -> set[str]:
    return set(re.findall(r"^([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))


def test_variables_are_settings():
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHERS
    assert written_variables((DEPLOY / "env.example").read_text()) <= known
    services = compose()["services"]
    for name in (*SERVICES, "migrate"):
        assert set(services[name]["environment"]) <= known
    for way, given in (("", "env.example"), ("celery/", "env.example")):
        read = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / f"{way}dagster.yaml").read_text()))
        assert read <= written_variables((DEPLOY / given).read_text())
    assert set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text())) <= set(
        services["code"]["environment"]
    )
    needed = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert needed <= written_variables((DEPLOY / "env.example").read_text())
    assert needed <= set(services["api"]["environment"])


def test_compose_starts_what_systemd_starts():
    services = compose()["services"]
    for name in SERVICES:
        assert [word.replace("0.0.0.0", "127.0.0.1") for word in services[name]["command"]] == unit_command(name)
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert re.search(r":\d", service["image"]), f"{name}: which version?"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: open to everybody"
    used = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "compose" / "compose.yaml").read_text()))
    assert used == written_variables((DEPLOY / "compose" / "env.example").read_text())


def test_kubernetes_starts_what_systemd_starts():
    manifests = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "services.yaml").read_text()))
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["command"]
        for one in manifests
        if one["kind"] == "Deployment"
    }
    assert set(found) == set(SERVICES)
    for name in ("webserver", "daemon", "api"):
        assert [word.replace("0.0.0.0", "127.0.0.1") for word in found[name]] == unit_command(name)
    # Its runs are Jobs: nothing is forked.
    assert found["code"][:3] == ["dagster", "api", "grpc"]
    assert found["code"][3:] == [word.replace("127.0.0.1", "0.0.0.0") for word in unit_command("code")[3:]]


@pytest.mark.parametrize("way", ["celery", "kubernetes"])
def test_each_dagster_yaml_differs_by_its_launcher_only(way):
    base = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    other = yaml.safe_load((DEPLOY / way / "dagster.yaml").read_text())
    assert other.pop("run_launcher")["module"].startswith("dagster_")
    for one in (base, other):
        one["run_monitoring"].pop("start_timeout_seconds")
    assert other == base


def test_the_image_is_made_of_what_is_there():
    text = (DEPLOY / "Dockerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in sources:
        assert (ROOT / source).exists()
        assert source in let_in


def test_the_bucket_is_prepared_as_the_stack_prepares_its_own():
    asked: dict[str, Any] = {}

    class S3:
        def put_bucket_cors(self, **given: Any) -> None:
            asked["cors"] = given["CORSConfiguration"]

        def put_bucket_lifecycle_configuration(self, **given: Any) -> None:
            asked["lifecycle"] = given["LifecycleConfiguration"]

    store = ObjectStore(S3(), "bucket")  # type: ignore[arg-type]
    store.allow_browsers()
    store.abort_given_up_uploads(8)
    assert yaml.safe_load((DEPLOY / "s3" / "cors.json").read_text()) == asked["cors"]
    rules = yaml.safe_load((DEPLOY / "s3" / "lifecycle.json").read_text())["Rules"]
    assert asked["lifecycle"]["Rules"][0] in rules


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path):
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text().replace("/opt/contact-pipeline/bin", str(Path(sys.executable).parent))
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *tmp_path.iterdir()], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ours = [line for line in done.stderr.splitlines() if "contact-pipeline" in line]
    assert ours == []
