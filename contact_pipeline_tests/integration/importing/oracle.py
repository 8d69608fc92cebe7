"""An independent, slow importer: rows one by one, in Python's own types, by the rules as they are written down.

It shares no code with the product. Its rows hold values that no cleaner changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VALUES = ("contact_id", "email", "linkedin", "first_name", "last_name", "company", "title", "phone")


@dataclass
class Contact:
    values: dict[str, str] = field(default_factory=dict)
    uploaded_at: int = 0
    name_company: str | None = None


class Oracle:
    """Contacts after any number of uploads."""

    def __init__(self) -> None:
        self.contacts: list[Contact] = []

    def upload(self, rows: list[dict[str, str]], uploaded_at: int) -> None:
        for row in rows:
            self._row({name: value for name, value in row.items() if value}, uploaded_at)

    def _row(self, row: dict[str, str], uploaded_at: int) -> None:
        name_company = self._name_company(row)
        if not (row.keys() & {"contact_id", "email", "linkedin"} or name_company):
            return
        contact = self._find(row, name_company)
        if contact is None:
            self.contacts.append(Contact(dict(row), uploaded_at, name_company))
            return
        older = uploaded_at < contact.uploaded_at
        contact.name_company = contact.name_company or name_company
        for name, value in row.items():
            if name == "contact_id" or older:
                contact.values.setdefault(name, value)
            else:
                contact.values[name] = value
        # By what it confirms an upload is the newest too.
        contact.uploaded_at = max(contact.uploaded_at, uploaded_at)

    @staticmethod
    def _name_company(row: dict[str, str]) -> str | None:
        name = f"{row.get('first_name', '')} {row.get('last_name', '')}".strip().lower()
        return f"{name}|{row['company'].lower()}" if name and "company" in row else None

    def _find(self, row: dict[str, str], name_company: str | None) -> Contact | None:
        if "contact_id" in row:
            for contact in self.contacts:
                if contact.values.get("contact_id") == row["contact_id"]:
                    return contact
        for rung in ("email", "linkedin"):
            if rung in row:
                found = self._one([c for c in self.contacts if c.values.get(rung) == row[rung]], row)
                if found is not None:
                    return found
        if name_company is not None:
            namesakes = [c for c in self.contacts if c.name_company == name_company]
            if row.keys() & {"contact_id", "email", "linkedin"}:
                namesakes = [c for c in namesakes if not c.values.keys() & {"contact_id", "email", "linkedin"}]
            return self._one(namesakes, row)
        return None

    @staticmethod
    def _one(candidates: list[Contact], row: dict[str, str]) -> Contact | None:
        free = [c for c in candidates if "contact_id" not in c.values]
        if free:
            return free[0]
        if "contact_id" in row or len(candidates) != 1:
            return None
        return candidates[0]
