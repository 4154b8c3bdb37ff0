//! The vocabulary of the house: ids, messages, their states, refusals, limits and time. Depends on nothing
//! above it and does no IO.

pub mod address;
pub mod callback;
pub mod clock;
pub mod id;
pub mod mark;
pub mod message;
pub mod notes;
pub mod refusal;
pub mod state;

pub use address::Address;
pub use clock::Now;
pub use id::{AccountId, CampaignId, CarrierId, MessageId};
pub use message::{Body, Class, DuplicateAction, Encoding, Message, Report};
pub use refusal::Refusal;
pub use state::State;
