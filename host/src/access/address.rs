//! Whose request it is: the address of the connection, or what a configured proxy says of it.

use http::HeaderMap;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Addresses that are looked at in `X-Forwarded-For`: more proxies stand in front of nothing.
const HOPS_MAX: usize = 32;

/// The header that proxies write.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The network that a client is counted by: its address, or of IPv6 the 64 bits that one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(IpAddr);

impl Client {
    /// The client at an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self(IpAddr::V6(Ipv6Addr::from(network)))
            }
            four => Self(four),
        }
    }

    /// Whether it is one of these networks.
    #[must_use]
    pub fn is_in(&self, networks: &[IpNet]) -> bool {
        networks.iter().any(|network| network.contains(&self.0))
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.is_loopback() || self.0 == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(formatter),
            IpAddr::V6(address) => write!(formatter, "{address}/64"),
        }
    }
}

impl std::str::FromStr for Client {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.strip_suffix("/64").unwrap_or(text);
        address
            .parse()
            .map(Self::of)
            .map_err(|_| "this is no address, such as `203.0.113.7` or `2001:db8::/64`".to_owned())
    }
}

/// The address of a request that came from `peer`. Only a trusted proxy is believed, and of what it says only what trusted proxies wrote: from the right, up to the first
/// address that is none of theirs.
#[must_use]
pub fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|network| network.contains(&address))
    };
    let mut address = peer.to_canonical();
    if !is_trusted(address) {
        return address;
    }
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let hops = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(','))
        .map(str::trim);
    for hop in hops.take(HOPS_MAX) {
        // What is no address is whoever wrote it: nothing left of it is believed.
        let Some(next) = parse(hop) else { break };
        address = next;
        if !is_trusted(address) {
            break;
        }
    }
    address
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or(hop, |(address, _)| address);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|one| one.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        forwarded(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &["203.0.113.7"][..], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            (
                "10.0.0.1",
                &["1.1.1.1", "203.0.113.7, 10.0.0.2"],
                "203.0.113.7",
            ),
            ("10.0.0.1", &["203.0.113.7, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7:443"], "203.0.113.7"),
            ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
        ] {
            assert_eq!(seen(peer, lines), expected, "{peer} {lines:?}");
        }
        let long = vec!["10.0.0.2"; 1000].join(", ");
        assert_eq!(seen("10.0.0.1", &[&format!("1.1.1.1, {long}")]), "10.0.0.2");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_client() {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        for text in ["192.0.2.1", "2001:db8::/64"] {
            assert_eq!(text.parse::<Client>().unwrap().to_string(), text);
        }
        assert!("x".parse::<Client>().is_err());
        assert!(client("::1").is_loopback() && client("127.0.0.2").is_loopback());
        assert!(!client("2001:db8::1").is_loopback());
    }
}
