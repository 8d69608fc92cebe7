from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contact_pipeline.database import cancelling, claims, queries, registration, states
from contact_pipeline.errors import ClaimLost, ImportCancelled


def still_runs(_run: str) -> bool:
    return False


def is_over(_run: str) -> bool:
    return True


@pytest.fixture
def upload_id(importer, write_csv) -> str:
    answer: str = importer.register(write_csv("Email,Title\na@x.example,Boss\n"))
    return answer


def claim(importer, upload_id, run_id, has_ended=still_runs, created=None):
    return claims.claim(importer.connection, upload_id, run_id, created or datetime.now(UTC), has_ended)


def state(importer, upload_id) -> str:
    return queries.find(importer.connection, upload_id).state


def test_an_object_is_registered_once(importer, upload_id):
    record = queries.find(importer.connection, upload_id)
    again = registration.Registration(
        "another", record.bucket, record.object_key, record.etag, 1, record.uploaded_at, "x.csv", "tester"
    )
    assert registration.register(importer.connection, again) is False
    later = replace(again, uploaded_at=again.uploaded_at + timedelta(seconds=1))
    assert registration.register(importer.connection, later) is True


def test_each_claim_is_a_new_attempt_and_the_same_run_keeps_its_own(importer, upload_id):
    first = claim(importer, upload_id, "one")
    assert claim(importer, upload_id, "one").attempt == first.attempt == 1
    assert claim(importer, upload_id, "two", is_over).attempt == 2


def test_a_living_run_keeps_its_import(importer, upload_id):
    claim(importer, upload_id, "one")
    with pytest.raises(ClaimLost, match="already claimed by run one"):
        claim(importer, upload_id, "two")


def test_a_run_that_gives_no_sign_is_replaced(importer, upload_id):
    claim(importer, upload_id, "one")
    importer.connection.execute("UPDATE imports SET heartbeat_at = now() - interval '2 minutes'")
    assert claim(importer, upload_id, "two").attempt == 2


def test_a_run_noted_nowhere_from_before_the_cancellation_does_not_lift_it(importer, upload_id):
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    with pytest.raises(ImportCancelled):
        claim(importer, upload_id, "one", created=before)
    assert claim(importer, upload_id, "two", created=datetime.now(UTC) + timedelta(seconds=1)).attempt == 1


def test_cancelling_twice_is_once_and_what_has_succeeded_stays(importer, upload_id):
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    events = importer.connection.execute("SELECT what FROM import_events WHERE what = 'cancelled'").fetchall()
    assert len(events) == 1
    importer.load(upload_id)
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "succeeded"
    assert cancelling.cancel(importer.connection, "unknown", "tester") is None


def test_only_the_run_that_holds_an_import_can_fail_it(importer, upload_id):
    claim(importer, upload_id, "one")
    claim(importer, upload_id, "two", is_over)
    assert states.fail(importer.connection, upload_id, "one", "transient", "it failed") is False
    assert state(importer, upload_id) == "loading"
    assert states.fail(importer.connection, upload_id, "two", "transient", "it failed") is True
    assert state(importer, upload_id) == "failed"


def test_every_change_of_state_is_in_the_history(importer, upload_id):
    importer.load(upload_id)
    events = importer.connection.execute(
        "SELECT what, counts FROM import_events WHERE upload_id = %s ORDER BY event", (upload_id,)
    ).fetchall()
    assert [event["what"] for event in events] == ["queued", "loading", "verifying", "succeeded"]
    assert events[-1]["counts"]["inserted"] == 1


def test_an_import_that_has_succeeded_is_not_loaded_again(importer, upload_id):
    importer.load(upload_id)
    assert claim(importer, upload_id, "again").finished
    assert importer.load(upload_id)["inserted"] == 1
