//! What the record files don't hold: how far the journal is written down, and the messages under way that have left memory. One small SQLite database,
//! `records.db`, changed in one transaction each time files were finished: so what is in files and what is not always fit together.

use crate::engine::trail::table::{Kept, Written};
use crate::model::MessageId;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// The tables' form.
const SCHEMA: i32 = 1;
const TABLES: &str = "CREATE TABLE place(one INTEGER PRIMARY KEY CHECK(one = 1), low INTEGER NOT NULL, over INTEGER NOT NULL, ended INTEGER NOT NULL, \
                      rows INTEGER NOT NULL, lost INTEGER NOT NULL, writes INTEGER NOT NULL) STRICT; \
                      CREATE TABLE open(id INTEGER PRIMARY KEY, upto INTEGER NOT NULL, revision INTEGER NOT NULL, octets BLOB NOT NULL) STRICT; \
                      CREATE INDEX open_upto ON open(upto);";

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The first group that is still needed.
    pub low: u64,
    /// What is in files.
    pub written: Written,
    /// Rows in files so far, those that retention removed included.
    pub rows: u64,
    /// How often groups were gone before they were read.
    pub lost: u64,
    /// How often files were written: the number of the last time stands in the files' names.
    pub writes: u64,
}

/// The database.
pub struct Places {
    connection: Connection,
    /// Messages in it.
    open: u64,
}

/// One change.
pub struct Change<'a> {
    /// The new place.
    pub place: Place,
    /// Messages that leave memory, with what is kept of them.
    pub put: Vec<Kept>,
    /// Messages that are not needed any more.
    pub delete: &'a [MessageId],
}

fn id(message: MessageId) -> i64 {
    message.0 as i64
}

