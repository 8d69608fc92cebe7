import pytest

from contact_pipeline.contacts.fields import FIELD_BY_NAME, FIELDS
from contact_pipeline.errors import FileRefused
from contact_pipeline.files.header_mapping import map_header
from contact_pipeline.files.titles import normalise
from contact_pipeline.samples.generations import HEADERS
from contact_pipeline_tests.unit.files.vendors import COMPANIES, SOURCES, VENDORS


@pytest.mark.parametrize("generation", HEADERS)
def test_every_title_of_a_generation_feeds_its_own_field(generation):
    header = HEADERS[generation]
    mapping = map_header(header)
    unmapped = [title for title, field in zip(header, mapping.fields, strict=True) if field is None]
    assert unmapped == (["Qualify Contact"] if "Qualify Contact" in header else [])
    for title, field in zip(header, mapping.fields, strict=True):
        if field is not None:
            assert title in FIELD_BY_NAME[field].headers
    assert mapping.source == "apollo"


def test_the_snake_case_header_feeds_every_field():
    header = [field.name for field in FIELDS]
    mapping = map_header(header)
    assert list(mapping.fields) == header
    assert mapping.source == "apollo"


def test_no_title_of_two_fields_is_the_same():
    canonical = [normalise(title) for field in FIELDS for title in (field.name, *field.headers)]
    own = {normalise(field.name) for field in FIELDS}
    assert len(own) == len(FIELDS)
    assert all(canonical.count(title) <= 2 for title in canonical)


def test_a_public_list_without_ids_is_mapped():
    header = [
        "Index",
        "Account Id",
        "Lead Owner",
        "First Name",
        "Last Name",
        "Company",
        "Phone 1",
        "Phone 2",
        "Email 1",
        "Email 2",
        "Website",
        "Source",
        "Deal Stage",
        "Notes",
    ]
    mapping = map_header(header)
    assert mapping.fields == (
        None, "account_id", "contact_owner", "first_name", "last_name", "company", "work_direct_phone",
        "other_phone", "email", "secondary_email", "website", None, "stage", None,
    )  # fmt: skip
    assert mapping.extra == ("Index", *[None] * 10, "Source", None, "Notes")
    assert mapping.source == "other"


def test_titles_are_compared_whole():
    mapping = map_header(["Email Status", "Email Open", "Company Name for Emails", "Email"])
    assert mapping.fields == ("email_status", "email_open", "company_name_for_emails", "email")


def test_titles_are_found_behind_bom_case_and_separators():
    assert map_header(["\ufeffE_MAIL ", "FIRST-NAME"]).fields == ("email", "first_name")


def test_duplicate_and_blank_titles_keep_their_columns_apart():
    mapping = map_header(["Email", "Phone", "Phone", "", "Notes", "Notes"])
    assert mapping.fields == ("email", "work_direct_phone", None, None, None, None)
    assert mapping.extra == (None, None, "Phone__2", "column_4", "Notes", "Notes__2")


def test_a_companies_export_is_refused_with_the_columns_found():
    with pytest.raises(FileRefused) as refused:
        map_header(["Company Name", "Website", "Apollo Account Id", "# Employees"])
    assert refused.value.code == "no_identity_column"
    assert "'Website'" in str(refused.value)


def test_one_column_is_no_table():
    with pytest.raises(FileRefused) as refused:
        map_header(["a;b;c"])
    assert refused.value.code == "no_columns"


@pytest.mark.parametrize(
    ("title", "source"),
    [("Record ID", "hubspot"), ("ZoomInfo Contact ID", "zoominfo"), ("vmid", "phantombuster")],
)
def test_the_title_of_the_id_says_whose_it_is(title, source):
    assert map_header([title, "Email"]).source == source


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_title_of_a_vendor_feeds_its_field(vendor):
    titles, fields = zip(*VENDORS[vendor], strict=True)
    mapping = map_header(titles)
    assert dict(zip(range(len(titles)), zip(titles, mapping.fields, strict=True), strict=True)) == dict(
        enumerate(VENDORS[vendor])
    )
    assert all((key is None) == (field is not None) for key, field in zip(mapping.extra, fields, strict=True))
    assert mapping.source == SOURCES.get(vendor, vendor.split()[0])


def test_what_counts_in_thousands_is_known():
    titles, _ = zip(*VENDORS["zoominfo"], strict=True)
    assert set(map_header(titles).thousands) == {"annual_revenue", "total_funding", "latest_funding_amount"}


@pytest.mark.parametrize("vendor", COMPANIES)
def test_an_export_of_companies_is_refused(vendor):
    with pytest.raises(FileRefused, match="export of companies"):
        map_header(COMPANIES[vendor].split(","))


def test_ids_of_systems_that_are_not_known_never_share_a_key():
    first = map_header(["Contact Id", "Email", "Grade"]).source
    second = map_header(["Contact Id", "Email", "Colour"]).source
    assert first != second
    assert map_header(["contact_id", "E-MAIL", "grade"]).source != "apollo"


def test_an_id_of_nothing_known_is_no_contact_id():
    assert map_header(["ID", "Email"]).fields == (None, "email")
