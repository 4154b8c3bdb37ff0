//! The only place that knows both PDUs and messages: submissions to messages, messages to submissions, receipts both ways,
//! refusals and outcomes to statuses. Pure functions and writers with reused buffers; sessions are left to `upstream` and `carrier`.

pub mod body;
pub mod item;
pub mod outbound;
pub mod receipt;
pub mod received;
pub mod status;
pub mod submit;
