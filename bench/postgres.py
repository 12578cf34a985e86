"""PostgreSQL as people would pick it instead: an audit table, plain, tamper-evident, or with a synchronous standby.

It runs from Debian's packages, as the user ``postgres`` where the bench is run by root, on folders of its own, with
fsync and synchronous commits on; pgbench sends one INSERT per transaction. The settings are those that help it here:
memory for everything, and no checkpoint during a run.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.context import Bench, NotHereError, require, wait_until
from bench.nodes import as_json
from bench.report import percentile
from cli.demo.network import free_ports

VERSION = 15
FOLDERS = (f"/usr/lib/postgresql/{VERSION}/bin", f"/usr/pgsql-{VERSION}/bin")
USER = "postgres"
CONNECTIONS = 32
HELP = f"apt-get install postgresql-{VERSION} (its client package has pgbench)"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "wal_buffers": "16MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "max_connections": "100",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "logging_collector": "off",
}

# The four indexes of an entry: its place, its id, the record that it names, the share that it follows, if there is one.
TABLE = """
CREATE TABLE audit (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    record text NOT NULL,
    parent text,
    event jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_record ON audit (record);
CREATE INDEX audit_parent ON audit (parent) WHERE parent IS NOT NULL;
"""

# Each row has the hash of the row before it. The head of the chain is one row, which each writer holds until its commit
# is on the disk: else a row could follow one that is never there.
CHAIN = """
ALTER TABLE audit ADD COLUMN previous bytea, ADD COLUMN hash bytea;
CREATE TABLE chain_head (one boolean PRIMARY KEY DEFAULT true CHECK (one), hash bytea NOT NULL);
INSERT INTO chain_head (hash) VALUES (sha256(''));
CREATE FUNCTION chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT hash INTO NEW.previous FROM chain_head FOR UPDATE;
    NEW.hash := sha256(NEW.previous || convert_to(
        NEW.place || '|' || NEW.event_id || '|' || NEW.record || '|' || NEW.event::text || '|' || NEW.recorded_at,
        'UTF8'));
    UPDATE chain_head SET hash = NEW.hash;
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION chain();
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What pgbench has measured."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Postgres:
    """One server, or a primary with its standby."""

    def __init__(self, folder: Path, *, chained: bool = False, standby: bool = False) -> None:
        self._bin = find()
        self._folder = folder
        self._chained = chained
        self._standby = standby
        self._port, self._standby_port = free_ports(2)
        self._started: list[Path] = []

    def start(self) -> None:
        """Make the cluster, start it, and make the table."""
        data = self._folder / "primary"
        self._run("initdb", "--pgdata", data, "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER)
        self._configure(data, {**SETTINGS, "port": str(self._port)})
        self._serve(data)
        self._sql("postgres", TABLE + (CHAIN if self._chained else ""))
        if self._standby:
            self._start_standby()

    def stop(self) -> None:
        """Stop what was started."""
        for data in reversed(self._started):
            with suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "stop", "--pgdata", data, "--mode=fast", "--silent")
        self._started.clear()

    def insert(self, seconds: float) -> Figures:
        """Insert for so many seconds over 32 connections, one row per transaction."""
        self._assert_durable()
        logs = self._folder / "pgbench"
        logs.mkdir(exist_ok=True)
        for old in logs.iterdir():
            old.unlink()
        if os.geteuid() == 0:
            shutil.chown(logs, USER)
        before = int(self._sql("postgres", "SELECT count(*) FROM audit"))
        said = self._run(
            "pgbench", "--host=127.0.0.1", f"--port={self._port}", f"--username={USER}", "--no-vacuum",
            f"--client={CONNECTIONS}", "--jobs=1", "--protocol=prepared", f"--time={max(1, round(seconds))}", "--log",
            f"--log-prefix={logs / 'log'}", f"--file={self._script()}", "postgres",
        )  # fmt: skip
        require("number of failed transactions: 0" in said, "no transaction of pgbench failed")
        # client, transaction, microseconds, script, second, microsecond
        taken = [int(line.split()[2]) / 1000 for log in logs.iterdir() for line in log.read_text("ascii").splitlines()]
        after = int(self._sql("postgres", "SELECT count(*) FROM audit"))
        require(after - before == len(taken), "PostgreSQL has every row that it has answered")
        if self._chained:
            links = self._sql("postgres", "SELECT count(*) = count(DISTINCT previous) FROM audit").strip()
            require(links == "t", "every row of the chain follows another one")
        rate = next(float(line.split()[2]) for line in said.splitlines() if line.startswith("tps ="))
        return Figures(rate, percentile(taken, 0.5), percentile(taken, 0.99))

    def _start_standby(self) -> None:
        data = self._folder / "standby"
        self._run(
            "pg_basebackup", "--host=127.0.0.1", f"--port={self._port}", f"--username={USER}", "--pgdata", data,
            "--write-recovery-conf", "--checkpoint=fast",
        )  # fmt: skip
        self._configure(data, {"port": str(self._standby_port), "cluster_name": "second"})
        self._serve(data)
        self._sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._sql("postgres", "SELECT pg_reload_conf()")
        wait_until(lambda: self._sync_state() == "sync", "the standby is synchronous")

    def _sync_state(self) -> str:
        return self._sql("postgres", "SELECT sync_state FROM pg_stat_replication").strip()

    def _assert_durable(self) -> None:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            require(self._sql("postgres", f"SHOW {name}").strip() == "on", f"PostgreSQL runs with {name} on")
        if self._standby:
            require(self._sync_state() == "sync", "PostgreSQL's standby is synchronous")

    def _script(self) -> Path:
        path = self._folder / "insert.sql"
        path.write_text(script(), "utf-8")
        return path

    def _configure(self, data: Path, settings: dict[str, str]) -> None:
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        lines.append(f"unix_socket_directories = '{self._folder}'")
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def _serve(self, data: Path) -> None:
        self._run("pg_ctl", "start", "--pgdata", data, "--wait", "--silent", "--log", self._folder / f"{data.name}.log")
        self._started.append(data)

    def _sql(self, database: str, text: str) -> str:
        return self._run(
            "psql", "--host=127.0.0.1", f"--port={self._port}", f"--username={USER}", "--no-psqlrc", "--quiet",
            "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--command={text}", database,
        )  # fmt: skip

    def _run(self, program: str, *arguments: object) -> str:
        command = [str(self._bin / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", USER, "--", *command]
        pipe = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE  # what it starts would keep a pipe open
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        said = subprocess.run(
            command, cwd=self._folder, stdout=pipe, stderr=pipe, text=True, check=False, env=environment
        )
        if said.returncode != 0:
            raise RuntimeError(f"{program} failed: {(said.stderr or '')[-2000:]}")
        return said.stdout or ""


def script() -> str:
    """Return what pgbench runs: one INSERT of an event like ours, with an id and a record of its own."""
    event = {**load.share(1, "tax.demo.example/log"), "id": "ID", "records": ["RECORD"]}
    # A colon before a letter would be a variable of pgbench's; before a digit or a quote it is a colon.
    before, rest = as_json(event).replace("'", "''").replace("sha-256:", "sha-256=").split("ID", 1)
    middle, after = rest.split("RECORD", 1)
    return f"""\\set a random(0, 9223372036854775806)
\\set b random(0, 9223372036854775806)
INSERT INTO audit (event_id, record, event)
SELECT id::uuid, record, ('{before}' || id || '{middle}' || record || '{after}')::jsonb
FROM (SELECT md5('i' || :a) AS id, md5('r' || :b) AS record) AS made;
"""  # noqa: S608 - of our own words only


def find() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        NotHereError: it is not installed, or cannot be run by this user.
    """
    for folder in map(Path, FOLDERS):
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "pgbench", "pg_basebackup", "psql")):
            break
    else:
        raise NotHereError(f"PostgreSQL {VERSION} is not installed: {HELP}")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            raise NotHereError(f"PostgreSQL does not run as root, and there is no user {USER}: {HELP}") from None
        if shutil.which("runuser") is None:
            raise NotHereError("PostgreSQL does not run as root, and there is no runuser here") from None
    return folder


def version() -> str:
    """Return the server's version in its own words."""
    said = subprocess.run([str(find() / "postgres"), "--version"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


@contextmanager
def server(bench: Bench, *, chained: bool = False, standby: bool = False) -> Iterator[Postgres]:
    """Run PostgreSQL for as long as the block lasts.

    Raises:
        NotHereError: it is not installed.
    """
    find()
    folder = bench.folder("postgres")
    if os.geteuid() == 0:
        for above in (bench.scratch, folder):  # postgres must get there; what others may read there is a benchmark's
            above.chmod(0o755)
        shutil.chown(folder, USER)
    one = Postgres(folder, chained=chained, standby=standby)
    with ExitStack() as stack:
        stack.callback(one.stop)
        one.start()
        yield one
