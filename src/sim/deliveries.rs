//! What a simulated carrier has to deliver, by token.

use super::delivery::Delivery;

/// Deliveries by token; a token is never used twice, so a late answer finds nothing.
#[derive(Default)]
pub struct Deliveries {
    slots: Vec<(u32, Option<Delivery>)>,
    free: Vec<u32>,
    /// How many there are.
    pub len: u64,
}

impl Deliveries {
    /// Keeps a delivery; its token.
    pub fn add(&mut self, delivery: Delivery) -> u64 {
        self.len += 1;
        match self.free.pop() {
            Some(place) => {
                let slot = &mut self.slots[place as usize];
                slot.1 = Some(delivery);
                u64::from(slot.0) << 32 | u64::from(place)
            }
            None => {
                self.slots.push((0, Some(delivery)));
                self.slots.len() as u64 - 1
            }
        }
    }

    /// The delivery with this token, if it is still there.
    pub fn get(&self, token: u64) -> Option<&Delivery> {
        self.slots.get(token as u32 as usize).filter(|slot| slot.0 == (token >> 32) as u32)?.1.as_ref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, token: u64) -> Option<&mut Delivery> {
        self.slots.get_mut(token as u32 as usize).filter(|slot| slot.0 == (token >> 32) as u32)?.1.as_mut()
    }

    /// It is over.
    pub fn remove(&mut self, token: u64) {
        if self.get(token).is_none() {
            return;
        }
        let slot = &mut self.slots[token as u32 as usize];
        slot.1 = None;
        slot.0 = slot.0.wrapping_add(1);
        self.free.push(token as u32);
        self.len -= 1;
    }
}
