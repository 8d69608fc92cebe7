"""Every command that the docs show is run here, or listed with why it is not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import boto3

from contact_pipeline.samples import files as sample_files

ROOT = Path(__file__).parents[2]

NOT_RUN_HERE = {
    "make install": "it made the environment that this runs in",
    "make test": "it runs this",
    "make run": "a second stack beside this one; run from a clean clone before each release",
    "make test-unit": "part of `make test`",
    "make faults": "an hour",
    "make soak MINUTES=30 SEED=1": "half an hour",
    "UNDO_SEEDS=200 .venv/bin/python -m pytest contact_pipeline_tests/integration/importing/test_undoing.py": "an hour",
    ".venv/bin/python -m benchmarks.waiting": "half an hour",
    ".venv/bin/pre-commit install": "it changes the clone",
    "contact-pipeline up --without-dagster --detach": "test_dg_dev.py does this",
    "contact-pipeline env > .env": "test_dg_dev.py does this",
    ".venv/bin/dg dev": "test_dg_dev.py does this",
    "contact-pipeline worker --concurrency 2": "deployments/test_celery.py does this",
    'pg_dump --format=custom --file contact_pipeline.dump "$CONTACT_PIPELINE_DATABASE_URL"': "test_restoring.py",
    'pg_restore --no-owner --dbname "$CONTACT_PIPELINE_DATABASE_URL" contact_pipeline.dump': "test_restoring.py",
    "sudo -u postgres dropdb --force contact_pipeline": "it changes the machine",
    "sudo -u postgres createdb --owner contact_pipeline contact_pipeline": "deployments/test_operators_page.py",
    "contact-pipeline recognise-restored": "test_restoring.py",
    "sudo systemctl stop 'contact-pipeline-*'": "it changes the machine",
    "sudo systemctl start contact-pipeline-code contact-pipeline-webserver contact-pipeline-daemon "
    "contact-pipeline-api": "it changes the machine",
    "sudo /opt/contact-pipeline/bin/pip install -c constraints.txt .": "it changes the machine",
    "sudo -u contact-pipeline sh -ac '. /etc/contact-pipeline/env; /opt/contact-pipeline/bin/contact-pipeline "
    "migrate'": "deployments/test_operators_page.py",
    "sudo -u contact-pipeline sh -ac '. /etc/contact-pipeline/env; /opt/contact-pipeline/bin/dagster instance "
    "migrate'": "deployments/test_operators_page.py",
    "contact-pipeline migrate": "it changes nothing in a stack that is up",
    "aws s3 sync --delete s3://contact-pipeline s3://contact-pipeline-backup": "Amazon's own",
    "cp deploy/compose/env.example deploy/compose/.env": "it changes the clone",
    "docker compose -f deploy/compose/compose.yaml up --detach --build": "there is no Docker: unit/test_deploy.py",
    "docker compose -f deploy/compose/compose.yaml exec api contact-pipeline token create --owner sales "
    "--role operator": "there is no Docker",
    "kubectl create namespace contacts": "there is no cluster: deployments/test_kubernetes.py",
    "kubectl create secret generic contact-pipeline --namespace contacts --from-env-file env": "there is no cluster",
    "kubectl apply --kustomize deploy/kubernetes --namespace contacts": "there is no cluster",
    "kubectl exec --namespace contacts deploy/api -- contact-pipeline token create --owner sales --role operator": (
        "there is no cluster"
    ),
}


def commands() -> list[str]:
    """What stands behind a `$` in a block of the README, of CONTRIBUTING or of the docs; each once, in order."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    # deployments/test_operators_page.py follows this one.
    pages.remove(ROOT / "docs" / "how-to" / "run-in-production.md")
    lines = [
        line for page in pages for line in re.findall(r"^\$ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", line).strip() for line in lines))


def test_every_command_of_the_docs_does_what_it_says(cli, stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sample_files.write(Path("leads.csv"), 300, "A9", seed=77, dirty=0.2)
    shown = commands()
    assert shown
    # In the order in which somebody would: the docs are sorted by what people want.
    order = {"check": 0, "import": 1, "rejects": 2, "undo": 3, "import-again": 4, "cancel": 5}
    ran, upload_id, token_id = set(), "", ""
    for command in sorted(shown, key=lambda one: order.get(one.split()[1], 9)):
        if command in NOT_RUN_HERE:
            continue
        program, *arguments = shlex.split(command)
        if program == "aws":
            source, target = arguments[2:]
            secret = stack.s3_secret_access_key.get_secret_value()
            client = boto3.client(
                "s3", endpoint_url=stack.s3_endpoint_url, region_name=stack.s3_region,
                aws_access_key_id=stack.s3_access_key_id, aws_secret_access_key=secret,
            )  # fmt: skip
            bucket, _, key = target.removeprefix("s3://").partition("/")
            # The tests' Dagster is not to import it.
            client.put_object(Bucket=bucket, Key=key.replace("uploads/", "elsewhere/"), Body=Path(source).read_bytes())
        else:
            assert program == "contact-pipeline", f"{command}: run it here, or say why not"
            given = [upload_id if word == "ID" else word for word in arguments]
            if given[:2] == ["token", "revoke"]:
                given[2] = token_id
            done = cli.run(*given)
            said = done.stdout + done.stderr
            if given[0] == "cancel":
                # It is queued again by the command before; where it has ended meanwhile, there is nothing to cancel.
                assert "cancelled" in said or "nothing to cancel" in said, said
            else:
                assert done.returncode == 0, (command, said)
            if given[0] == "import":
                upload_id = cli.json("imports")["imports"][0]["upload_id"]
                assert cli.json("show", upload_id)["file_name"] == "leads.csv"
            if given[:2] == ["token", "create"]:
                token_id = re.search(r"token revoke (\w+)", said)[1]
        ran.add(command)
    assert ran | (NOT_RUN_HERE.keys() & set(shown)) == set(shown)
    assert NOT_RUN_HERE.keys() <= set(shown), "a command that is listed is shown no more"
    assert Path("rejects.xlsx").read_bytes()[:2] == b"PK"