/// A bound of ids, which are below 2^63.
fn bound(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

impl Places {
    /// Opens or creates it.
    ///
    /// # Errors
    /// In words.
    pub fn open(path: &Path) -> Result<Places, String> {
        Places::try_open(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn try_open(path: &Path) -> rusqlite::Result<Places> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;")?;
        let schema: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema == 0 {
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={SCHEMA}; COMMIT;"))?;
        }
        let open: i64 = connection.query_row("SELECT count(*) FROM open", [], |row| row.get(0))?;
        Ok(Places { connection, open: open as u64 })
    }

    /// The place; `None` if there never was one.
    pub fn place(&self) -> Result<Option<Place>, String> {
        let sql = "SELECT low, over, ended, rows, lost, writes FROM place";
        let read = |row: &rusqlite::Row<'_>| {
            let number = |at: usize| row.get::<_, i64>(at).map(|number| number as u64);
            let written = Written { over: number(1)?, ended: number(2)? };
            Ok(Place { low: number(0)?, written, rows: number(3)?, lost: number(4)?, writes: number(5)? })
        };
        self.connection.query_row(sql, [], read).optional().map_err(|error| error.to_string())
    }

    /// Messages in it that are up to date with `low` or a later group.
    pub fn known(&self, low: u64) -> Result<hashbrown::HashMap<MessageId, u64>, String> {
        let run = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare("SELECT id, upto FROM open WHERE upto >= ?1")?;
            let rows =
                statement.query_map([low as i64], |row| Ok((MessageId(row.get::<_, i64>(0)? as u64), row.get::<_, i64>(1)? as u64)))?;
            rows.collect()
        };
        run().map_err(|error: rusqlite::Error| error.to_string())
    }

    /// What is kept of these, sorted, where anything is.
    pub fn get(&self, messages: &[MessageId]) -> Result<Vec<Kept>, String> {
        if self.open == 0 {
            return Ok(Vec::new());
        }
        let run = || -> rusqlite::Result<Vec<Kept>> {
            let mut statement = self.connection.prepare_cached("SELECT revision, octets FROM open WHERE id = ?1")?;
            let mut found = Vec::new();
            for &message in messages {
                let kept = statement
                    .query_row([id(message)], |row| Ok(Kept { message, revision: row.get::<_, i64>(0)? as u8, octets: row.get(1)? }));
                found.extend(kept.optional()?);
            }
            Ok(found)
        };
        run().map_err(|error| error.to_string())
    }

    /// The newest with ids from the first of `ids` up to but without the other, at most so many, until `each` has enough. True if there may be
    /// more that nobody has looked at.
    pub fn newest(&self, ids: (u64, u64), most: usize, each: &mut dyn FnMut(Kept) -> bool) -> Result<bool, String> {
        let mut run = || -> rusqlite::Result<bool> {
            let sql = "SELECT id, revision, octets FROM open WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![bound(ids.0), bound(ids.1), most as i64])?;
            let mut looked_at = 0;
            while let Some(row) = rows.next()? {
                let message = MessageId(row.get::<_, i64>(0)? as u64);
                looked_at += 1;
                if each(Kept { message, revision: row.get::<_, i64>(1)? as u8, octets: row.get(2)? }) {
                    return Ok(false);
                }
                if looked_at == most {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        run().map_err(|error| error.to_string())
    }

    /// Changes it; durable on return. `upto`: what is put is true up to this position.
    pub fn change(&mut self, upto: u64, change: &Change<'_>) -> Result<(), String> {
        self.try_change(upto, change).map_err(|error| error.to_string())
    }

    fn try_change(&mut self, upto: u64, change: &Change<'_>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO open(id, upto, revision, octets) VALUES(?1, ?2, ?3, ?4)")?;
            for kept in &change.put {
                put.execute(params![id(kept.message), upto as i64, kept.revision, kept.octets])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM open WHERE id = ?1")?;
            for &message in change.delete {
                delete.execute([id(message)])?;
            }
            let Place { low, written, rows, lost, writes } = change.place;
            let sql = "INSERT OR REPLACE INTO place(one, low, over, ended, rows, lost, writes) VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6)";
            let numbers = [low, written.over, written.ended, rows, lost, writes].map(|number| number as i64);
            transaction.prepare_cached(sql)?.execute(numbers)?;
        }
        transaction.commit()?;
        if !change.put.is_empty() || !change.delete.is_empty() {
            self.open = self.connection.query_row("SELECT count(*) FROM open", [], |row| row.get::<_, i64>(0))? as u64;
        }
        Ok(())
    }

    /// Forgets messages with ids below `before`: nothing will end them any more.
    pub fn forget_before(&mut self, before: u64) -> Result<usize, String> {
        let gone = self.connection.execute("DELETE FROM open WHERE id < ?1", [before as i64]).map_err(|error| error.to_string())?;
        self.open -= (gone as u64).min(self.open);
        Ok(gone)
    }

    /// Messages in it.
    pub fn open_messages(&self) -> u64 {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_whole_and_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let mut places = Places::open(&path).unwrap();
        assert_eq!(places.place().unwrap(), None);
        let kept = |id: u64, octet: u8| Kept { message: MessageId(id), revision: octet, octets: vec![octet; 3] };
        let place = Place { low: 5, written: Written { over: 9, ended: 7 }, rows: 3, lost: 1, writes: 2 };
        places.change(9, &Change { place, put: vec![kept(10, 1), kept(20, 2)], delete: &[] }).unwrap();
        let next = Place { low: 8, writes: 3, ..place };
        places.change(12, &Change { place: next, put: vec![kept(10, 3), kept(30, 4)], delete: &[MessageId(20), MessageId(99)] }).unwrap();
        drop(places);
        let mut places = Places::open(&path).unwrap();
        assert_eq!((places.place().unwrap(), places.open_messages()), (Some(next), 2));
        assert_eq!(
            places.get(&[MessageId(10), MessageId(20), MessageId(30)]).unwrap(),
            [kept(10, 3), kept(30, 4)],
            "replaced, deleted, put"
        );
        let newest = |ids, most, enough: usize| {
            let mut found = Vec::new();
            let more = places.newest(ids, most, &mut |kept| {
                found.push(kept.message.0);
                found.len() == enough
            });
            (found, more.unwrap())
        };
        assert_eq!(newest((0, u64::MAX), 9, 9), (vec![30, 10], false), "all of them, newest first");
        assert_eq!(newest((0, 30), 9, 9), (vec![10], false));
        assert_eq!(newest((0, u64::MAX), 9, 1), (vec![30], false), "enough");
        assert_eq!(newest((0, u64::MAX), 1, 9), (vec![30], true), "there may be more");
        assert_eq!(places.known(12).unwrap().len(), 2);
        assert_eq!(places.known(13).unwrap().len(), 0);
        assert_eq!((places.forget_before(11).unwrap(), places.open_messages()), (1, 1));
    }
}
