"""What whoever watches the service is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from contact_pipeline_tests.uploading import problem

ROOT = Path(__file__).parents[3]


def test_ready_names_the_server_that_is_away(serve):
    sound = serve().get("/ready")
    assert (sound.status_code, sound.json()) == (
        200, {"ready": True, "servers": {"postgres": True, "redis": True, "s3": True}},
    )  # fmt: skip
    without_redis = serve(redis_url="redis://127.0.0.1:1/0").get("/ready")
    assert (without_redis.status_code, without_redis.json()["servers"]) == (
        503, {"postgres": True, "redis": False, "s3": True},
    )  # fmt: skip
    without_bucket = serve(s3_bucket="nowhere").get("/ready")
    assert without_bucket.json()["servers"] == {"postgres": True, "redis": True, "s3": False}


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana-dashboard.json"])
def test_alerts_and_dashboard_ask_for_metrics_that_there_are(service, token, name):
    text = (ROOT / "deploy" / name).read_text()
    yaml.safe_load(text)  # of which JSON is a part
    wanted = set(re.findall(r"contact_pipeline_[a-z_]+", text))
    shown = service.get("/metrics", headers=token("boss", "operator")).text
    there = set(re.findall(r"^# TYPE (\w+) ", shown, re.MULTILINE))
    assert wanted
    assert wanted <= there


def test_metrics_are_the_ledgers_numbers_and_for_operators(service, token, importer, write_csv):
    importer.run(write_csv("Email,First Name\nann@secret.example,Ann\nnobody,Bob\n"))
    waiting = importer.register(write_csv("Email\nx@y.example\n"))
    answer = service.get("/metrics", headers=token("boss", "operator"))
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    for line in (
        'contact_pipeline_imports{state="succeeded"} 1.0',
        'contact_pipeline_imports{state="queued"} 1.0',
        'contact_pipeline_imports{state="failed"} 0.0',
        'contact_pipeline_rows{outcome="inserted"} 1.0',
        'contact_pipeline_rejected_rows_of_the_day{code="invalid_email"} 1.0',
        "contact_pipeline_due_launches 1.0",
    ):
        assert line in lines
    assert any(line.startswith("contact_pipeline_oldest_queued_import_seconds ") for line in lines)
    assert any(line.startswith('contact_pipeline_answers_total{status="200"}') for line in lines)
    assert not any(word in answer.text for word in ("secret", "Ann", "tester", waiting))
    assert problem(service.get("/metrics", headers=token("ada"))) == (403, "operator_only")
    assert problem(service.get("/metrics")) == (401, "unauthorized")
