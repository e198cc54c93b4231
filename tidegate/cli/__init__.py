"""The command line, `tidegate`. Commands stand in modules of this package and import what they work with when they run:
`tidegate serve` must be ready, and `tidegate --help` print, without waiting for what they do not use.
"""

from __future__ import annotations

import os
import sys

import typer

from media.errors import ConfigError
from tidegate.cli import configuration, doctor, events, keys, serve, token
from tidegate.cli.options import USAGE_ERROR

INTERRUPTED = 130  # as a shell says of Ctrl-C
EPILOG = (
    "Start with: tidegate serve. It needs no configuration: data goes to ./tidegate-data, and the page opens on "
    "http://127.0.0.1:8080/. Every option is also a TIDEGATE_… variable and a key of the TOML file."
)

app = typer.Typer(
    name="tidegate",
    help="A self-hosted media server: meetings in the browser, with an API and an SDK.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serve.serve)
app.command("token")(token.token)
app.add_typer(keys.app, name="keys")
app.command("doctor")(doctor.doctor)
app.command("events")(events.events)
app.command("config")(configuration.config)
app.command("openapi")(configuration.openapi)


def main() -> None:
    """The entry point. A wrong option or value, a taken port, an unreadable file: one line, exit code 2."""
    os.umask(0o077)  # the store and the key file hold secrets, whatever the mode of the folder that was given
    try:
        sys.exit(app(prog_name="tidegate", standalone_mode=False))
    except ConfigError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except typer.TyperException as error:
        message = error.format_message()
        is_help = "\n" in message  # no command given
        print(message if is_help else f"tidegate: {message} (try --help)", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except typer.Abort:
        sys.exit(INTERRUPTED)
