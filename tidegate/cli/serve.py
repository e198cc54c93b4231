"""`tidegate serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tidegate.cli.options import ConfigOption, DataDirOption, load_config

INSECURE = (
    "HTTP is open beyond this machine without TLS: browsers will refuse camera and microphone. "
    "Give --tls-cert and --tls-key, or put a reverse proxy with TLS before it and give --public-url https://…"
)


def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="For HTTP; 0.0.0.0 or :: for all. [default: 127.0.0.1]", show_default=False),
    ] = None,
    http_port: Annotated[int | None, typer.Option(metavar="PORT", help="TCP. [default: 8080]", show_default=False)] = None,
    rtc_port: Annotated[int | None, typer.Option(metavar="PORT", help="UDP, all media. [default: 7882]", show_default=False)] = None,
    rtmp_port: Annotated[int | None, typer.Option(metavar="PORT", help="TCP, for live streams in, not open yet. [default: 1935]", show_default=False)] = None,
    announce_ip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP", help="Address told to browsers, behind NAT; repeatable. auto: ask the STUN server.", show_default=False
        ),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where people reach it: https://meet.example.org.", show_default=False)
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="NET", help="Reverse proxy to believe X-Forwarded-* from; repeatable.", show_default=False),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM chain; read again when it changes.", show_default=False)
    ] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="PEM private key.", show_default=False)] = None,
    drain_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="From SIGTERM to the end. [default: 5]", show_default=False)
    ] = None,
    dev: Annotated[
        bool | None,
        typer.Option("--dev", help="Let the page make its own tokens on any address. Never in public.", show_default=False),
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="FORMAT", help="text or json. [default: text]", show_default=False)] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning, error. [default: info]", show_default=False)
    ] = None,
) -> None:
    """Start the server.

    The first start makes the data directory, the store, and a project with an API key and secret in
    <data-dir>/keys.toml (TIDEGATE_API_KEY and TIDEGATE_API_SECRET override it). Ctrl-C or SIGTERM ends it: people in
    calls are told first. SIGHUP reads the configuration again.

    Precedence: these flags, then TIDEGATE_… variables (TIDEGATE_HTTP_PORT=8443), then the TOML file, then defaults.
    """
    flags = {
        "data_dir": data_dir,
        "http__host": host,
        "http__port": http_port,
        "rtc__port": rtc_port,
        "rtmp__port": rtmp_port,
        "rtc__announce_ips": tuple(announce_ip) if announce_ip else None,
        "http__public_url": public_url,
        "http__trusted_proxies": tuple(trusted_proxy) if trusted_proxy else None,
        "http__tls_cert": tls_cert,
        "http__tls_key": tls_key,
        "drain_timeout": drain_timeout,
        "dev": dev,
        "log__format": log_format,
        "log__level": log_level,
    }
    effective = load_config(config, **flags)
    from tidegate import logs

    logs.configure(effective.log)
    logs.hide(effective.auth.api_secret)
    if effective.needs_secure_origin:
        print(f"tidegate: {INSECURE}", file=sys.stderr)

    from tidegate import app

    raise typer.Exit(app.run(effective, lambda: load_config(config, **flags)))
