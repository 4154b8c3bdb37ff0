//! A configuration as text and as a list of keys: what `config export` writes and what a reload compares. Secrets are masked unless they are asked for.

use super::route::{ReceiptCause, TimeOfDay};
use super::{AccountSecret, Cidr, Config, Hours, OctetRule, Profile, Secret, SourcePattern, Zone};
use crate::model::state::ReceiptState;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SourcePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

impl Serialize for ReceiptCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            ReceiptCause::State(ReceiptState::Undeliverable) => "undeliverable",
            ReceiptCause::State(ReceiptState::Rejected) => "rejected",
            ReceiptCause::State(ReceiptState::Expired) => "expired",
            ReceiptCause::State(ReceiptState::Deleted) => "deleted",
            ReceiptCause::State(ReceiptState::Skipped) => "skipped",
            ReceiptCause::State(_) => "unknown",
            ReceiptCause::Code(code) => std::str::from_utf8(code).unwrap_or("unknown"),
        })
    }
}

impl Serialize for OctetRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OctetRule::Keep => serializer.serialize_str("keep"),
            OctetRule::Auto => serializer.serialize_str("auto"),
            OctetRule::Fixed(octet) => serializer.serialize_u8(*octet),
        }
    }
}

/// One key that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// The key; accounts and carriers by name, routes by prefix: `account.shop.window`.
    pub key: String,
    /// Its value before; absent: it wasn't there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// Its value now; absent: it isn't there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

impl Config {
    /// The whole configuration as TOML that says the same when it is read (from the directory that it was read from). Without `secrets`, passwords are
    /// masked, and must be filled in before it is read.
    pub fn to_toml(&self, secrets: bool) -> String {
        let mut tree = self.tree();
        if secrets {
            self.tell_secrets(&mut tree);
        }
        toml::to_string(&tree).unwrap_or_else(|error| format!("# this configuration can't be written: {error}\n"))
    }

    /// Keys that differ from those of `before`. A secret that changed is told as such.
    pub fn differences(&self, before: &Config) -> Vec<Difference> {
        let (old, new) = (before.flat(), self.flat());
        let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
        let mut found: Vec<Difference> =
            gone.map(|(key, value)| Difference { key: key.clone(), before: Some(value.clone()), after: None }).collect();
        for (key, after) in new {
            let before = old.get(&key);
            if before != Some(&after) {
                found.push(Difference { key, before: before.cloned(), after: Some(after) });
            }
        }
        for (of, changed) in self.changed_secrets(before) {
            let masked = |state: &str| Some(json!(format!("*** ({state})")));
            found.push(Difference { key: of, before: masked("before"), after: masked(changed) });
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// Keys of secrets that are others than before, where both are told by a name that stayed.
    fn changed_secrets(&self, before: &Config) -> Vec<(String, &'static str)> {
        let mut changed = Vec::new();
        for account in &self.accounts {
            let old = before.accounts.iter().find(|old| old.name == account.name);
            if old.is_some_and(|old| old.secret != account.secret) {
                changed.push((format!("account.{}.password", account.name), "another one"));
            }
            for key in old.iter().flat_map(|_| &account.api_keys) {
                let before = old.and_then(|old| old.api_keys.iter().find(|before| before.id == key.id));
                if before.is_some_and(|before| before.hash != key.hash && before.sha256 == key.sha256) {
                    changed.push((format!("account.{}.api_key.{}", account.name, key.id), "another one"));
                }
            }
        }
        for carrier in &self.carriers {
            let old = before.carriers.iter().find(|old| old.name == carrier.name);
            if old.is_some_and(|old| old.secret != carrier.secret) {
                changed.push((format!("carrier.{}.password", carrier.name), "another one"));
            }
        }
        if self.admin.token != before.admin.token {
            changed.push(("admin.token".to_owned(), "another one"));
        }
        if self.records.key != before.records.key {
            changed.push(("records.key".to_owned(), "another one"));
        }
        changed
    }

    /// As it is written in a file, without what is absent.
    fn tree(&self) -> Value {
        let mut tree = serde_json::to_value(self).unwrap_or_default();
        for (at, carrier) in self.carriers.iter().enumerate() {
            // A profile of another making than a shipped one is told in full.
            let shipped = Profile::shipped(&carrier.profile_name).is_some_and(|mut shipped| {
                shipped.name.clone_from(&carrier.profile.name);
                shipped == carrier.profile
            });
            if !shipped && let Ok(Value::Object(profile)) = serde_json::to_value(&carrier.profile) {
                let base = Some(("base".to_owned(), json!(carrier.profile_name)));
                tree["carrier"][at]["profile"] = Value::Object(base.into_iter().chain(profile).collect());
            }
        }
        strip(&mut tree);
        tree
    }

    fn tell_secrets(&self, tree: &mut Value) {
        let tell = |place: &mut Value, key: &str, secret: &Secret| {
            if place.get(key).is_some() {
                place[key] = json!(secret.expose());
            }
        };
        for (at, account) in self.accounts.iter().enumerate() {
            match &account.secret {
                AccountSecret::Plain(secret) => tell(&mut tree["account"][at], "password", secret),
                AccountSecret::Hash(secret) => tell(&mut tree["account"][at], "password_hash", secret),
            }
        }
        for (at, carrier) in self.carriers.iter().enumerate() {
            tell(&mut tree["carrier"][at], "password", &carrier.secret);
        }
    }

    /// Every key with its value; list entries that have a name stand under it.
    fn flat(&self) -> BTreeMap<String, Value> {
        let mut flat = BTreeMap::new();
        flatten("", &self.tree(), &mut flat);
        flat
    }
}

/// Takes out what is absent.
fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn flatten(at: &str, value: &Value, flat: &mut BTreeMap<String, Value>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| flatten(&below(key), value, flat)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (index, entry) in list.iter().enumerate() {
                let told = |map: &Map<String, Value>, key: &str| map.get(key)?.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
                let name = |map: &Map<String, Value>| ["name", "prefix", "carrier", "id"].iter().find_map(|key| told(map, key));
                let name = entry.as_object().and_then(name).unwrap_or_else(|| format!("#{index}"));
                flatten(&below(&name), entry, flat);
            }
        }
        value => {
            flat.insert(at.to_owned(), value.clone());
        }
    }
}
