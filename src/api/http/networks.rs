//! Whose address a request comes from, if proxies that are trusted say so.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A customer of a provider has this much of an IPv6 address, and all the addresses below it.
const IPV6_CUSTOMER_BITS: u8 = 64;

/// The address of the other end of a connection; every request carries it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// A range of addresses: those that begin with the first `bits` of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl Network {
    pub fn new(address: IpAddr, bits: u8) -> Self {
        Network { address, bits }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let ((own, length), (other, other_length)) = (bits_of(self.address), bits_of(address));
        let shift = 128 - u32::from(self.bits.min(length));
        length == other_length && own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    }
}

/// The proxies whose `X-Forwarded-For` is believed. Without any, all clients may share the address of one that is not
/// known, so no address says anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(pub Vec<Network>);

impl TrustedProxies {
    /// The client's address: from the right the first that is no proxy's of ours. What stands left of it is the client's
    /// own claim. An IPv6 address stands for its customer's network.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if self.0.is_empty() {
            return None;
        }
        let mut client = peer.to_canonical();
        let lists: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|list| list.to_str().unwrap_or("")).collect();
        for entry in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
            if !self.0.iter().any(|network| network.contains(client)) {
                break;
            }
            // What cannot be read was not written by a proxy of ours.
            let Some(address) = parse(entry.trim()) else { break };
            client = address.to_canonical();
        }
        Some(customer(client))
    }
}

/// An address, maybe with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    let without_port = || bare.split_once(':').filter(|(_, port)| !port.contains(':')).map(|(address, _)| address);
    bare.parse().ok().or_else(|| without_port()?.parse().ok())
}

fn customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - u32::from(IPV6_CUSTOMER_BITS));
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(networks: &[(&str, u8)]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(|(address, bits)| Network::new(address.parse().unwrap(), *bits)).collect())
    }

    fn client(proxies: &TrustedProxies, peer: &str, forwarded: &[&str]) -> Option<String> {
        let headers = forwarded.iter().map(|list| (FORWARDED_FOR, list.parse().unwrap())).collect();
        proxies.client(peer.parse().unwrap(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn networks_contain_what_begins_alike() {
        let contains = |network: (&str, u8), address: &str| {
            Network::new(network.0.parse().unwrap(), network.1).contains(address.parse().unwrap())
        };
        assert!(contains(("10.0.0.0", 8), "10.255.1.1") && !contains(("10.0.0.0", 8), "11.0.0.1"));
        assert!(contains(("10.1.2.3", 32), "10.1.2.3") && !contains(("10.1.2.3", 32), "10.1.2.4"));
        assert!(contains(("0.0.0.0", 0), "1.2.3.4") && !contains(("0.0.0.0", 0), "::1"));
        assert!(contains(("fd00::", 8), "fdff::1") && !contains(("fd00::", 8), "fe80::1"));
        assert!(contains(("::1", 128), "::1") && !contains(("::1", 128), "::2"));
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        let ours = proxies(&[("10.0.0.0", 8), ("127.0.0.1", 32)]);
        for (peer, forwarded, expected) in [
            ("127.0.0.1", &["198.51.100.7"][..], "198.51.100.7"),
            ("127.0.0.1", &["198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            // The client claims to be somebody else.
            ("127.0.0.1", &["203.0.113.1, 198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            ("127.0.0.1", &["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
            // Who comes past the proxies is believed nothing.
            ("198.51.100.7", &["203.0.113.1"], "198.51.100.7"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["nonsense, 10.0.0.9"], "10.0.0.9"),
            ("127.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("::ffff:127.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::"),
            ("127.0.0.1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
        ] {
            assert_eq!(client(&ours, peer, forwarded).as_deref(), Some(expected), "{peer} {forwarded:?}");
        }
        assert_eq!(client(&proxies(&[]), "198.51.100.7", &["203.0.113.1"]), None, "nobody knows who that is");
    }
}
