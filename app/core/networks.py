"""What counts as one network address where attempts and requests are counted."""

import ipaddress


def network_of(address: str | None) -> str:
    """What one customer can not change at will: an IPv4 address, of IPv6 the first address of its 64-bit network.

    An IPv4 address that a socket of both kinds shows as IPv6 (``::ffff:192.0.2.7``) is that IPv4 address: else all of
    them would be one network, and one guesser would use up everybody's share.
    """
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, 64), strict=False).network_address)
        found = found.ipv4_mapped
    return str(found)
