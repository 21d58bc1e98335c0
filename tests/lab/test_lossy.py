import socket
import time

import pytest

from lab.lossy import Direction, LossyProxy

DATAGRAMS = 2000


def _echo() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(5)
    return server


def test_datagrams_pass_both_ways_and_clients_are_told_apart() -> None:
    with _echo() as server, LossyProxy(server.getsockname()[1]) as proxy:
        clients = [_echo() for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendto(bytes([number]), ("127.0.0.1", proxy.port))
            datagram, back = server.recvfrom(10)
            server.sendto(datagram * 2, back)
        for number, client in enumerate(clients):
            assert client.recvfrom(10)[0] == bytes([number] * 2)
            client.close()


def _until_decided(proxy: LossyProxy, datagrams: int) -> None:
    """Waits until so many have been passed or dropped."""
    deadline = time.monotonic() + 5
    while proxy.passed + proxy.dropped < datagrams:
        assert time.monotonic() < deadline
        time.sleep(0)


def _sent(proxy: LossyProxy, datagrams: int) -> list[bool]:
    """Sends datagrams one by one and says of each whether it arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", proxy.port))
        fates = []
        for number in range(datagrams):
            passed = proxy.passed
            client.send(b"x")
            _until_decided(proxy, number + 1)
            fates.append(proxy.passed > passed)
    return fates


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3, 1.0])
def test_the_asked_part_is_lost_and_the_rest_arrives(loss: float) -> None:
    with _echo() as server, LossyProxy(server.getsockname()[1], loss=loss, seed=1) as proxy:
        arrived = 0
        with _echo() as client:
            client.connect(("127.0.0.1", proxy.port))
            for number in range(DATAGRAMS):
                client.send(b"x")
                _until_decided(proxy, number + 1)
                # Read as they come: a socket's buffer does not hold them all.
                while arrived < proxy.passed:
                    server.recv(10)
                    arrived += 1
        # Five standard deviations of a binomial.
        assert abs(proxy.dropped - loss * DATAGRAMS) <= 5 * (DATAGRAMS * loss * (1 - loss)) ** 0.5
        assert arrived == proxy.passed == DATAGRAMS - proxy.dropped


def test_replies_are_lost_as_requests_are() -> None:
    with _echo() as server, LossyProxy(server.getsockname()[1]) as proxy, _echo() as client:
        client.sendto(b"x", ("127.0.0.1", proxy.port))
        _, back = server.recvfrom(10)
        proxy.loss = 0.3
        for number in range(DATAGRAMS):
            server.sendto(b"y", back)
            _until_decided(proxy, number + 2)
        assert abs(proxy.dropped - 0.3 * DATAGRAMS) <= 5 * (DATAGRAMS * 0.3 * 0.7) ** 0.5


def test_the_same_seed_loses_the_same() -> None:
    fates = []
    for seed in (7, 7, 8):
        with _echo() as server, LossyProxy(server.getsockname()[1], loss=0.5, seed=seed) as proxy:
            fates.append(_sent(proxy, 64))
    assert fates[0] == fates[1] != fates[2]


def test_the_loss_can_be_changed_while_it_runs() -> None:
    with _echo() as server, LossyProxy(server.getsockname()[1], loss=1.0) as proxy:
        assert _sent(proxy, 5) == [False] * 5
        proxy.loss = 0.0
        with _echo() as client:
            client.sendto(b"x", ("127.0.0.1", proxy.port))
            assert server.recv(10) == b"x"


def test_it_survives_that_nobody_listens() -> None:
    with _echo() as server:
        target = server.getsockname()[1]
    with LossyProxy(target) as proxy, _echo() as client:
        client.connect(("127.0.0.1", proxy.port))
        for number in range(3):
            client.send(b"x")
            _until_decided(proxy, number + 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(("127.0.0.1", target))
            late.settimeout(5)
            client.send(b"y")
            assert late.recv(10) == b"y"


def test_a_test_can_choose_what_is_lost() -> None:
    with _echo() as server, LossyProxy(server.getsockname()[1]) as proxy, _echo() as client:
        proxy.drop = lambda datagram, direction: (
            direction is Direction.REQUEST and datagram == b"lose me"
        )
        client.connect(("127.0.0.1", proxy.port))
        client.send(b"lose me")
        client.send(b"keep me")
        assert server.recv(10) == b"keep me"
        assert proxy.dropped == 1
