//! Turns an IP address into a verdict: public, grantable by a range, or never reachable.
//!
//! Invariants: only global unicast addresses are public without a grant; an address that carries
//! an IPv4 address inside (mapped, NAT64, 6to4, Teredo) is never better off than that address;
//! what is not known is refused. Nothing here looks a name up or opens a connection, apart from
//! the probe that tells whether an address belongs to this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;

/// What may be done with an address. The text names the kind of address, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressClass {
    /// Reachable for everybody whose grant names the host.
    Public,
    /// Reachable only where the grant's `private` ranges contain it.
    Private(&'static str),
    /// Not reachable, whatever is granted.
    Never(&'static str),
}

/// Why an address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressRefusal {
    /// A range in `private` would allow it.
    NotGranted(IpAddr),
    /// Nothing allows it.
    Never(IpAddr, &'static str),
    /// This host listens there itself.
    OwnListener(SocketAddr),
}

/// IPv4 ranges that are not public, the first match counts.
///
/// Source: IANA's special-purpose registry, and the metadata services of the large clouds, which
/// hand out credentials to whoever can reach them.
const IPV4_RANGES: &[([u8; 4], u8, AddressClass)] = &[
    (
        [0, 0, 0, 0],
        8,
        AddressClass::Never("an unspecified address"),
    ),
    ([10, 0, 0, 0], 8, AddressClass::Private("a private address")),
    (
        [100, 100, 100, 200],
        32,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [100, 64, 0, 0],
        10,
        AddressClass::Private("a carrier-grade NAT address"),
    ),
    (
        [127, 0, 0, 0],
        8,
        AddressClass::Private("a loopback address"),
    ),
    (
        [168, 63, 129, 16],
        32,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [169, 254, 0, 0],
        16,
        AddressClass::Never("a link-local address"),
    ),
    (
        [172, 16, 0, 0],
        12,
        AddressClass::Private("a private address"),
    ),
    (
        [192, 0, 0, 192],
        32,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [192, 0, 0, 0],
        24,
        AddressClass::Private("a protocol assignment"),
    ),
    (
        [192, 0, 2, 0],
        24,
        AddressClass::Private("a documentation address"),
    ),
    ([192, 88, 99, 0], 24, AddressClass::Private("a 6to4 relay")),
    (
        [192, 168, 0, 0],
        16,
        AddressClass::Private("a private address"),
    ),
    (
        [198, 18, 0, 0],
        15,
        AddressClass::Private("a benchmarking address"),
    ),
    (
        [198, 51, 100, 0],
        24,
        AddressClass::Private("a documentation address"),
    ),
    (
        [203, 0, 113, 0],
        24,
        AddressClass::Private("a documentation address"),
    ),
    (
        [224, 0, 0, 0],
        4,
        AddressClass::Never("a multicast address"),
    ),
    (
        [255, 255, 255, 255],
        32,
        AddressClass::Never("the broadcast address"),
    ),
    (
        [240, 0, 0, 0],
        4,
        AddressClass::Private("a reserved address"),
    ),
];

/// IPv6 ranges, the first match counts; what none of them names is not global unicast.
const IPV6_RANGES: &[([u16; 8], u8, AddressClass)] = &[
    ([0; 8], 128, AddressClass::Never("an unspecified address")),
    (
        [0, 0, 0, 0, 0, 0, 0, 1],
        128,
        AddressClass::Private("a loopback address"),
    ),
    (
        [0, 0, 0, 0, 0, 0xffff, 0, 0],
        96,
        AddressClass::Private("an IPv4-mapped address"),
    ),
    (
        [0; 8],
        96,
        AddressClass::Private("an IPv4-compatible address"),
    ),
    (
        [0x64, 0xff9b, 0, 0, 0, 0, 0, 0],
        96,
        AddressClass::Private("a NAT64 address"),
    ),
    (
        [0x64, 0xff9b, 1, 0, 0, 0, 0, 0],
        48,
        AddressClass::Private("a NAT64 address"),
    ),
    (
        [0x100, 0, 0, 0, 0, 0, 0, 0],
        64,
        AddressClass::Private("a discard address"),
    ),
    (
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        32,
        AddressClass::Private("a Teredo address"),
    ),
    (
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        AddressClass::Private("a protocol assignment"),
    ),
    (
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],
        32,
        AddressClass::Private("a documentation address"),
    ),
    (
        [0x2002, 0, 0, 0, 0, 0, 0, 0],
        16,
        AddressClass::Private("a 6to4 address"),
    ),
    (
        [0x3fff, 0, 0, 0, 0, 0, 0, 0],
        20,
        AddressClass::Private("a documentation address"),
    ),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, AddressClass::Public),
    (
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        128,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
        128,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42],
        128,
        AddressClass::Never("a cloud metadata address"),
    ),
    (
        [0xfc00, 0, 0, 0, 0, 0, 0, 0],
        7,
        AddressClass::Private("a unique local address"),
    ),
    (
        [0xfe80, 0, 0, 0, 0, 0, 0, 0],
        10,
        AddressClass::Never("a link-local address"),
    ),
    (
        [0xfec0, 0, 0, 0, 0, 0, 0, 0],
        10,
        AddressClass::Private("a site-local address"),
    ),
    (
        [0xff00, 0, 0, 0, 0, 0, 0, 0],
        8,
        AddressClass::Never("a multicast address"),
    ),
];

