import pytest
from hypothesis import given
from hypothesis import strategies as st

from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.parts import MAX_PART_BYTES, MIB, SMALLEST_PART, plan, recommended


@given(st.integers(1, 600 << 30))
def test_the_recommended_parts_cover_the_file_within_the_limits_of_s3(size):
    division = recommended(size)
    assert sum(division.length(index) for index in (0, division.total - 1)) <= 2 * MAX_PART_BYTES
    assert division.part_size * (division.total - 1) < size <= division.part_size * division.total
    assert division.total <= 10_000
    assert division.total == 1 or division.part_size >= SMALLEST_PART


@given(st.integers(1, 20 << 30), st.integers(SMALLEST_PART, MAX_PART_BYTES))
def test_a_client_that_divides_evenly_is_followed(size, part_size):
    total = -(-size // part_size)
    try:
        division = plan(size, total)
    except ApiError:
        # An even division of so many parts can be below what S3 takes; then the client is told another.
        assert total > 1
        assert size / total < SMALLEST_PART + MIB
        return
    assert division.total == total
    assert sum(division.length(index) for index in range(total)) == size


@pytest.mark.parametrize("total", [2, 100, 100_000])
def test_parts_that_s3_would_refuse_are_refused_with_a_better_number(total):
    with pytest.raises(ApiError) as refused:
        plan(6 * MIB, total)
    assert refused.value.code == "wrong_total_chunks"
    assert refused.value.more == {"recommendedChunkSize": 8 * MIB, "recommendedTotalChunks": 1}
