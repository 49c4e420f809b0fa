"""What counts as one network address."""

import pytest

from app.core.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),  # as a socket for both kinds shows it
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("testclient", "testclient"),
        ("", ""),
        (None, ""),
    ],
)
def test_one_customer_has_one_network(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_two_customers_on_a_socket_for_both_kinds_of_address_are_two() -> None:
    assert network_of("::ffff:192.0.2.7") != network_of("::ffff:192.0.2.8")
