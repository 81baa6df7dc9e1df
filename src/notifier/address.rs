//! Which addresses a webhook may be sent to. Checked on the address that is dialed, after every look-up: neither a name
//! that resolves to another address the second time nor another spelling of one gets past it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and length of the prefix.
type Net4 = ([u8; 4], u8);
type Net6 = ([u16; 8], u8);

/// Not on the public internet, or for special use.
const CLOSED_4: [Net4; 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([168, 63, 129, 16], 32),
];
const CLOSED_6: [Net6; 12] = [
    // Unspecified, loopback, IPv4-compatible.
    ([0, 0, 0, 0, 0, 0, 0, 0], 96),
    // NAT64, of either prefix: the IPv4 address inside is not looked at.
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
    // Protocol assignments, Teredo among them.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];
/// Metadata services of clouds: no setting opens them.
const NEVER: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

fn same_prefix(a: u128, b: u128, bits: u32, width: u32) -> bool {
    bits == 0 || (a ^ b) >> (width - bits) == 0
}

/// Whether the address lies in the network.
fn within(address: IpAddr, network: (IpAddr, u8)) -> bool {
    match (address, network) {
        (IpAddr::V4(a), (IpAddr::V4(b), bits)) => {
            same_prefix(u32::from(a).into(), u32::from(b).into(), bits.into(), 32)
        }
        (IpAddr::V6(a), (IpAddr::V6(b), bits)) => same_prefix(a.into(), b.into(), bits.into(), 128),
        _ => false,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => CLOSED_4.iter().all(|(first, bits)| !within(address, (IpAddr::from(*first), *bits))),
        IpAddr::V6(_) => CLOSED_6.iter().all(|(first, bits)| !within(address, (IpAddr::from(*first), *bits))),
    }
}

/// The public internet, and the networks that the settings open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressFilter {
    /// First address and length of the prefix.
    pub allowed: Vec<(IpAddr, u8)>,
}

impl AddressFilter {
    /// Whether this address may be dialed.
    pub fn permits(&self, address: IpAddr) -> bool {
        // `::ffff:a.b.c.d` is dialed as that IPv4 address.
        let address = address.to_canonical();
        if NEVER.contains(&address) {
            return false;
        }
        is_public(address) || self.allowed.iter().any(|network| within(address, *network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: [&str; 54] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.254",
        "127.0.0.1",
        "127.1.2.3",
        "127.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ];
    const OPEN: [&str; 12] = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::200e",
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_dialed() {
        let filter = AddressFilter::default();
        for text in CLOSED {
            assert!(!filter.permits(ip(text)), "{text}");
        }
        for text in OPEN {
            assert!(filter.permits(ip(text)), "{text}");
        }
    }

    #[test]
    fn a_setting_opens_a_network_and_never_the_metadata_services() {
        let filter = AddressFilter { allowed: vec![(ip("10.2.0.0"), 16), (ip("fd00::"), 8), (ip("0.0.0.0"), 0)] };
        assert!(
            filter.permits(ip("10.2.3.4")) && filter.permits(ip("::ffff:10.2.3.4")) && filter.permits(ip("fd12::1"))
        );
        for never in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200"]
        {
            assert!(!filter.permits(ip(never)), "{never}");
        }
        let narrow = AddressFilter { allowed: vec![(ip("10.2.0.0"), 16)] };
        assert!(!narrow.permits(ip("10.3.0.1")) && !narrow.permits(ip("fd12::1")) && !narrow.permits(ip("127.0.0.1")));
    }
}
