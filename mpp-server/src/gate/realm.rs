//! Which realm a request belongs to: what was configured, never what a header claims.

use mpp_core::Realm;

use crate::error::ConfigError;

/// The variables a realm is read from, first non-empty wins. `HOST` and `HOSTNAME` are not among them: they differ from
/// replica to replica (S18).
const VARIABLES: [&str; 7] = [
    "MPP_REALM",
    "FLY_APP_NAME",
    "HEROKU_APP_NAME",
    "RAILWAY_PUBLIC_DOMAIN",
    "RENDER_EXTERNAL_HOSTNAME",
    "VERCEL_URL",
    "WEBSITE_HOSTNAME",
];

/// The realms of a gate: one of its own, and hosts that may name theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Realms {
    pub(crate) own: Option<Realm>,
    pub(crate) hosts: Vec<Realm>,
}

impl Realms {
    /// The realm for a request: its host where that is on the list, else the gate's own.
    pub(crate) fn of(&self, host: Option<&str>) -> Option<&Realm> {
        let named = || {
            let host = host?.split(':').next()?;
            self.hosts.iter().find(|h| h.as_str().eq_ignore_ascii_case(host))
        };
        named().or(self.own.as_ref())
    }
}

/// A realm a server may call itself: printable ASCII that needs no escaping and cannot shift the slots of an id.
pub(crate) fn checked(realm: &str) -> Result<Realm, ConfigError> {
    let plain = |c: u8| (b' '..=b'~').contains(&c) && !matches!(c, b'|' | b'"' | b'\\');
    if realm.is_empty() || realm.len() > 253 || !realm.bytes().all(plain) {
        return Err(ConfigError::Realm);
    }
    Realm::parse(realm).map_err(|_| ConfigError::Realm)
}

/// Reads the realm from the environment.
pub(crate) fn from_env() -> Result<Realm, ConfigError> {
    let set =
        VARIABLES.iter().filter_map(|name| std::env::var(name).ok()).find(|v| !v.trim().is_empty());
    checked(set.ok_or(ConfigError::NoRealm)?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_a_host_header_picks_no_realm_that_is_not_on_the_list() {
        let realms = Realms {
            own: Some(checked("api.example.com").unwrap()),
            hosts: vec![checked("b.example.com").unwrap()],
        };
        let of = |host| realms.of(host).map(Realm::as_str);
        assert_eq!(of(Some("victim.example.org")), Some("api.example.com"));
        assert_eq!(of(Some("B.example.com:8443")), Some("b.example.com"));
        assert_eq!(of(None), Some("api.example.com"));
        assert_eq!(Realms { own: None, ..realms }.of(Some("evil")), None);
    }

    #[test]
    fn a_realm_that_shifts_slots_is_refused() {
        for bad in ["", "a|b", "a\"b", "a\nb", "ä"] {
            assert!(matches!(checked(bad), Err(ConfigError::Realm)), "{bad}");
        }
    }
}
