"""`contact-pipeline webhook`: who is told what becomes of imports."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from contact_pipeline.cli.options import HomeOption, JsonOption, connected
from contact_pipeline.cli.output import print_json, print_table
from contact_pipeline.database import webhooks
from contact_pipeline.database.webhooks import EVERYBODY, Kind
from contact_pipeline.stack.home import DEFAULT_HOME

app = typer.Typer(help="Have others told what becomes of imports.", no_args_is_help=True)

WebhookArgument = Annotated[int, typer.Argument(help="The webhook's number, as `webhook list` shows it.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where messages are posted to.")],
    owner: Annotated[str, typer.Option(help="Whose imports; without it, everybody's.")] = EVERYBODY,
    kind: Annotated[
        Kind, typer.Option(help="standard: signed JSON, after Standard Webhooks; text: what Slack takes.")
    ] = Kind.STANDARD,
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Tell an address of imports that succeed, fail, are cancelled or undone, or wait for an hour."""
    with connected(home) as connection:
        number, secret = webhooks.add(connection, owner, url, kind)
    if as_json:
        print_json({"webhook": number, "secret": secret})
        return
    print(secret)
    print(f"Webhook {number}. The receiver checks signatures by this secret; it is shown once.", file=sys.stderr)


@app.command("list")
def list_(as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME) -> None:
    """List the webhooks, with what waits and what was given up."""
    with connected(home) as connection:
        found = webhooks.listed(connection)
    if as_json:
        print_json({"webhooks": found})
        return
    table = Table("webhook", "owner", "url", "kind", "waiting", "given up", "last taken", "trouble", box=None)
    for one in found:
        taken = f"{one['last_delivered_at']:%Y-%m-%d %H:%M}" if one["last_delivered_at"] else ""
        numbers = [str(one["waiting"]), str(one["dead"])]
        table.add_row(str(one["webhook"]), one["owner"], one["url"], one["kind"], *numbers, taken, one["trouble"] or "")
    print_table(table, 160)


@app.command()
def remove(webhook: WebhookArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Tell an address no more."""
    with connected(home) as connection:
        webhooks.remove(connection, webhook)
    print(f"webhook {webhook} is removed")


@app.command()
def replay(webhook: WebhookArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Send once more what was given up, in order."""
    with connected(home) as connection:
        print(f"{webhooks.replay(connection, webhook)} messages are sent again")
