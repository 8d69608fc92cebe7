"""What a value that fails its check costs: the value, or its row."""

from __future__ import annotations

from collections import Counter, defaultdict

import polars as pl

from contact_pipeline.database.batch_columns import ROW_INDEX

FRAME_INDEX = "index"


def settle_errors(
    cleaned: pl.DataFrame, errors: pl.DataFrame, *, strict: bool
) -> tuple[pl.DataFrame, dict[int, list[tuple[str, str]]], Counter[str], dict[int, dict[str, str]]]:
    """Decide for each wrong value whether it costs the row or only itself.

    Returns:
        The rows with every wrong value blanked, the rejected places with their
        (code, field) pairs, the warnings of the other rows by `code:field`, and
        for each of these rows, by index, the fields whose value was dropped, with the code.
    """
    warnings: Counter[str] = Counter()
    rejected: dict[int, list[tuple[str, str]]] = {}
    dropped: defaultdict[int, dict[str, str]] = defaultdict(dict)
    if not errors.height:
        return cleaned, rejected, warnings, dropped
    row_indexes = cleaned[ROW_INDEX].gather(errors[FRAME_INDEX]).to_list()
    wrong = [
        *zip(
            errors[FRAME_INDEX].to_list(), row_indexes, errors["field"].to_list(), errors["code"].to_list(), strict=True
        )
    ]
    costly = _identifying_errors(cleaned, errors)
    for index, row_index, field, code in wrong:
        if strict or (index, field) in costly:
            rejected.setdefault(row_index, []).append((code, field))
    for index, row_index, field, code in wrong:
        if row_index not in rejected:
            warnings[f"{code}:{field}"] += 1
            dropped[index][field] = code
        elif (code, field) not in rejected[row_index]:
            rejected[row_index].append((code, field))
    blanked = []
    for (field,), group in errors.group_by("field"):
        wrong_here = pl.repeat(False, cleaned.height, dtype=pl.Boolean(), eager=True).scatter(group[FRAME_INDEX], True)
        blanked.append(pl.when(~wrong_here).then(pl.col(str(field))).alias(str(field)))
    return cleaned.with_columns(blanked), rejected, warnings, dropped


def _identifying_errors(cleaned: pl.DataFrame, errors: pl.DataFrame) -> set[tuple[int, str]]:
    """Errors in the value that identifies the row: the highest rung of the ladder that it wrote anything on."""
    found = errors.select(FRAME_INDEX, "field").rows()
    wrong_ids = {index for index, field in found if field == "contact_id"}
    indexes = sorted({index for index, field in found if field in ("email", "person_linkedin_url")})
    ids = dict(zip(indexes, cleaned["contact_id"].gather(indexes).to_list(), strict=True))
    emails = dict(zip(indexes, cleaned["email"].gather(indexes).to_list(), strict=True))
    costly = set()
    for index, field in found:
        if field not in ("email", "person_linkedin_url"):
            continue
        identified_by_id = ids[index] is not None and index not in wrong_ids
        if identified_by_id or (field == "person_linkedin_url" and emails[index] is not None):
            continue
        costly.add((index, field))
    return costly
