//! Unique marks in the texts of test messages, by which conservation is judged from outside: the load generator
//! writes them, the simulated carrier and the receipts' text show them again.

/// Octets of a mark: four of the run, sixteen hexadecimal digits of the number. Twenty, because a receipt quotes the first twenty.
pub const MARK_LEN: usize = 20;
/// Highest number that [`Marks`] keeps a bit for.
pub const MARK_NUMBER_MAX: u64 = (1 << 30) - 1;
/// Most runs that [`Marks`] tells apart.
pub const MARK_RUNS_MAX: usize = 64;

/// Four letters or digits that tell one run of a load generator from another.
pub type RunId = [u8; 4];

/// The mark of message `number` of `run`.
pub fn write_mark(run: RunId, number: u64) -> [u8; MARK_LEN] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut mark = [0; MARK_LEN];
    mark[..4].copy_from_slice(&run);
    for (place, octet) in mark[4..].iter_mut().enumerate() {
        *octet = HEX[(number >> (60 - 4 * place)) as usize & 15];
    }
    mark
}

/// Reads the mark at the start of `text`.
pub fn read_mark(text: &[u8]) -> Option<(RunId, u64)> {
    let mark = text.first_chunk::<MARK_LEN>()?;
    let run = *mark.first_chunk::<4>()?;
    if !run.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let mut number = 0u64;
    for &octet in &mark[4..] {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(digit);
    }
    Some((run, number))
}

/// A set of small numbers, one bit each; grows to the largest.
#[derive(Debug, Default, Clone)]
pub struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    /// Adds `number`; false if it was there. Numbers above [`MARK_NUMBER_MAX`] are not kept (and count as new).
    pub fn insert(&mut self, number: u64) -> bool {
        if number > MARK_NUMBER_MAX {
            return true;
        }
        let (word, bit) = ((number / 64) as usize, 1u64 << (number % 64));
        if word >= self.words.len() {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(new);
        new
    }

    /// Is `number` in it?
    pub fn contains(&self, number: u64) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    /// How many are in it.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many are in this set and not in `other`.
    pub fn without(&self, other: &Bits) -> u64 {
        let gone = |(place, word): (usize, &u64)| (word & !other.words.get(place).copied().unwrap_or(0)).count_ones();
        self.words.iter().enumerate().map(|entry| u64::from(gone(entry))).sum()
    }
}

/// What was seen of one run's marks.
#[derive(Debug, Default, Clone)]
pub struct RunMarks {
    /// Numbers seen at least once.
    pub seen: Bits,
    /// How often a number came that had been seen before.
    pub duplicates: u64,
    /// When each number came first, monotonic microseconds, 0: not yet. Kept only where [`Marks::time`] asked for it.
    pub first_us: Vec<u64>,
    /// When the latest one came, monotonic microseconds.
    pub last_us: u64,
}

/// The marks of all runs that came by. At most [`MARK_RUNS_MAX`] runs; marks of further ones are not counted.
#[derive(Debug, Default, Clone)]
pub struct Marks {
    runs: Vec<(RunId, RunMarks)>,
}

impl Marks {
    /// Counts the mark at the start of `text`, if there is one.
    pub fn note(&mut self, text: &[u8], now_us: u64) {
        let Some((run, number)) = read_mark(text) else { return };
        let Some(marks) = self.run_mut(run) else { return };
        marks.last_us = now_us;
        if !marks.seen.insert(number) {
            marks.duplicates += 1;
        } else if let Some(first_us) = marks.first_us.get_mut(number as usize) {
            *first_us = now_us;
        }
    }

    fn run_mut(&mut self, run: RunId) -> Option<&mut RunMarks> {
        let place = match self.runs.iter().position(|(known, _)| *known == run) {
            Some(place) => place,
            None if self.runs.len() < MARK_RUNS_MAX => {
                self.runs.push((run, RunMarks::default()));
                self.runs.len() - 1
            }
            None => return None,
        };
        Some(&mut self.runs[place].1)
    }

    /// From now on the times at which the first `count` numbers of `run` come are kept.
    pub fn time(&mut self, run: RunId, count: usize) {
        if let Some(marks) = self.run_mut(run) {
            marks.first_us.resize(count, 0);
        }
    }

    /// What was seen of `run`.
    pub fn run(&self, run: RunId) -> Option<&RunMarks> {
        self.runs.iter().find(|(known, _)| *known == run).map(|(_, marks)| marks)
    }

    /// Distinct numbers and repeats over all runs.
    pub fn totals(&self) -> (u64, u64) {
        self.runs.iter().fold((0, 0), |sum, (_, marks)| (sum.0 + marks.seen.len(), sum.1 + marks.duplicates))
    }

    /// Each run with its distinct numbers and repeats.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, u64, u64)> + '_ {
        self.runs.iter().map(|(run, marks)| (*run, marks.seen.len(), marks.duplicates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_repeats_are_counted() {
        let mark = write_mark(*b"a1Zz", 0x12_3456_789a);
        assert_eq!(&mark, b"a1Zz000000123456789a");
        assert_eq!(read_mark(&mark), Some((*b"a1Zz", 0x12_3456_789a)));
        assert_eq!(read_mark(b"a1Zz00000012345678 9a"), None);
        assert_eq!(read_mark(b"short"), None);
        let mut marks = Marks::default();
        marks.time(*b"run1", 4);
        for (at, number) in [3, 70, 3, 0].into_iter().enumerate() {
            marks.note(&write_mark(*b"run1", number), 10 + at as u64);
        }
        marks.note(b"an ordinary text without a mark", 20);
        let run = marks.run(*b"run1").unwrap();
        assert_eq!((run.seen.len(), run.duplicates, run.seen.contains(70), run.seen.contains(69)), (3, 1, true, false));
        assert_eq!((&run.first_us[..], run.last_us), (&[13, 0, 0, 10][..], 13), "times of the first four, each the first time it came");
        let mut other = Bits::default();
        other.insert(70);
        assert_eq!((run.seen.without(&other), other.without(&run.seen)), (2, 0));
    }
}
