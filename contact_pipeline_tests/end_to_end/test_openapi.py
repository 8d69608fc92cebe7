"""The OpenAPI document is true: what it allows, and much that it does not, is answered without an error of ours."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings

from contact_pipeline.database import postgres, tokens
from contact_pipeline.settings import Settings


def test_no_call_breaks_the_service(stack: Settings) -> None:
    with closing(postgres.connect(stack.database_url)) as connection:
        # An owner of its own: uploads that it begins and leaves must not count as those of other tests.
        _, token = tokens.create_token(connection, "anybody", "operator")
    document = httpx.get(f"{stack.api_url}/openapi.json", trust_env=False).json()
    schema: Any = schemathesis.openapi.from_dict(document)
    tried = set()
    for operation in (found.ok() for found in schema.get_all_operations()):

        @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers_without_an_error_of_ours(case: schemathesis.Case) -> None:
            answer = case.call(base_url=stack.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            assert answer.status_code < 500, f"{case.method} {case.formatted_path}: {answer.status_code} {answer.text}"

        answers_without_an_error_of_ours()
        tried.add(operation.label)
    assert len(tried) > 20


def test_every_answer_and_error_is_described(stack: Settings) -> None:
    paths = httpx.get(f"{stack.api_url}/openapi.json", trust_env=False).json()["paths"]
    calls = [call for path in paths.values() for call in path.values()]
    assert len(calls) > 20
    for call in calls:
        assert call["summary"]
        assert {"4XX", "5XX"} <= call["responses"].keys()
        assert "application/problem+json" in call["responses"]["4XX"]["content"]
