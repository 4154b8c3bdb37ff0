//! Which addresses callbacks may go to. Anyone who may send messages may name one, so that addresses of this machine and of the networks behind it are
//! refused unless the configuration allows them; names are judged by what they resolve to, at each request.

use crate::model::callback::{is_public, names_public};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Addresses of loopback, link-local and private networks may be written to.
    pub allow_private: bool,
}

impl Guard {
    /// The form of the address is fine, and so is its host, as far as it can be seen there.
    pub fn allows(&self, url: &Url) -> bool {
        let scheme = matches!(url.scheme(), "http" | "https");
        scheme && url.has_host() && (self.allow_private || names_public(url))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to no address that may be written to".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_inner_networks_are_refused_in_every_way_to_write_them() {
        let guard = Guard { allow_private: false };
        for bad in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest",
            "http://192.168.1.1:8080/x",
            "http://172.20.0.1/",
            "http://100.64.0.1/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[2002:7f00:1::]/",
            "http://0.0.0.0/",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(!guard.allows(&Url::parse(bad).unwrap()), "{bad}");
        }
        for good in ["https://example.com/hook", "http://8.8.8.8:8080/x?y=1", "http://[2606:4700::1111]/"] {
            assert!(guard.allows(&Url::parse(good).unwrap()), "{good}");
        }
        assert!(Guard { allow_private: true }.allows(&Url::parse("http://127.0.0.1:9/").unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let resolve = |guard: Guard| async move { guard.resolve("localhost".parse().unwrap()).await.is_ok() };
        assert!(!resolve(Guard { allow_private: false }).await);
        assert!(resolve(Guard { allow_private: true }).await);
    }
}
