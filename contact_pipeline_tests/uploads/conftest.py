from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline_tests.uploads.uploading import Api


@pytest.fixture
def api(stack: Settings) -> Iterator[Api]:
    """The upload service of the running stack."""
    with httpx.Client(
        base_url=stack.api_url,
        headers={"Authorization": f"Bearer {stack.api_token.get_secret_value()}"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield Api(client, ObjectStore.from_settings(stack))
