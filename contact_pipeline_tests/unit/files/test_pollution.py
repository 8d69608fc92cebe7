"""Samples of the pollution test; `make pollution` runs all of it."""

import pytest

from contact_pipeline_tests.unit.files.pollution import SHAPES, Damage, damages, excused, table, verdict


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("delimiter", "line_end"), [(",", "\n"), (";", "\r\n"), ("\t", "\n")])
def test_one_damaged_record_is_right_or_a_reject_and_costs_no_other(shape, delimiter, line_end):
    sound = table(shape, delimiter, line_end)
    tried = [damage for damage in damages(sound) if not excused(sound, damage)][::7]
    assert len(tried) > 30
    assert [(damage, found) for damage in tried if (found := verdict(sound, damage)) is not None] == []


def test_a_sound_table_is_read_as_it_is():
    for shape in SHAPES:
        sound = table(shape, ",", "\n")
        assert verdict(sound, Damage(0, "none", 0, sound.records[1])) is None
