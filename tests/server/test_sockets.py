"""The sockets of the HTTP server: one for each address, and clients of IPv4 keep their addresses."""

import socket

import pytest

from mailsettings.server.sockets import listening_sockets
from mailsettings.settings import Settings

from support.processes import free_port


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::", ["::", "0.0.0.0"]),
        ("[::]", ["::", "0.0.0.0"]),
        ("0.0.0.0, ::", ["0.0.0.0", "::"]),
        ("192.0.2.1,[2001:db8::1]", ["192.0.2.1", "2001:db8::1"]),
    ],
)
def test_hosts_are_a_list_and_both_families(host: str, expected: list[str]) -> None:
    assert expected == Settings(host=host).hosts


def test_each_family_has_a_socket_that_shows_its_clients() -> None:
    port = free_port()
    sockets = listening_sockets(Settings(host="::").hosts, port, 8)
    seen = []
    for listening in sockets:
        family, loopback = listening.family, "::1" if listening.family == socket.AF_INET6 else "127.0.0.1"
        with socket.create_connection((loopback, port)):
            listening.setblocking(True)
            client, address = listening.accept()
            client.close()
        seen.append((family, address[0]))
        listening.close()

    assert seen == [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]


def test_an_address_in_use_is_named_and_others_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1:{port}: Address already in use"):
            listening_sockets(["127.0.0.2", "127.0.0.1"], port, 8)

        listening_sockets(["127.0.0.2"], port, 8)[0].close()


def test_a_host_that_is_not_found_is_named() -> None:
    with pytest.raises(OSError, match=r"Cannot listen on name\.invalid: "):
        listening_sockets(["name.invalid"], 1, 8)