/// The class of an address, with what an IPv4 address inside it forbids.
pub(super) fn classify(ip: IpAddr) -> AddressClass {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => {
            let outer = classify_v6(v6);
            match embedded_v4(v6).map(classify_v4) {
                Some(never @ AddressClass::Never(_)) => never,
                _ => outer,
            }
        }
    }
}

fn classify_v4(ip: Ipv4Addr) -> AddressClass {
    let bits = ip.to_bits();
    IPV4_RANGES
        .iter()
        .find(|(net, prefix, _)| {
            let net = Ipv4Addr::from(*net).to_bits();
            (net ^ bits) >> (32 - u32::from(*prefix)) == 0
        })
        .map_or(AddressClass::Public, |(_, _, class)| *class)
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    let bits = ip.to_bits();
    IPV6_RANGES
        .iter()
        .find(|(net, prefix, _)| {
            let net = Ipv6Addr::from(*net).to_bits();
            (net ^ bits) >> (128 - u32::from(*prefix)) == 0
        })
        .map_or(
            AddressClass::Private("not a global unicast address"),
            |(_, _, class)| *class,
        )
}

/// The IPv4 address that packets to `ip` would end at, where the address says so.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let tail = Ipv4Addr::from_bits((u32::from(s[6]) << 16) | u32::from(s[7]));
    match s {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, ..] => Some(tail),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(
            (u32::from(high) << 16) | u32::from(low),
        )),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!tail.to_bits())),
        _ => None,
    }
}

/// Whether `address` may be dialled under the `private` ranges of a grant.
///
/// The check for own listeners comes first: it holds for public addresses as well, since a host
/// that listens on every interface is reachable by its public address too.
pub(super) fn vet(
    address: SocketAddr,
    private: &[IpNet],
    own_listeners: &[SocketAddr],
) -> Result<(), AddressRefusal> {
    let ip = address.ip();
    if let AddressClass::Never(kind) = classify(ip) {
        return Err(AddressRefusal::Never(ip, kind));
    }
    if is_own_listener(address, own_listeners) {
        return Err(AddressRefusal::OwnListener(address));
    }
    let granted = |ip: IpAddr| match classify(ip) {
        AddressClass::Public => true,
        AddressClass::Private(_) => private.iter().any(|range| range.contains(&ip)),
        AddressClass::Never(_) => false,
    };
    let inner = match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded_v4(v6).map(IpAddr::V4),
    };
    if granted(ip) && inner.is_none_or(granted) {
        Ok(())
    } else {
        Err(AddressRefusal::NotGranted(ip))
    }
}

