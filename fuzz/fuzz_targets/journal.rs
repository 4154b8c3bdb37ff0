//! Any octets as a group of the journal: no panic; and one batch that decodes is exactly what its events encode to.
#![no_main]

use hongyan::engine::event::{self, Event};
use libfuzzer_sys::fuzz_target;

fn events_of(group: &[u8]) -> Option<Vec<(u64, Event)>> {
    let mut events = Vec::new();
    event::read_group(group, &mut |batch, event| events.push((batch, event))).ok()?;
    Some(events)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, octets)) = data.split_first() else { return };
    if first & 1 == 0 {
        // A whole group: batches of whatever size. Each event in a batch of its own must be the same events again.
        let Some(events) = events_of(octets) else { return };
        let mut group = Vec::new();
        for (batch, event) in &events {
            let mut one = Vec::new();
            event::open(&mut one, *batch);
            event::write(event, &mut one);
            event::seal(&mut one);
            group.append(&mut one);
        }
        return assert_eq!(events_of(&group), Some(events));
    }
    // One batch with a true header, so that nearly every input gets to its events. There is one way only to write an event.
    let mut batch = Vec::new();
    event::open(&mut batch, 7);
    batch.extend_from_slice(octets);
    event::seal(&mut batch);
    let Some(events) = events_of(&batch) else { return };
    let mut again = Vec::new();
    event::open(&mut again, 7);
    events.iter().for_each(|(_, event)| event::write(event, &mut again));
    event::seal(&mut again);
    assert_eq!(again, batch);
});
