"""The networks that stand for a device, so that it needs no login."""

from collections.abc import Collection

from mailsettings.domain.device import Device, Peer, plain_peer


class TrustedNetworks:
    """The devices that networks stand for, by network; a look-up costs one step for each length of a prefix."""

    def __init__(self, devices: Collection[Device]) -> None:
        self._devices: dict[tuple[int, int, int], Device] = {}
        for device in devices:
            for network in device.networks:
                self._devices[_key(network.network_address, network.prefixlen)] = device
        self._prefixes = sorted({(version, prefix) for version, prefix, _ in self._devices})
        self.size = len(self._devices)

    def device_of(self, peer: Peer) -> Device | None:
        """Return the device that trusts the network of *peer*, if any."""
        address = plain_peer(peer)
        for version, prefix in self._prefixes:
            if version == address.version and (found := self._devices.get(_key(address, prefix))):
                return found
        return None


def _key(address: Peer, prefix: int) -> tuple[int, int, int]:
    return address.version, prefix, int(address) >> (address.max_prefixlen - prefix)
