//! The peer of a connection, and which peers are trusted.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// The peer of a connection: an extension of each request that the connection carries.
///
/// This is the address that the operating system reports, never one from `Forwarded` or `X-Forwarded-For`, which say who is
/// behind the peer. An acceptor inserts it, or a layer outside of `Authenticate` that knows it. Behind a proxy on the same
/// machine whose listener is a Unix domain socket, axum's `Extension(PeerAddress::unix_socket())` is such a layer.
///
/// An IPv4 address that is mapped into IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(Peer);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Ip(IpAddr),
    UnixSocket,
}

impl PeerAddress {
    /// A peer that has connected to a Unix domain socket.
    pub fn unix_socket() -> Self {
        Self(Peer::UnixSocket)
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

impl From<IpAddr> for PeerAddress {
    fn from(address: IpAddr) -> Self {
        Self(Peer::Ip(address.to_canonical()))
    }
}

/// Shows the address without its port.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Peer::Ip(address) => address.fmt(f),
            Peer::UnixSocket => f.write_str("a Unix socket"),
        }
    }
}

/// The proxies whose certificate header is believed.
///
/// Name as few as possible: each process that can connect from such an address can claim any certificate.
#[derive(Clone, Debug, Default)]
pub struct TrustedPeers {
    networks: Vec<Network>,
    unix_sockets: bool,
    faults: Vec<String>,
}

impl TrustedPeers {
    /// The peers with these IP addresses (`10.1.2.3`, `fd00::7`) or in these networks (`10.1.2.0/24`, `fd00:1::/64`).
    ///
    /// A text that is neither, and a network of all addresses, are faults that `build` reports.
    pub fn addresses(addresses: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut trusted = Self::default();
        for text in addresses {
            match Network::parse(text.as_ref()) {
                Ok(network) => trusted.networks.push(network),
                Err(fault) => trusted.faults.push(format!("the trusted peer {:?} {fault}", text.as_ref())),
            }
        }
        trusted
    }

    /// Also trusts every peer that has connected to a Unix domain socket of this service. `TrustedPeers::default()` is the empty
    /// list to begin with. The socket's file permissions decide who can.
    pub fn unix_sockets(self) -> Self {
        Self { unix_sockets: true, ..self }
    }

    pub(super) fn includes(&self, peer: PeerAddress) -> bool {
        match peer.0 {
            Peer::Ip(address) => self.networks.iter().any(|network| network.contains(address)),
            Peer::UnixSocket => self.unix_sockets,
        }
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = String> {
        let is_empty = self.networks.is_empty() && !self.unix_sockets && self.faults.is_empty();
        let empty =
            is_empty.then(|| "no peer is trusted, so that the header would never be read; name the proxy".to_owned());
        self.faults.iter().cloned().chain(empty)
    }
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr =
            address.parse().map_err(|_| "is neither an IP address nor a network, such as 10.1.2.0/24")?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= width)
                .ok_or("has an impossible length; it is at most 32 for IPv4 and 128 for IPv6")?,
            Some(_) => return Err("has a length that is not a number"),
        };
        if prefix == 0 {
            return Err(
                "is everybody, so that each client could claim any certificate; name the proxy's address or network",
            );
        }
        let network = Self { address, prefix };
        if bits(address) & !network.mask() != 0 {
            return Err("has bits after its length; leave the length out for a single address");
        }
        match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix @ 1..)) if address.is_ipv6() => {
                Ok(Self { address: mapped.into(), prefix })
            }
            (IpAddr::V4(_), _) if address.is_ipv6() => Err("is all of IPv4; name the proxy's address or network"),
            _ => Ok(network),
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && (bits(self.address) ^ bits(address)) & self.mask() == 0
    }

    /// The first `prefix` bits of [`bits`].
    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0)
    }
}

/// The bits of an address, from the highest one on.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}
