from __future__ import annotations

from collections.abc import Iterator

import pytest

from contact_pipeline.stack import control, supervisor
from contact_pipeline.stack.home import Home
from contact_pipeline_tests.faults.field import Field


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A whole stack, of which anything may be killed."""
    place = Home(tmp_path_factory.mktemp("field"))
    try:
        control.up(place, lambda _: None)
        supervisor.leave_supervisor(place, lambda _: None)
        made = Field(place)
        yield made
        made.close()
    finally:
        control.down(place, lambda _: None)