fn is_own_listener(address: SocketAddr, own_listeners: &[SocketAddr]) -> bool {
    let ip = match address.ip() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
    };
    own_listeners.iter().any(|own| {
        let own_ip = own.ip().to_canonical();
        own.port() == address.port() && (own_ip == ip || (own_ip.is_unspecified() && is_local(ip)))
    })
}

/// Whether `ip` is an address of this machine.
///
/// Binding is the question that the system answers exactly, without a list of interfaces that
/// would be out of date. Any other failure than "not available" counts as local: refusing is the
/// safe answer.
fn is_local(ip: IpAddr) -> bool {
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn nets(ranges: &[&str]) -> Vec<IpNet> {
        ranges
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect()
    }

    #[test]
    fn only_global_unicast_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
        ] {
            assert_eq!(classify(ip(public)), AddressClass::Public, "{public}");
        }
        for private in [
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1.2.3.4",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "4000::1",
            "1::1",
        ] {
            assert!(
                matches!(classify(ip(private)), AddressClass::Private(_)),
                "{private}: {:?}",
                classify(ip(private))
            );
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
            // Teredo with the inverted 169.254.169.254 at its end.
            "2001::5601:5601",
        ] {
            assert!(
                matches!(classify(ip(never)), AddressClass::Never(_)),
                "{never}: {:?}",
                classify(ip(never))
            );
        }
    }

    #[test]
    fn a_private_range_allows_what_it_contains_and_nothing_else() {
        let check = |address: &str, private: &[&str]| {
            vet(SocketAddr::new(ip(address), 80), &nets(private), &[])
        };
        assert_eq!(check("8.8.8.8", &[]), Ok(()));
        assert_eq!(check("10.2.3.4", &["10.2.0.0/16"]), Ok(()));
        assert_eq!(
            check("10.3.0.1", &["10.2.0.0/16"]),
            Err(AddressRefusal::NotGranted(ip("10.3.0.1")))
        );
        assert_eq!(check("127.0.0.1", &["127.0.0.0/8"]), Ok(()));
        assert_eq!(check("fd12::1", &["fd12::/16"]), Ok(()));
        // The outer and the inner address must both be granted.
        assert!(check("::ffff:127.0.0.1", &["127.0.0.0/8"]).is_err());
        assert!(check("64:ff9b::7f00:1", &["64:ff9b::/96"]).is_err());
        assert_eq!(check("64:ff9b::808:808", &["64:ff9b::/96"]), Ok(()));
        for never in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "::",
        ] {
            assert!(
                matches!(
                    check(never, &["0.0.0.0/0", "::/0"]),
                    Err(AddressRefusal::Never(..))
                ),
                "{never}"
            );
        }
    }

    #[test]
    fn own_listeners_are_refused_in_every_spelling() {
        let all = nets(&["0.0.0.0/0", "::/0"]);
        let own = |listener: &str, address: &str| {
            let listener: SocketAddr = listener.parse().expect("a listener");
            let address: SocketAddr = address.parse().expect("an address");
            matches!(
                vet(address, &all, &[listener]),
                Err(AddressRefusal::OwnListener(_))
            )
        };
        assert!(own("127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(own("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"));
        assert!(own("127.0.0.1:8080", "[64:ff9b::7f00:1]:8080"));
        assert!(!own("127.0.0.1:8080", "127.0.0.1:8081"));
        assert!(!own("127.0.0.1:8080", "93.184.216.34:8080"));
        assert!(own("0.0.0.0:8080", "127.0.0.1:8080"));
        assert!(own("0.0.0.0:8080", "127.9.9.9:8080"));
        assert!(own("[::]:8080", "127.0.0.1:8080"));
        assert!(!own("0.0.0.0:8080", "93.184.216.34:8080"));
    }
}
