"""Ports are given to one process each."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lab.ports import HOST, free_port

ASK = """
from lab.ports import free_port
print(*(free_port() for _ in range(200)), flush=True)
input()
"""


def test_no_two_processes_are_given_the_same_port() -> None:
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    with ThreadPoolExecutor() as pool:
        lines = pool.map(lambda asker: asker.stdout.readline() if asker.stdout else "", askers)
        given = [port for line in lines for port in line.split()]
    for asker in askers:
        asker.communicate("\n", timeout=10)
    assert len(given) == len(set(given)) == 800


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, free_port() + 1))
        taken.listen()
        assert free_port() != taken.getsockname()[1]
