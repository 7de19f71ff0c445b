"""Command about the running site: serve."""

from __future__ import annotations

import click

from demur.cli.frame import Context, guarded, hint, pass_context


@click.command("serve", epilog="Example: demur serve --port 8350")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8350, show_default=True, help="Port to listen on.")
@pass_context
@guarded
def serve(context: Context, host: str, port: int) -> None:
    """Run the site: notices, objections, requests, the person's page, the console, the API."""
    import uvicorn

    from demur.web.app import build_app
    from demur.wiring import open_service

    with open_service(context.workspace) as service:
        hint(context, f"demur: serving on http://{host}:{port} (Ctrl-C stops it)")
        config = uvicorn.Config(
            build_app(service),
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            access_log=False,
            proxy_headers=False,  # web/guard.py reads X-Forwarded-For
        )
        uvicorn.Server(config).run()
