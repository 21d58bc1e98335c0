import socket

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


def test_the_asked_part_is_lost() -> None:
    with (
        _echo() as server,
        LossyProxy(server.getsockname()[1], loss=0.3, seed=1) as proxy,
        _echo() as client,
    ):
        client.connect(("127.0.0.1", proxy.port))
        arrived = 0
        for number in range(1, DATAGRAMS + 1):
            client.send(b"x")
            while proxy.passed + proxy.dropped < number:
                pass
            if proxy.passed > arrived:
                server.recv(10)
                arrived += 1
        # Five standard deviations of a binomial: 5 x sqrt(2000 x 0.3 x 0.7) = 102
        assert abs(proxy.dropped - 0.3 * DATAGRAMS) < 102
        assert arrived == DATAGRAMS - proxy.dropped


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
