//! Ids of accounts and carriers that last: the journal names them by number, the configuration by name. The ledger keeps the table of names; a name keeps
//! its number for ever, whatever the order in the file. What was once configured and is no more keeps its place as a ghost that nobody can bind as.

use crate::config::{Account, AccountSecret, Carrier, Config, Secret};
use crate::store::{Ledger, LedgerUpdate, StoreError};

const BLOB: &str = "names";

/// Names in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Names {
    accounts: Vec<String>,
    carriers: Vec<String>,
}

/// Reads the table, adds what is new in `config`, and makes it durable before any id of it is used.
pub fn load(ledger: &mut dyn Ledger, config: &Config) -> Result<Names, StoreError> {
    let before = match ledger.blob(BLOB)? {
        None => Names::default(),
        Some(blob) => serde_json::from_slice(&blob).map_err(|error| StoreError::io("reading the table of names", error))?,
    };
    let names = before.with(config);
    if names != before {
        ledger.apply(&names.update())?;
    }
    Ok(names)
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

impl Names {
    /// The same with what is new in `config`.
    pub fn with(&self, config: &Config) -> Names {
        let mut names = self.clone();
        config.accounts.iter().for_each(|account| add(&mut names.accounts, &account.name));
        config.carriers.iter().for_each(|carrier| add(&mut names.carriers, &carrier.name));
        names
    }

    /// What the ledger is to keep before any id of a new name is used.
    pub fn update(&self) -> LedgerUpdate {
        let blob = serde_json::to_vec(self).expect("names can be written");
        LedgerUpdate { blobs: vec![(BLOB.to_owned(), blob)], ..LedgerUpdate::default() }
    }

    /// The configuration with accounts and carriers in the order of their ids, ghosts included.
    pub fn arrange(&self, mut config: Config) -> Config {
        let mut accounts = std::mem::take(&mut config.accounts);
        let mut carriers = std::mem::take(&mut config.carriers);
        config.accounts =
            self.accounts.iter().map(|name| take(&mut accounts, |a| a.name == *name).unwrap_or_else(|| ghost_account(name))).collect();
        config.carriers =
            self.carriers.iter().map(|name| take(&mut carriers, |c| c.name == *name).unwrap_or_else(|| ghost_carrier(name))).collect();
        config
    }
}

fn take<T>(from: &mut Vec<T>, is: impl Fn(&T) -> bool) -> Option<T> {
    let at = from.iter().position(is)?;
    Some(from.swap_remove(at))
}

/// Its receipts wait in its outbox until their age is over; nobody can bind as it: no C-octet string holds a NUL, and no password fits.
fn ghost_account(name: &str) -> Account {
    Account {
        name: name.to_owned(),
        system_id: format!("\0{name}"),
        secret: AccountSecret::Hash(Secret::new("!")),
        bind_types: Vec::new(),
        ..Account::default()
    }
}

/// Its messages are expired or fail over; nothing connects to it.
fn ghost_carrier(name: &str) -> Carrier {
    Carrier { name: name.to_owned(), rate_per_s: Some(0), ..Carrier::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryLedger;

    #[test]
    fn a_name_keeps_its_number_whatever_the_order_in_the_file() {
        let mut ledger = MemoryLedger::new();
        let first = Config::default().with_account("a", "x").with_account("b", "x");
        assert_eq!(load(&mut ledger, &first).unwrap().accounts, ["a", "b"]);
        let second = Config::default().with_account("c", "x").with_account("b", "x");
        let names = load(&mut ledger, &second).unwrap();
        assert_eq!(names.accounts, ["a", "b", "c"]);
        let arranged = names.arrange(second);
        assert_eq!(arranged.accounts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(arranged.accounts[0].bind_types.is_empty() && arranged.accounts[0].system_id.contains('\0'));
    }
}
