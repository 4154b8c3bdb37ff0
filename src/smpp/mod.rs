//! SMPP v3.4 and v5.0, sans-io: bytes to PDUs to session events. Knows no account, carrier or message of ours; `link` drives it.

pub mod check;
pub mod command;
pub mod decode;
pub mod encode;
pub mod frame;
pub mod pdu;
pub mod session;
pub mod status;
pub mod time;
pub mod tlv;

pub use decode::{DecodeError, DecodeLimits, Fault, decode};
pub use encode::{encode, encode_empty, encode_message_id_resp};
pub use pdu::{Addr, Bind, BindKind, BindResp, Destination, Header, MessageIdResp, Pdu, Sm};
pub use session::{CloseCause, Event, RequestError, Role, Session, SessionState, Settings};
pub use tlv::{Tlv, TlvBuf, Tlvs};
