"""What is sent of an event: JSON for programs, after Standard Webhooks, or a text for a chat."""

from __future__ import annotations

import json
from typing import Any, Final

from contact_pipeline.database.webhooks import DueDelivery, Kind

_SENTENCES: Final = {
    "import.succeeded": "Imported",
    "import.failed": "Not imported",
    "import.cancelled": "Cancelled",
    "import.undone": "Undone",
    "import.waiting": "Still waiting to be imported",
}


def body_of(delivery: DueDelivery, *, api_url: str, show_file_name: bool) -> bytes:
    """The body of a delivery. It has counts and a link, no contact's value, and the file's name only if that is set.

    The shape of JSON is that of Standard Webhooks (https://www.standardwebhooks.com): `type`, `timestamp`, `data`.
    That of a text is what Slack's incoming webhooks take, and Mattermost's and Rocket.Chat's as well.
    """
    link = f"{api_url}/#import/{delivery.upload_id}" if api_url else None
    if delivery.kind is Kind.TEXT:
        return json.dumps({"text": _text(delivery, link, show_file_name)}).encode()
    data: dict[str, Any] = {"uploadId": delivery.upload_id, "owner": delivery.owner, **delivery.payload}
    if show_file_name:
        data["fileName"] = delivery.file_name
    if link:
        data["url"] = link
    told = {"type": delivery.topic, "timestamp": delivery.created_at.isoformat(), "data": data}
    return json.dumps(told, separators=(",", ":")).encode()


def _text(delivery: DueDelivery, link: str | None, show_file_name: bool) -> str:
    name = delivery.file_name if show_file_name else f"upload {delivery.upload_id[:8]}"
    counts = ", ".join(
        f"{number:,} {what.replace('_', ' ')}"
        for what, number in delivery.payload.items()
        if isinstance(number, int) and number
    )
    code = delivery.payload.get("code")
    parts = [
        f"{_SENTENCES.get(delivery.topic, delivery.topic)}: {name} ({delivery.owner})",
        counts,
        f"reason: {code}" if code else "",
    ]
    # What Slack takes for markup is written as its documentation says.
    text = " · ".join(part for part in parts if part)
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, written)
    return f"{text} · {link}" if link else text
