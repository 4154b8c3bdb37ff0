//! The name of a job, and each message's identity in it: what makes the same command, run again after a break, send nobody twice.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Octets read at once.
const CHUNK: usize = 1 << 20;

/// The name of a job whose file can be read twice: a hash of the file and of what says what is sent. The same command on the same file is the same job.
pub(super) fn of_file(path: &Path, terms: &[&str]) -> std::io::Result<String> {
    let mut hash = Xxh3::new();
    for term in terms {
        hash.update(&(term.len() as u64).to_le_bytes());
        hash.update(term.as_bytes());
    }
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(format!("{:032x}", hash.digest128())),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// A name for a job that nobody named and whose input can't be read twice.
pub(super) fn of_chance() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// What a message to `number` is called in `job`: the same job reaches a number once.
pub(super) fn identity(job: &str, number: u64) -> String {
    let mut key = Vec::with_capacity(job.len() + 9);
    key.extend_from_slice(job.as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_le_bytes());
    format!("{:032x}", xxh3_128(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_and_terms_are_the_same_job_and_anything_else_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, "13800138000\n").unwrap();
        let job = of_file(&path, &["shop", "Hello"]).unwrap();
        assert_eq!(of_file(&path, &["shop", "Hello"]).unwrap(), job);
        assert_ne!(of_file(&path, &["shopH", "ello"]).unwrap(), job);
        std::fs::write(&path, "13800138001\n").unwrap();
        assert_ne!(of_file(&path, &["shop", "Hello"]).unwrap(), job);
        assert_ne!(of_chance(), of_chance());
    }

    #[test]
    fn an_identity_is_of_the_job_and_the_number() {
        assert_eq!(identity("spring", 7), identity("spring", 7));
        assert_ne!(identity("spring", 7), identity("spring", 8));
        assert_ne!(identity("spring", 7), identity("sprint", 7));
    }
}
