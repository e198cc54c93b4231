"""`tidegate doctor`: prints the findings of `tidegate/doctor/`."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.options import ConfigOption, DataDirOption, load_config

MARKS = {"ok": "ok  ", "note": "note", "fail": "FAIL"}


def doctor(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="As for serve.", show_default=False)] = None,
    http_port: Annotated[int | None, typer.Option(metavar="PORT", help="As for serve.", show_default=False)] = None,
    rtc_port: Annotated[int | None, typer.Option(metavar="PORT", help="As for serve.", show_default=False)] = None,
    rtmp_port: Annotated[int | None, typer.Option(metavar="PORT", help="As for serve.", show_default=False)] = None,
    announce_ip: Annotated[list[str] | None, typer.Option(metavar="IP", help="As for serve.", show_default=False)] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="As for serve.", show_default=False)] = None,
    tls_cert: Annotated[str | None, typer.Option(metavar="FILE", help="As for serve.", show_default=False)] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="As for serve.", show_default=False)] = None,
) -> None:
    """Check this machine, and say what to do.

    Looks at ports, addresses, certificate, clock and limits; makes a test recording of a second, tries the storage with a
    small file, and looks at disk, links and webhooks. Give it the options and variables of `tidegate serve`, before a start
    or beside the running server. Exit code 1 when something would keep the server from working.
    """
    flags = {
        "data_dir": data_dir,
        "http__host": host,
        "http__port": http_port,
        "rtc__port": rtc_port,
        "rtmp__port": rtmp_port,
        "rtc__announce_ips": tuple(announce_ip) if announce_ip else None,
        "http__public_url": public_url,
        "http__tls_cert": tls_cert,
        "http__tls_key": tls_key,
    }
    effective = load_config(config, **flags)
    from tidegate.doctor import examine

    failed = False
    for finding in examine(effective):
        print(f"{MARKS[finding.status]}  {finding.subject}: {finding.words}")
        if finding.advice:
            print(f"      -> {finding.advice}")
        failed = failed or finding.status == "fail"
    raise typer.Exit(1 if failed else 0)
