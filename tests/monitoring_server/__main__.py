"""Run the server by hand: `python -m tests.monitoring_server --port 0`."""

from datetime import UTC, datetime

import click

from tests.monitoring_server import MonitoringServer
from tests.monitoring_server.fleet import fill


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--vms", default=10, show_default=True)
@click.option("--days", default=15, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--now", default=None, help="The server's clock, RFC 3339; the real time unless given.")
def main(port: int, vms: int, days: int, seed: int, now: str | None) -> None:
    """Serve a made-up fleet's metrics in project `p` over loopback until interrupted."""
    server = MonitoringServer(now=datetime.fromisoformat(now) if now else datetime.now(UTC), port=port)
    fill(server, vms=vms, days=days, seed=seed)
    with server:
        click.echo(f"Cloud Monitoring's protocol on {server.endpoint}, project p. Point the job at it:")
        click.echo(f"  MONITORING_EMULATOR_HOST={server.endpoint} netanomaly run --source monitoring --project p")
        server.wait()


if __name__ == "__main__":
    main()
