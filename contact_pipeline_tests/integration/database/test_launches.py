"""Launches: who asks for a run, when the next one is due, and when an import is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from contact_pipeline.database import cancelling, causes, claims, deciding, launch_queue, launches, queries, states
from contact_pipeline.database.launch_queue import Slots
from contact_pipeline.database.records import AskedBy
from contact_pipeline.errors import CannotBeImportedAgain, ClaimLost, ImportCancelled

OUTSIDE = causes.outside("database", "the database is away")


@pytest.fixture
def upload_id(importer, write_csv) -> str:
    answer: str = importer.register(write_csv("Email\na@x.example\n"))
    return answer


def of_import(importer, upload_id):
    return [(one.asked_by, one.outcome) for one in launches.of_import(importer.connection, upload_id)]


def make_due(importer) -> None:
    importer.connection.execute("UPDATE launches SET due_at = now() WHERE ended_at IS NULL")


def take(importer, slots=None):
    slots = slots or Slots(large=2, total=4)
    return [record.upload_id for record in launch_queue.take_due(importer.connection, slots)]


def test_an_upload_is_registered_with_its_first_launch(importer, upload_id):
    assert of_import(importer, upload_id) == [("sensor", None)]
    assert launch_queue.without_launch(importer.connection) == []


def test_a_run_that_never_claimed_is_launched_again_after_a_growing_pause(importer, upload_id):
    pauses = []
    for number in range(1, 5):
        make_due(importer)
        (launch,) = launch_queue.take_due(importer.connection, Slots(2, 4))
        assert launch.launch == number
        launches.note_run(importer.connection, upload_id, f"run {number}", number, AskedBy.SENSOR, None)
        assert states.settle(importer.connection, upload_id, f"run {number}", OUTSIDE)
        waiting = launch_queue.waiting_for(importer.connection, upload_id)
        pauses.append((waiting.due_at - datetime.now(UTC)).total_seconds())
        assert take(importer) == []
    assert [round(pause / 5) for pause in pauses] == [1, 2, 4, 8]
    record = queries.find(importer.connection, upload_id)
    assert (record.state, record.fruitless, record.waits_for) == ("queued", 4, OUTSIDE.reason)


def test_an_import_that_gets_no_further_is_given_up_with_what_to_do(importer, upload_id):
    for number in range(3):
        launches.note_run(importer.connection, upload_id, f"run {number}", None, AskedBy.RETRY, None)
        importer.claim(upload_id, f"run {number}")
        states.settle(importer.connection, upload_id, f"run {number}", causes.unexpected("it broke"))
    record = queries.find(importer.connection, upload_id)
    assert (record.state, record.error_code) == ("failed", "unexpected")
    assert f"contact-pipeline import-again {upload_id}" in record.error
    assert launch_queue.without_launch(importer.connection) == []


def test_a_committed_chunk_sets_the_count_of_fruitless_launches_back(importer, upload_id):
    for number in range(2):
        launches.note_run(importer.connection, upload_id, f"run {number}", None, AskedBy.RETRY, None)
        importer.claim(upload_id, f"run {number}")
        states.settle(importer.connection, upload_id, f"run {number}", causes.unexpected("it broke"))
    claim = importer.claim(upload_id, "gets further")
    importer.connection.execute(
        """INSERT INTO import_chunks (upload_id, chunk, attempt, first_row, rows, first_line, end_line, begin_offset,
           end_offset) VALUES (%s, 0, %s, 1, 0, 1, 1, 0, 0)""",
        (upload_id, claim.attempt),
    )
    states.settle(importer.connection, upload_id, "gets further", causes.unexpected("it broke"))
    record = queries.find(importer.connection, upload_id)
    assert (record.state, record.fruitless) == ("queued", 0)


def test_a_run_is_settled_once(importer, upload_id):
    importer.claim(upload_id, "one")
    assert states.settle(importer.connection, upload_id, "one", OUTSIDE)
    assert not states.settle(importer.connection, upload_id, "one", OUTSIDE)
    assert of_import(importer, upload_id)[-1] == ("retry", None)


@pytest.mark.parametrize("who", ["sensor", "retry", "backfill"])
def test_what_was_cancelled_goes_on_only_when_a_person_asks(importer, upload_id, who):
    importer.claim(upload_id, "one")
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    later = datetime.now(UTC) + timedelta(hours=1)
    asked = (importer.connection, upload_id)
    # Dagster's own retry, or a sensor's or schedule's run, however late it is made.
    claim = claims.claim(*asked, "automatic", later, lambda _: True, asked_by=who)
    assert claim.left_alone
    assert claim.finished
    assert queries.find(importer.connection, upload_id).state == "cancelled"
    assert claims.claim(*asked, "a person's", later, lambda _: True, asked_by=AskedBy.PERSON).attempt == 2


def test_a_persons_run_that_was_queued_before_the_cancellation_does_not_lift_it(importer, upload_id):
    launches.note_run(importer.connection, upload_id, "queued", None, AskedBy.PERSON, "ann")
    cancelling.cancel(importer.connection, upload_id, "tester")
    with pytest.raises(ImportCancelled):
        importer.claim(upload_id, "queued")
    launches.note_run(importer.connection, upload_id, "asked since", None, AskedBy.PERSON, "ann")
    assert importer.claim(upload_id, "asked since").attempt == 1


def test_the_end_of_the_cancelled_run_does_not_end_the_launch_that_a_person_asked_for_since(importer, upload_id):
    importer.claim(upload_id, "one")
    cancelling.cancel(importer.connection, upload_id, "tester", run_id="one")
    launches.note_run(importer.connection, upload_id, "two", None, AskedBy.PERSON, "ann")
    # Dagster tells of the first run's end only now.
    cancelling.cancel(importer.connection, upload_id, "dagster", run_id="one")
    assert importer.claim(upload_id, "two").attempt == 2


def test_an_undone_import_is_left_alone_by_a_backfill_and_imported_again_by_a_person(importer, write_csv):
    from contact_pipeline.database.undo import undoing

    path = write_csv("Email\na@x.example\nb@x.example\n")
    done = importer.run(path)
    upload_id = done["upload_id"]
    undoing.undo(importer.connection, upload_id, "tester")
    claim = claims.claim(
        importer.connection, upload_id, "backfill", datetime.now(UTC), lambda _: True, asked_by=AskedBy.BACKFILL
    )
    assert claim.left_alone
    assert importer.contacts() == []
    deciding.import_again(importer.connection, upload_id, "tester")
    assert take(importer) == [upload_id]
    again = importer.load(upload_id)
    assert (again["state"], again["inserted"]) == ("succeeded", 2)
    with pytest.raises(CannotBeImportedAgain, match="undo it first"):
        deciding.import_again(importer.connection, upload_id, "tester")


def test_owners_take_turns_and_large_imports_leave_places_for_small_ones(importer, write_csv):
    made = [importer.register(write_csv(f"Email\n{number}@x.example\n")) for number in range(40)]
    late = importer.register(write_csv("Email\nlate@x.example\n"))
    large = [importer.register(write_csv(f"Email\nlarge{number}@x.example\n")) for number in range(3)]
    importer.connection.execute("UPDATE imports SET owner = 'another' WHERE upload_id = %s", (late,))
    importer.connection.execute("UPDATE imports SET size = %s WHERE upload_id = ANY(%s)", (1 << 30, large))
    place = launch_queue.waiting_for(importer.connection, late).place
    first = take(importer, Slots(large=1, total=2))
    assert place <= 2
    assert late in first
    assert [one for one in first if one in large] == large[:1]
    assert len(first) == 7
    # What was asked for and has no run yet is asked for again; nothing else, while the places are taken.
    assert sorted(take(importer, Slots(large=1, total=2))) == sorted(first)
    for one in first:
        launches.note_run(importer.connection, one, f"run of {one}", 1, AskedBy.SENSOR, None)
    assert take(importer, Slots(large=1, total=2)) == []
    importer.load(made[0], run_id=f"run of {made[0]}")
    assert len(take(importer, Slots(large=1, total=2))) == 1


def test_uploads_of_one_second_are_ordered_by_when_they_are_entered(importer, write_csv):
    when = datetime(2026, 1, 1, tzinfo=UTC)
    made = [importer.register(write_csv(f"Email,Title\na@x.example,{number}\n"), when) for number in range(3)]
    importer.load(made[2])
    importer.load(made[0])
    importer.load(made[1])
    assert [contact["title"] for contact in importer.contacts()] == ["2"]


def test_cancelling_takes_the_row_from_a_run_that_froze_while_it_held_it(importer, settings, upload_id):
    from contact_pipeline.database import postgres

    claim = importer.claim(upload_id)
    frozen = postgres.connect(settings.database_url)
    frozen.execute("BEGIN")
    claims.mark_session(frozen, upload_id)
    claims.lock_claim(frozen, claim)
    assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    with pytest.raises(postgres.DatabaseFailed), postgres.scrubbed():
        frozen.execute("SELECT 1")
    frozen.close()


def test_causes_are_counted_by_their_kind(importer, upload_id):
    for number in range(3):
        launches.note_run(importer.connection, upload_id, f"outside {number}", None, AskedBy.RETRY, None)
        importer.claim(upload_id, f"outside {number}")
        states.settle(importer.connection, upload_id, f"outside {number}", OUTSIDE)
    launches.note_run(importer.connection, upload_id, "unexpected", None, AskedBy.RETRY, None)
    importer.claim(upload_id, "unexpected")
    states.settle(importer.connection, upload_id, "unexpected", causes.unexpected("it broke"))
    record = queries.find(importer.connection, upload_id)
    assert (record.state, record.fruitless) == ("queued", 4)


def test_a_person_who_launches_it_again_gives_it_all_its_tries(importer, upload_id):
    importer.connection.execute("UPDATE imports SET state = 'failed', fruitless = 20")
    importer.claim(upload_id, "by a person")
    states.settle(importer.connection, upload_id, "by a person", OUTSIDE)
    record = queries.find(importer.connection, upload_id)
    assert (record.state, record.fruitless) == ("queued", 1)


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_what_a_person_asked_for_stands_though_its_run_died_before_the_claim(importer, upload_id, state):
    cancelling.cancel(importer.connection, upload_id, "tester")
    importer.connection.execute("UPDATE imports SET state = %s", (state,))
    launches.note_run(importer.connection, upload_id, "by a person", None, AskedBy.PERSON, None)
    assert states.settle(importer.connection, upload_id, "by a person", OUTSIDE)
    assert queries.find(importer.connection, upload_id).state == "queued"
    assert of_import(importer, upload_id)[-1] == ("retry", None)


def test_a_retry_that_dies_before_the_claim_does_not_wake_a_cancelled_import(importer, upload_id):
    cancelling.cancel(importer.connection, upload_id, "tester")
    launches.note_run(importer.connection, upload_id, "a retry", None, AskedBy.RETRY, None)
    states.settle(importer.connection, upload_id, "a retry", OUTSIDE)
    assert queries.find(importer.connection, upload_id).state == "cancelled"
    assert launches.any_open(importer.connection, upload_id) is False


@pytest.mark.parametrize("run_id", ["by a person", None])
def test_to_cancel_what_is_over_and_asked_for_again_ends_its_launch(importer, upload_id, run_id):
    importer.connection.execute("UPDATE imports SET state = 'undone'")
    launches.end_open(importer.connection, upload_id, "cancelled")
    launches.note_run(importer.connection, upload_id, "by a person", None, AskedBy.PERSON, None)
    assert cancelling.cancel(importer.connection, upload_id, "tester", run_id) == "cancelled"
    assert launches.any_open(importer.connection, upload_id) is False
    assert cancelling.cancel(importer.connection, upload_id, "tester", run_id) == "undone"


def test_a_run_that_was_left_alone_takes_no_other_launch_over(importer, upload_id):
    cancelling.cancel(importer.connection, upload_id, "tester")
    launches.note_run(importer.connection, upload_id, "backfill", None, AskedBy.BACKFILL, None)
    assert importer.claim(upload_id, "backfill").left_alone
    deciding.import_again(importer.connection, upload_id, "tester")
    with pytest.raises(ClaimLost):
        importer.claim(upload_id, "backfill")
    assert of_import(importer, upload_id)[-1] == ("person", None)
