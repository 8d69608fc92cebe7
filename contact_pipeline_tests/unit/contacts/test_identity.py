from contact_pipeline.contacts.identity import Identity
from contact_pipeline.contacts.resolution import ContactCandidate, resolve


def who(contact_id=None, email=None, slug=None, name=None) -> Identity:
    return Identity(contact_id, email, slug, name)


def groups(rows: list[Identity], contacts: list[ContactCandidate] | None = None) -> list[list[int]]:
    return [person.rows for person in resolve(rows, "apollo", contacts or []).people]


def known(key: int, identity: Identity, source: str = "apollo") -> ContactCandidate:
    return ContactCandidate(identity, key, source)


def test_two_ids_that_share_an_email_stay_two():
    assert groups([who("1", "info@x.example"), who("2", "info@x.example")]) == [[0], [1]]


def test_a_row_without_id_is_the_only_contact_with_its_email():
    assert groups([who("1", "a@x.example"), who(None, "a@x.example")]) == [[0, 1]]


def test_an_email_that_several_ids_share_is_nobody_in_particular():
    resolution = resolve([who("1", "i@x.example"), who("2", "i@x.example"), who(None, "i@x.example")], "apollo", [])
    assert [person.rows for person in resolution.people] == [[0], [1], [2]]
    assert resolution.warnings == [(2, "ambiguous_email")]


def test_the_id_decides_where_id_and_email_point_to_different_contacts():
    contacts = [known(1, who("1", "a@x.example")), known(2, who(None, "b@x.example"))]
    resolution = resolve([who("1", "b@x.example")], "apollo", contacts)
    assert [person.key for person in resolution.people] == [1]
    assert resolution.warnings == [(0, "identity_conflict")]


def test_a_row_with_an_id_takes_over_the_contact_that_had_none():
    contacts = [known(1, who(None, "a@x.example"))]
    rows = [who("1", "a@x.example"), who("2", "a@x.example")]
    resolution = resolve(rows, "apollo", contacts)
    assert [(person.key, person.rows) for person in resolution.people] == [(1, [0]), (None, [1])]


def test_ids_of_different_systems_never_share_a_key():
    contacts = [known(1, who("7", "a@x.example"), source="hubspot")]
    assert [person.key for person in resolve([who("7")], "apollo", contacts).people] == [None]


def test_linkedin_joins_where_an_email_has_changed():
    assert groups(
        [who(None, "old@x.example", "ada"), who(None, "new@x.example", "ada"), who(None, "new@x.example")]
    ) == [[0, 1, 2]]


def test_name_and_company_join_only_where_one_side_has_nothing_else():
    both_known = [who(None, "a@x.example", None, "ada|x"), who(None, "b@x.example", None, "ada|x")]
    assert groups(both_known) == [[0], [1]]
    assert groups([who(None, None, None, "ada|x"), who(None, "a@x.example", None, "ada|x")]) == [[0, 1]]
    assert groups([who(None, "a@x.example", None, "ada|x"), who(None, None, None, "ada|x")]) == [[0, 1]]
