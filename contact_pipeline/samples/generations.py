"""Header generations of Apollo.io's exports, as read from real files between 2022 and 2026."""

from __future__ import annotations

from typing import Final

_A1: Final = [
    "First Name",
    "Last Name",
    "Title",
    "Company",
    "Company Name for Emails",
    "Email",
    "Email Status",
    "Email Confidence",
    "Contact Owner",
    "First Phone",
    "Work Direct Phone",
    "Home Phone",
    "Mobile Phone",
    "Corporate Phone",
    "Other Phone",
    "Stage",
    "Lists",
    "Last Contacted",
    "Account Owner",
    "# Employees",
    "Industry",
    "Keywords",
    "Person Linkedin Url",
    "Website",
    "Company Linkedin Url",
    "Facebook Url",
    "Twitter Url",
    "City",
    "State",
    "Country",
    "Company Address",
    "Company City",
    "Company State",
    "Company Country",
    "Company Phone",
    "SEO Description",
    "Technologies",
    "Annual Revenue",
    "Total Funding",
    "Latest Funding",
    "Latest Funding Amount",
    "Last Raised At",
    "Email Sent",
    "Email Open",
    "Email Bounced",
    "Replied",
    "Demoed",
    "Number of Retail Locations",
    "Apollo Contact Id",
    "Apollo Account Id",
]
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
        a5,
        "Email Confidence",
        "Primary Email Catch-all Status",
        "Primary Email Last Verified At",
        "Seniority",
        "Departments",
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
