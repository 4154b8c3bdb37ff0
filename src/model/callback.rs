//! Which addresses callbacks may name. Anyone who may send messages may name one, so that hosts of this machine and of the networks behind it are refused
//! where the configuration does not allow them. What a name leads to is judged at each request; here is what can be seen in the address itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// It is on the public network: not this machine, not a private, link-local, shared, documentation, multicast or reserved one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

/// The host of an address is public as far as it can be seen: by number, or by a name that is not this machine's own.
pub fn names_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name != "localhost" && !name.ends_with(".localhost")
        }
        None => false,
    }
}

/// An address of http or https with a host; `None`: it is none.
pub fn parsed(text: &str) -> Option<Url> {
    let is_address = text.starts_with("http://") || text.starts_with("https://");
    let url = Url::parse(text).ok().filter(|_| is_address)?;
    url.host_str().is_some_and(|host| !host.is_empty()).then_some(url)
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special = a == 0 || a >= 224 || (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19));
    !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation() || shared || special)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    // Global unicast is 2000::/3; 6to4 and Teredo carry an address of the other kind, 2001:db8::/32 is for documents.
    let carries_v4 = first == 0x2002 || (first == 0x2001 && v6.segments()[1] == 0);
    first & 0xe000 == 0x2000 && !carries_v4 && !(first == 0x2001 && v6.segments()[1] == 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_and_of_inner_networks_are_seen_in_every_way_to_write_them() {
        for inner in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://example.com@127.0.0.1/",
            "http://10.1.2.3:8080/x",
            "http://169.254.169.254/latest",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
            "http://LocalHost.:80/",
            "https://hooks.localhost/",
        ] {
            assert!(!names_public(&parsed(inner).unwrap()), "{inner}");
        }
        for public in
            ["https://example.com/hook", "http://localhost.example.com/", "http://8.8.8.8:8080/x?y=1", "http://[2606:4700::1111]/"]
        {
            assert!(names_public(&parsed(public).unwrap()), "{public}");
        }
        for none in ["", "ftp://example.com/", "file:///etc/passwd", "http://", "http:example.com", "example.com/hook"] {
            assert!(parsed(none).is_none(), "{none}");
        }
    }
}
