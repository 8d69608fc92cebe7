"""Realistic contact files, made to measure: deterministic by seed, no real person in them.

Header generations are Apollo.io's, as read from real exports between 2022 and
2026. Values follow the measured shapes: every empty cell is `""`, phones carry a
spreadsheet's apostrophe, industries contain commas, technologies run long.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_A1: Final = (
    "First Name,Last Name,Title,Company,Company Name for Emails,Email,Email Status,Email Confidence,Contact Owner,"
    "First Phone,Work Direct Phone,Home Phone,Mobile Phone,Corporate Phone,Other Phone,Stage,Lists,Last Contacted,"
    "Account Owner,# Employees,Industry,Keywords,Person Linkedin Url,Website,Company Linkedin Url,Facebook Url,"
    "Twitter Url,City,State,Country,Company Address,Company City,Company State,Company Country,Company Phone,"
    "SEO Description,Technologies,Annual Revenue,Total Funding,Latest Funding,Latest Funding Amount,Last Raised At,"
    "Email Sent,Email Open,Email Bounced,Replied,Demoed,Number of Retail Locations,Apollo Contact Id,Apollo Account Id"
).split(",")
_INTENT: Final = ["Primary Intent Topic", "Primary Intent Score", "Secondary Intent Topic", "Secondary Intent Score"]


def _after(header: list[str], title: str, *added: str) -> list[str]:
    at = header.index(title) + 1
    return [*header[:at], *added, *header[at:]]


def _generations() -> dict[str, list[str]]:
    a1 = list(_A1)
    a2 = _after(a1, "Email Confidence", "Seniority", "Departments")
    a3 = [*a2, "User Managed", *_INTENT]
    a4 = _after(a3, "Email Confidence", "Catch-all Status", "Email Last Verified At")
    a5 = [title for title in a2 if title not in ("Seniority", "Departments")]
    a5 = _after(a5, "Email Status", "Primary Email Source")
    a5 = _after(
        a5, "Email Confidence",
        "Primary Email Catch-all Status", "Primary Email Last Verified At", "Seniority", "Departments",
    )
    a5 += ["Secondary Email", "Secondary Email Source", "Tertiary Email", "Tertiary Email Source", *_INTENT]
    a6 = [title for title in a5 if title != "First Phone" and title not in _INTENT]
    a7 = _after([title for title in a6 if title != "SEO Description"], "Last Raised At", "Subsidiary of")
    a8 = ["Company Name" if title == "Company" else title for title in a7]
    a8 = _after(a8, "Primary Email Source", "Primary Email Verification Source")
    for rank in ("Secondary", "Tertiary"):
        a8 = _after(a8, f"{rank} Email Source", f"{rank} Email Status", f"{rank} Email Verification Source")
    a9 = _after(a8, "Departments", "Sub Departments")
    a9 = _after(a9, "Other Phone", "Do Not Call")
    a9 = [*_after(a9, "Subsidiary of", "Subsidiary of (Organization ID)"), "Qualify Contact"]
    a10 = _after(a9, "Number of Retail Locations", "SIC Codes", "NAICS Codes")
    a10 = _after(a10, "Apollo Account Id", "Apollo Record Id")
    at = a10.index("City")
    a11 = [*a10[:at], "Address", *a10[at:]]
    renamed = {
        "Subsidiary of": "Parent company (Apollo data)",
        "Subsidiary of (Organization ID)": "Parent company (Apollo data - Organization ID)",
    }
    a11 = [renamed.get(title, title) for title in a11]
    return {
        "A1": a1, "A2": a2, "A3": a3, "A4": a4, "A5": a5, "A6": a6,
        "A7": a7, "A8": a8, "A9": a9, "A10": a10, "A11": a11,
    }  # fmt: skip


HEADERS: Final[dict[str, list[str]]] = _generations()
"""Column titles of each header generation, in the order of the exports."""

_FIRST = "Ada Grace Alan Edsger Barbara Donald Frances Ken Margaret Dennis Radia Tim Katherine Linus Hedy José Zoë Łukasz Søren Chloé".split()
_LAST = "Lovelace Hopper Turing Dijkstra Liskov Knuth Allen Thompson Hamilton Ritchie Perlman Berners-Lee Johnson Müller Nuñez O'Brien Żak Ångström van der Berg Smith".split(" ")
_TITLES = ["VP of Engineering", "Head of Data", "Chief Executive Officer", "Account Executive", "Director, Growth & Ops", "Founder", "Senior Software Engineer", "Marketing Manager"]
_COMPANIES = ["Acme, Inc.", "Globex", "Initech", "Umbrella & Sons", "Stark Industries", "Wayne Enterprises", "Hooli", "Vandelay Imports", "Soylent Corp", "Cyberdyne Systems"]
_PLACES = [("'s-Hertogenbosch", "North Brabant", "Netherlands", "5211"), ("San Francisco", "California", "United States", "94105"), ("Sydney", "New South Wales", "Australia", "2000"), ("Berlin", "Berlin", "Germany", "10115"), ("São Paulo", "São Paulo", "Brazil", "01310")]
_INDUSTRIES = ["health, wellness & fitness", "information technology & services", "electrical/electronic manufacturing", "marketing & advertising", "financial services"]
_SENIORITY = ["Entry", "Vp", "Manager", "Director", "Founder", "C suite", "Partner", "Owner", "Senior", "Head", "Intern"]
_DEPARTMENTS = ["C-Suite", "Engineering & Technical", "Design", "Finance", "Marketing", "Sales, Operations", "Product"]
_FUNDING = ["Other", "Seed", "Series A", "Series B", "Venture (Round not Specified)", "Private Equity"]
_TECHNOLOGIES = ["Gmail", "Route 53", "Salesforce", "Google Tag Manager", "Mobile Friendly", "React", "Slack", "Amazon AWS", "Snowflake", "Hubspot"]
_KEYWORDS = ["saas", "b2b", "analytics", "enterprise software", "cloud computing", "artificial intelligence", "developer tools", "e-commerce"]
_SENTENCES = ["Builds software for teams, everywhere.", 'Known as "the quiet giant" of its field.', "Serves 40 countries.\nFounded in a garage.", "Makes things that last."]
_BOOLEANS = ["false", "false", "false", "true"]

_Value = Callable[[random.Random, "_Row"], str]


class _Row:
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


def _phone(rng: random.Random, _row: _Row) -> str:
    return f"'+1 415-555-{rng.randrange(10_000):04d}"


def _some(share: float, value: _Value) -> _Value:
    """A value in that share of the rows, else blank."""
    return lambda rng, row: value(rng, row) if rng.random() < share else ""


def _pick(values: list[str]) -> _Value:
    return lambda rng, _row: rng.choice(values)


def _list(values: list[str], longest: int) -> _Value:
    return lambda rng, _row: ", ".join(rng.choices(values, k=rng.randrange(1, longest)))


def _moment(rng: random.Random, _row: _Row) -> str:
    return f"2026-{rng.randrange(1, 10):02d}-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:11:12+00:00"


def _number(smallest: int, largest: int) -> _Value:
    return lambda rng, _row: str(rng.randrange(smallest, largest))


_VALUES: Final[dict[str, _Value]] = {
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
    "Last Raised At": _some(0.12, lambda rng, _row: f"20{rng.randrange(10, 26)}-0{rng.randrange(1, 10)}-01T00:00:00+00:00"),
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
}  # fmt: skip


class _Dirt:
    """Ways in which real rows go wrong; each is a row that loads with a warning, or a reject."""

    def __init__(self, header: list[str]) -> None:
        self.at = {title: position for position, title in enumerate(header)}

    def spoil(self, rng: random.Random, cells: list[str]) -> list[str]:
        ways = (self._bad_email, self._bad_amount, self._bad_number, self._nobody, self._ragged, self._lost_id)
        return rng.choice(ways)(rng, cells)

    def _set(self, cells: list[str], title: str, value: str) -> list[str]:
        if title in self.at:
            cells[self.at[title]] = value
        return cells

    def _bad_email(self, rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "Email", rng.choice(["not an address", "someone@", "@nowhere.example"]))

    def _bad_amount(self, rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "Annual Revenue", rng.choice(["n/a ~ 5M", "unknown", "$1M - $10M"]))

    def _bad_number(self, _rng: random.Random, cells: list[str]) -> list[str]:
        return self._set(cells, "# Employees", "11-50")

    def _nobody(self, _rng: random.Random, cells: list[str]) -> list[str]:
        for title in ("Apollo Contact Id", "Email", "Person Linkedin Url", "First Name", "Last Name"):
            self._set(cells, title, "")
        return cells

    def _lost_id(self, _rng: random.Random, cells: list[str]) -> list[str]:
        self._set(cells, "Apollo Contact Id", "")
        return self._set(cells, "Email", "not an address")

    def _ragged(self, _rng: random.Random, cells: list[str]) -> list[str]:
        return cells[:-3]


def rows(count: int, generation: str, seed: int, dirty: float = 0.0) -> Iterator[list[str]]:
    """The rows of a file, without its header.

    Args:
        count: how many.
        generation: `A1` to `A11`.
        seed: the same seed gives the same rows; another one gives other people.
        dirty: share of rows with something wrong.
    """
    header = HEADERS[generation]
    # Not for secrets: the rows must be the same each time.
    rng = random.Random(seed)  # noqa: S311
    makers = [_VALUES.get(title) for title in header]
    dirt = _Dirt(header)
    for number in range(1, count + 1):
        row = _Row(rng, number, seed)
        cells = [maker(rng, row) if maker is not None else "" for maker in makers]
        yield dirt.spoil(rng, cells) if dirty and rng.random() < dirty else cells


def write(path: Path, count: int, generation: str = "A9", seed: int = 42, dirty: float = 0.0) -> int:
    """Write a file as Apollo does: UTF-8, LF, every empty cell as `""`.

    Returns:
        Its size in bytes.
    """
    with path.open("w", encoding="utf-8", newline="") as output:
        output.write(_line(HEADERS[generation]))
        for cells in rows(count, generation, seed, dirty):
            output.write(_line(cells))
    return path.stat().st_size


def _line(cells: list[str]) -> str:
    return ",".join([_cell(cell) for cell in cells]) + "\n"


def _cell(text: str) -> str:
    if not text:
        return '""'
    if '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return f'"{text}"' if "," in text or "\n" in text else text
