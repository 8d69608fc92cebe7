"""The order of chunks that are loaded side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from contact_pipeline.contacts.identity import IDENTIFYING
from contact_pipeline.importing import commit_order
from contact_pipeline.importing.commit_order import CommitTicket, CommitWaitTimeout, ImportAborted


def rows(*people):
    """What identifies rows: (contact id, e-mail, name and company)."""
    return pl.DataFrame(
        [(contact_id, email, None, name) for contact_id, email, name in people],
        schema=dict.fromkeys(IDENTIFYING, pl.String()),
        orient="row",
    )


IDS = rows(("a", "a@x.example", "Ann|x"), ("b", "shared@x.example", "Bob|x"))
OTHERS = rows(("c", "shared@x.example", "Bob|x"), ("d", None, "Ann|x"))
WITHOUT_ID = rows((None, "new@x.example", "Ann|x"), (None, "newer@x.example", None))


def in_thread(function, *arguments):
    """What a call comes to in a thread of its own, and whether it has come to anything yet."""
    started = threading.Event()

    def run():
        started.set()
        return function(*arguments)

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    assert started.wait(10)
    return future


def waits(future) -> bool:
    try:
        future.exception(timeout=0.2)
    except TimeoutError:
        return True
    return False


def test_the_first_chunk_waits_for_nothing():
    ticket = CommitTicket()
    assert ticket.wait_to_match(IDS) is False
    ticket.wait_to_commit()


@pytest.mark.parametrize("of_the_first", [IDS, WITHOUT_ID])
def test_a_chunk_is_matched_beside_one_whose_people_are_others(of_the_first):
    first = CommitTicket()
    future = in_thread(CommitTicket(first).wait_to_match, OTHERS)
    assert waits(future)
    first.decide(of_the_first)
    assert future.result(10) is False


def test_whom_a_chunk_that_is_over_was_about_is_remembered():
    """Or else what was looked up while it was under way would be looked up again."""
    first = CommitTicket()
    second = CommitTicket(first)
    first.decide(IDS)
    first.end()
    assert second.wait_to_match(OTHERS) is False
    assert second.wait_to_match(IDS) is True


@pytest.mark.parametrize(
    ("of_the_first", "of_the_second"),
    [
        (IDS, rows(("b", None, None))),
        (WITHOUT_ID, rows(("c", "new@x.example", None))),
        (IDS, rows((None, "shared@x.example", None))),
        (WITHOUT_ID, rows((None, "newer@x.example", None))),
        (IDS, rows((None, None, "Ann|x"))),
        (rows((None, None, "Ann|x")), OTHERS),
    ],
)
def test_any_other_chunk_waits_until_the_one_before_is_over(of_the_first, of_the_second):
    first = CommitTicket()
    second = CommitTicket(first)
    future = in_thread(second.wait_to_match, of_the_second)
    first.decide(of_the_first)
    assert waits(future)
    first.end()
    assert future.result(10) is True
    assert second.wait_to_match(of_the_second) is False


def test_what_is_decided_first_counts():
    first = CommitTicket()
    first.decide(IDS)
    first.decide(OTHERS)
    future = in_thread(CommitTicket(first).wait_to_match, IDS)
    assert waits(future)
    first.end()
    future.result(10)


def test_no_chunk_commits_before_the_one_before():
    first = CommitTicket()
    first.decide(IDS)
    future = in_thread(CommitTicket(first).wait_to_commit)
    assert waits(future)
    first.end()
    assert future.result(10) is None


@pytest.mark.parametrize("wait", [lambda ticket: ticket.wait_to_match(OTHERS), CommitTicket.wait_to_commit])
def test_a_chunk_behind_one_that_is_called_off_is_called_off(wait):
    first = CommitTicket()
    future = in_thread(wait, CommitTicket(first))
    first.abort()
    with pytest.raises(ImportAborted):
        future.result(10)


def test_a_chunk_that_holds_its_locks_for_long_gives_them_up(monkeypatch):
    monkeypatch.setattr(commit_order, "_MAX_WAIT_SECONDS", 0.01)
    with pytest.raises(CommitWaitTimeout):
        CommitTicket(CommitTicket()).wait_to_commit()
