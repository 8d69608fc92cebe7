"""What the cells of a sample file hold: measured shapes, made-up people."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_FIRST = [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "Ken",
    "Margaret",
    "Dennis",
    "Radia",
    "Tim",
    "Katherine",
    "Linus",
    "Hedy",
    "José",
    "Zoë",
    "Łukasz",
    "Søren",
    "Chloé",
]
_LAST = [
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Allen",
    "Thompson",
    "Hamilton",
    "Ritchie",
    "Perlman",
    "Berners-Lee",
    "Johnson",
    "Müller",
    "Nuñez",
    "O'Brien",
    "Żak",
    "Ångström",
    "van der Berg",
    "Smith",
]
_TITLES = [
    "VP of Engineering",
    "Head of Data",
    "Chief Executive Officer",
    "Account Executive",
    "Director, Growth & Ops",
    "Founder",
    "Senior Software Engineer",
    "Marketing Manager",
]
_COMPANIES = [
    "Acme, Inc.",
    "Globex",
    "Initech",
    "Umbrella & Sons",
    "Stark Industries",
    "Wayne Enterprises",
    "Hooli",
    "Vandelay Imports",
    "Soylent Corp",
    "Cyberdyne Systems",
]
_INDUSTRIES = [
    "health, wellness & fitness",
    "information technology & services",
    "electrical/electronic manufacturing",
    "marketing & advertising",
    "financial services",
]
_SENIORITY = [
    "Entry",
    "Vp",
    "Manager",
    "Director",
    "Founder",
    "C suite",
    "Partner",
    "Owner",
    "Senior",
    "Head",
    "Intern",
]
_DEPARTMENTS = ["C-Suite", "Engineering & Technical", "Design", "Finance", "Marketing", "Sales, Operations", "Product"]
_FUNDING = ["Other", "Seed", "Series A", "Series B", "Venture (Round not Specified)", "Private Equity"]
_TECHNOLOGIES = [
    "Gmail",
    "Route 53",
    "Salesforce",
    "Google Tag Manager",
    "Mobile Friendly",
    "React",
    "Slack",
    "Amazon AWS",
    "Snowflake",
    "Hubspot",
]
_KEYWORDS = [
    "saas",
    "b2b",
    "analytics",
    "enterprise software",
    "cloud computing",
    "artificial intelligence",
    "developer tools",
    "e-commerce",
]
_PLACES = [
    ("'s-Hertogenbosch", "North Brabant", "Netherlands", "5211"),
    ("San Francisco", "California", "United States", "94105"),
    ("Sydney", "New South Wales", "Australia", "2000"),
    ("Berlin", "Berlin", "Germany", "10115"),
    ("São Paulo", "São Paulo", "Brazil", "01310"),
]
_SENTENCES = [
    "Builds software for teams, everywhere.",
    'Known as "the quiet giant" of its field.',
    "Serves 40 countries.\nFounded in a garage.",
    "Makes things that last.",
]
_BOOLEANS = ["false", "false", "false", "true"]

Value = Callable[[random.Random, "Row"], str]


class Row:
    """The facts that several cells of one row share."""

    __slots__ = ("company", "domain", "first", "id", "last", "number", "place", "slug")

    def __init__(self, rng: random.Random, number: int, seed: int) -> None:
        self.number = number
        self.first = rng.choice(_FIRST)
        self.last = rng.choice(_LAST)
        self.company = rng.choice(_COMPANIES)
        self.domain = f"company{rng.randrange(50_000)}.example"
        self.place = rng.choice(_PLACES)
        self.slug = f"person-{seed:x}-{number:x}"
        self.id = f"{seed % 0x10000:04x}{number:020x}"


def _phone(rng: random.Random, _row: Row) -> str:
    return f"'+1 415-555-{rng.randrange(10_000):04d}"


def _some(share: float, value: Value) -> Value:
    """A value in that share of the rows, else blank."""
    return lambda rng, row: value(rng, row) if rng.random() < share else ""


def _pick(values: list[str]) -> Value:
    return lambda rng, _row: rng.choice(values)


def _list(values: list[str], longest: int) -> Value:
    return lambda rng, _row: ", ".join(rng.choices(values, k=rng.randrange(1, longest)))


def _moment(rng: random.Random, _row: Row) -> str:
    return f"2026-{rng.randrange(1, 10):02d}-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:11:12+00:00"


def _raised(rng: random.Random, _row: Row) -> str:
    return f"20{rng.randrange(10, 26)}-0{rng.randrange(1, 10)}-01T00:00:00+00:00"


def _number(smallest: int, largest: int) -> Value:
    return lambda rng, _row: str(rng.randrange(smallest, largest))


VALUES: Final[dict[str, Value]] = {
    "First Name": lambda _rng, row: row.first,
    "Last Name": lambda _rng, row: row.last,
    "Title": _pick(_TITLES),
    "Company": lambda _rng, row: row.company,
    "Company Name": lambda _rng, row: row.company,
    "Company Name for Emails": lambda _rng, row: row.company.split(",")[0],
    "Email": _some(0.97, lambda _rng, row: f"person.{row.number}@{row.domain}"),
    "Email Status": _pick(["Verified"] * 9 + ["Likely to engage"]),
    "Primary Email Source": _pick(["Apollo"]),
    "Primary Email Verification Source": _pick(["Apollo"]),
    "Email Confidence": _some(0.05, _pick(["0.6", "0.7"])),
    "Catch-all Status": _pick(["Not Catch-all", "Catch-all"]),
    "Primary Email Catch-all Status": _pick(["Not Catch-all", "Catch-all"]),
    "Email Last Verified At": _moment,
    "Primary Email Last Verified At": _moment,
    "Seniority": _pick(_SENIORITY),
    "Departments": _some(0.68, _pick(_DEPARTMENTS)),
    "Sub Departments": _some(0.6, _list(_DEPARTMENTS, 3)),
    "Contact Owner": _pick(["owner@seller.example"]),
    "Account Owner": _pick(["owner@seller.example"]),
    "First Phone": _some(0.8, _phone),
    "Work Direct Phone": _some(0.02, _phone),
    "Mobile Phone": _some(0.03, _phone),
    "Corporate Phone": _some(0.88, _phone),
    "Company Phone": _some(0.86, _phone),
    "Other Phone": _some(0.02, _phone),
    "Do Not Call": _pick(_BOOLEANS),
    "Stage": _pick(["Cold"]),
    "Lists": _some(0.5, _pick(["Q3 targets", "Conference, Berlin"])),
    "# Employees": _some(0.98, _number(1, 533_001)),
    "Industry": _some(0.97, _pick(_INDUSTRIES)),
    "Keywords": _some(0.92, _list(_KEYWORDS, 8)),
    "Person Linkedin Url": _some(0.98, lambda _rng, row: f"http://www.linkedin.com/in/{row.slug}"),
    "Website": lambda _rng, row: f"http://www.{row.domain}",
    "Company Linkedin Url": _some(0.98, lambda _rng, row: f"http://www.linkedin.com/company/{row.domain[:-8]}"),
    "Facebook Url": _some(0.5, lambda _rng, row: f"https://facebook.com/{row.domain[:-8]}"),
    "Twitter Url": _some(0.5, lambda _rng, row: f"https://twitter.com/{row.domain[:-8]}"),
    "Address": lambda _rng, row: ", ".join(row.place[:3]),
    "City": lambda _rng, row: row.place[0],
    "State": lambda _rng, row: row.place[1],
    "Country": lambda _rng, row: row.place[2],
    "Company Address": lambda rng, row: f"{rng.randrange(1, 999)} Main St, " + ", ".join(row.place),
    "Company City": lambda _rng, row: row.place[0],
    "Company State": lambda _rng, row: row.place[1],
    "Company Country": lambda _rng, row: row.place[2],
    "SEO Description": _some(0.5, _pick(_SENTENCES)),
    "Technologies": _some(0.96, _list(_TECHNOLOGIES, 14)),
    "Annual Revenue": _some(0.56, _number(10_000, 9_000_000_000)),
    "Total Funding": _some(0.11, _number(100_000, 900_000_000)),
    "Latest Funding": _some(0.13, _pick(_FUNDING)),
    "Latest Funding Amount": _some(0.11, _number(0, 90_000_000)),
    "Last Raised At": _some(0.12, _raised),
    "Subsidiary of": _some(0.1, _pick(_COMPANIES)),
    "Parent company (Apollo data)": _some(0.1, _pick(_COMPANIES)),
    "Subsidiary of (Organization ID)": _some(0.1, lambda _rng, row: f"{row.company} ({row.domain})"),
    "Parent company (Apollo data - Organization ID)": _some(0.1, lambda _rng, row: f"{row.company} ({row.domain})"),
    "Email Sent": _pick(["false"]),
    "Email Open": _pick(["false"]),
    "Email Bounced": _pick(["false"]),
    "Replied": _pick(["false"]),
    "Demoed": _pick(["false"]),
    "Number of Retail Locations": _some(0.05, _number(1, 500)),
    "SIC Codes": _some(0.5, _pick(["7372, 7371", "7372, "])),
    "NAICS Codes": _some(0.5, _pick(["54151, 541511", "31-33"])),
    "Apollo Contact Id": lambda _rng, row: row.id,
    "Apollo Account Id": lambda rng, _row: f"{rng.getrandbits(96):024x}",
    "Apollo Record Id": lambda rng, _row: f"{rng.getrandbits(96):024x}",
    "Secondary Email": _some(0.03, lambda _rng, row: f"second.{row.number}@{row.domain}"),
    "Tertiary Email": _some(0.01, lambda _rng, row: f"third.{row.number}@{row.domain}"),
    "User Managed": _pick(["false"]),
    "Primary Intent Topic": _some(0.2, _pick(_KEYWORDS)),
    "Primary Intent Score": _some(0.2, _number(1, 100)),
    "Qualify Contact": _some(0.05, _pick(_SENTENCES)),
}
