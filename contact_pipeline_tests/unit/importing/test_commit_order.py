"""The order of chunks that are loaded side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from contact_pipeline.importing import commit_order
from contact_pipeline.importing.commit_order import CommitTicket, CommitWaitTimeout, ImportAborted

IDS = pl.Series(["a", "b"])
OTHERS = pl.Series(["c", "d"])


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
    ticket.wait_to_match(None)
    ticket.wait_to_commit()


def test_a_chunk_is_matched_beside_one_that_shares_no_id():
    first = CommitTicket()
    future = in_thread(CommitTicket(first).wait_to_match, OTHERS)
    assert waits(future)
    first.decide(IDS)
    assert future.result(10) is True


def test_what_a_chunk_that_is_over_was_matched_by_is_remembered():
    """Or else what was looked up while it was under way would be looked up again."""
    first = CommitTicket()
    second = CommitTicket(first)
    before = second.comes_next
    first.decide(IDS)
    first.end()
    assert (before, second.comes_next) == (False, True)
    assert second.wait_to_match(OTHERS)


@pytest.mark.parametrize(
    ("of_the_first", "of_the_second"), [(IDS, pl.Series(["b", "c"])), (None, OTHERS), (IDS, None), (None, None)]
)
def test_any_other_chunk_waits_until_the_one_before_is_over(of_the_first, of_the_second):
    first = CommitTicket()
    future = in_thread(CommitTicket(first).wait_to_match, of_the_second)
    first.decide(of_the_first)
    assert waits(future)
    first.end()
    assert future.result(10) is False


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
