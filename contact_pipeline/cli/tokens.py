"""`contact-pipeline token`: who may use the upload service."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from contact_pipeline.cli.options import HomeOption, JsonOption, connected
from contact_pipeline.cli.output import print_json, print_table
from contact_pipeline.database import tokens
from contact_pipeline.database.tokens import Role
from contact_pipeline.errors import InvalidOwner
from contact_pipeline.stack.home import DEFAULT_HOME

app = typer.Typer(help="Make, list and revoke tokens of the upload service.", no_args_is_help=True)


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose uploads its bearer sees: a name of a-z, 0-9 and . _ @ -")],
    role: Annotated[
        Role, typer.Option(help="uploader: this owner's uploads and imports; operator: everybody's.")
    ] = "uploader",
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a token, and show it: only its hash is kept."""
    with connected(home) as connection:
        try:
            token_id, token = tokens.create_token(connection, owner, role)
        except InvalidOwner as error:
            raise typer.BadParameter(str(error), param_hint="--owner") from None
    if as_json:
        print_json({"token_id": token_id, "owner": owner, "role": role, "token": token})
    else:
        print(token)
        print(f"This is shown once. Revoke it with: contact-pipeline token revoke {token_id}", file=sys.stderr)


@app.command("list")
def list_(as_json: JsonOption = False, home: HomeOption = DEFAULT_HOME) -> None:
    """List the tokens, the newest first."""
    with connected(home) as connection:
        found = tokens.tokens(connection)
    if as_json:
        print_json({"tokens": found})
        return
    table = Table("id", "owner", "role", "created", "used", "revoked", box=None)
    for token in found:
        moments = [_shown(token[name]) for name in ("created_at", "used_at", "revoked_at")]
        table.add_row(token["token_id"], token["owner"], token["role"], *moments)
    print_table(table, 120)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="The token's id, as `token list` shows it.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Revoke a token: its next call is refused."""
    with connected(home) as connection:
        if not tokens.revoke_token(connection, token_id):
            raise typer.BadParameter(f"there is no token {token_id!r}", param_hint="TOKEN_ID")
    print(f"{token_id} is revoked")


def _shown(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
