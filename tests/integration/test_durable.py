"""DBOS itself, in a process of its own: there is one a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, inspect

from lab.stack import ROOT
from services.server_ops.adapters import durable
from tests.postgres import Postgres

PROGRAM = """
import asyncio, json, sys
from uuid import uuid4
from services.server_ops.adapters.durable import DurableWorkflows

async def main():
    durable = DurableWorkflows("sqlite:///" + sys.argv[1], "one")
    ended, begun = [], asyncio.Event()

    async def run(operation):
        async def step():
            if operation == last:
                begun.set()
                await asyncio.Event().wait()
        await durable.step("step", step)
        ended.append(operation)

    *first, last = (uuid4() for _ in range(4))
    durable.launch(run)
    for each in (*first, last):
        await durable.start(each)
    await begun.wait()
    while len(ended) < 3:
        await asyncio.sleep(0.01)
    await durable.forget([*first[:2], uuid4()])
    kept = [await durable.runner(each) for each in (*first, last)]
    await durable.halt()
    given_up = await durable.gave_up(last)
    durable.close()
    print(json.dumps({"kept": kept, "given_up": given_up}))

asyncio.run(main())
"""


def test_workflows_are_forgotten_and_one_that_is_halted_is_not_given_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "dbos.db")],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"kept": [None, None, "one", "one"], "given_up": False}


def test_its_tables_are_there_before_the_first_process_starts(postgres: Postgres) -> None:
    url = postgres.new_database()
    durable.migrate(url)
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    assert "workflow_status" in inspect(engine).get_table_names("dbos")
    engine.dispose()
