"""A cluster as far as Dagster's K8sRunLauncher can tell: Kubernetes' API on loopback, whose Jobs are processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

from contact_pipeline_tests.deployments.serving import PROGRAMS

_VERSION = "1.31"


@dataclass
class Pod:
    """A Job and the one pod of it."""

    job: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: Path
    reason: str = ""

    @property
    def name(self) -> str:
        answer: str = self.job["metadata"]["name"]
        return answer

    @property
    def container(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.job["spec"]["template"]["spec"]["containers"][0]
        return answer

    def job_status(self) -> dict[str, Any]:
        code = self.process.poll()
        return {"active": 1} if code is None else {"failed": 1} if code else {"succeeded": 1}

    def described(self) -> dict[str, Any]:
        code = self.process.poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": abs(code), "reason": self.reason}}
        phase = "Running" if code is None else "Failed" if code else "Succeeded"
        status = {"name": self.container["name"], "ready": code is None, "restartCount": 0, "image": "", "imageID": ""}
        return {
            "metadata": {"name": self.name, "labels": {"job-name": self.name}},
            "spec": self.job["spec"]["template"]["spec"],
            "status": {"phase": phase, "containerStatuses": [{**status, "state": state}]},
        }


@dataclass
class Cluster:
    """The API server, and the processes of its Jobs."""

    folder: Path
    secrets: Mapping[str, Mapping[str, str]]
    files: Mapping[str, str]
    """Mounted paths, and where they are here: they are replaced in the environment of a container."""
    pods: dict[str, Pod] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Resources and verbs, as a Role names them."""

    def __post_init__(self) -> None:
        cluster = self

        class Handler(_Handler):
            its = cluster

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.kubeconfig = self.folder / "kubeconfig.yaml"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "clusters": [
                        {"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}
                    ],
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "dagster"}}],
                    "users": [{"name": "dagster", "user": {}}],
                }
            )
        )

    def close(self) -> None:
        """End the API server and all pods."""
        self.server.shutdown()
        self.server.server_close()
        for pod in self.pods.values():
            if pod.process.poll() is None:
                pod.process.kill()
            pod.process.wait(20)

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Start a Job's container, as a kubelet does."""
        kubernetes_validate.validate({**job, "apiVersion": "batch/v1", "kind": "Job"}, _VERSION, strict=True)
        container = job["spec"]["template"]["spec"]["containers"][0]
        given = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        for source in container.get("envFrom", []):
            given |= self.secrets[source["secretRef"]["name"]]
        given |= {one["name"]: one.get("value", "") for one in container.get("env", [])}
        given |= {name: self.files.get(value, value) for name, value in given.items()}
        command: list[str] = [*container.get("command", []), *container["args"]]
        name = job["metadata"]["name"]
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PROGRAMS / command[0], *command[1:]], env=given, cwd=self.folder, stdout=output, stderr=output
            )
        self.pods[name] = Pod(job, process, log)
        return job

    def delete(self, name: str) -> None:
        """End a pod: SIGTERM, then SIGKILL after its time of grace."""
        pod = self.pods[name]
        with suppress(ProcessLookupError):
            pod.process.send_signal(signal.SIGTERM)
        grace = pod.job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
        threading.Timer(grace, pod.process.kill).start() if pod.process.poll() is None and grace < 5 else None

    def kill(self, run_id: str, reason: str) -> None:
        """Kill the pod of a run: its node is gone, or its memory was too much."""
        pod = self.of_run(run_id)
        pod.reason = reason
        pod.process.kill()
        pod.process.wait(20)

    def of_run(self, run_id: str) -> Pod:
        """The pod of a run."""
        return self.pods[f"dagster-run-{run_id}"]


class _Handler(BaseHTTPRequestHandler):
    its: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: Any, status: HTTPStatus = HTTPStatus.OK, kind: str = "application/json") -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _note(self, verb: str) -> None:
        found = re.search(r"/namespaces/[^/]+/(\w+)(?:/([^/]+))?(?:/(\w+))?$", urlsplit(self.path).path)
        assert found is not None
        kind, name, part = found.groups()
        self.its.asked.add((f"{kind}/{part}" if part else kind, "list" if verb == "get" and not name else verb))

    def _not_found(self) -> None:
        self._answer({"kind": "Status", "status": "Failure", "code": 404}, HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        self._note("create")
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.its.run(job), HTTPStatus.CREATED)

    def do_GET(self) -> None:
        self._note("get")
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        pods = self.its.pods
        if found := re.search(r"/jobs/([^/]+)/status$", path):
            pod = pods.get(found[1])
            self._answer({**pod.job, "status": pod.job_status()}) if pod else self._not_found()
        elif path.endswith("/jobs"):
            wanted = query.get("fieldSelector", [""])[0].removeprefix("metadata.name=")
            self._answer({"items": [{**p.job, "status": p.job_status()} for p in pods.values() if p.name == wanted]})
        elif path.endswith("/pods"):
            wanted = query.get("labelSelector", [""])[0].removeprefix("job-name=")
            self._answer({"items": [p.described() for p in pods.values() if p.name == wanted]})
        elif found := re.search(r"/pods/([^/]+)/log$", path):
            self._answer(pods[found[1]].log.read_text(), kind="text/plain")
        elif found := re.search(r"/pods/([^/]+)$", path):
            pod = pods.get(found[1])
            self._answer(pod.described()) if pod else self._not_found()
        elif path.endswith("/events"):
            self._answer({"items": []})
        else:
            self._not_found()

    def do_DELETE(self) -> None:
        self._note("delete")
        found = re.search(r"/(jobs|pods)/([^/]+)$", urlsplit(self.path).path)
        if found is None or found[2] not in self.its.pods:
            self._not_found()
            return
        if found[1] == "pods":
            self.its.delete(found[2])
        self._answer({"kind": "Status", "status": "Success"})
