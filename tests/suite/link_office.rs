//! An office of accounts and the sessions of their clients, without sockets: what the tests of upstream sessions share.

use super::link_rig::{Rig, START_MS, Seen};
use hongyan::config::Account;
use hongyan::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Draft, Input, Report, SessionId, UpstreamReply};
use hongyan::link::accounts::{Accounts, AuthenticateJob, Verifier};
use hongyan::link::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use hongyan::model::state::ReceiptState;
use hongyan::model::{Address, Encoding, MessageId};
use hongyan::smpp::{Addr, Bind, BindKind, Pdu, Settings, Sm};
use std::sync::{Arc, Mutex};

pub const ID: MessageId = MessageId(1_944_864_000_000_000_001);
pub const ID_TEXT: &[u8] = b"1944864000000000001";

/// Keeps jobs until the test lets them run.
#[derive(Default)]
pub struct Jobs(pub Mutex<Vec<AuthenticateJob>>);

impl Verifier for Jobs {
    fn verify(&self, job: AuthenticateJob) {
        self.0.lock().unwrap().push(job);
    }
}

pub struct Office {
    pub context: Arc<UpstreamContext>,
    pub jobs: Arc<Jobs>,
    pub sessions: u64,
}

impl Office {
    pub fn new(accounts: &[Account]) -> Office {
        let jobs = Arc::new(Jobs::default());
        let context = UpstreamContext {
            accounts: Arc::new(Accounts::new(accounts, 1_000)),
            verifier: Arc::clone(&jobs) as Arc<dyn Verifier>,
            system_id: b"hongyan"[..].into(),
        };
        Office { context: Arc::new(context), jobs, sessions: 0 }
    }

    pub fn connect(&mut self) -> Rig<Upstream> {
        self.connect_from("192.0.2.7")
    }

    pub fn connect_from(&mut self, peer: &str) -> Rig<Upstream> {
        self.sessions += 1;
        let handler = Upstream::new(SessionId(self.sessions), peer.parse().unwrap(), Arc::clone(&self.context));
        Rig::new(handler, Settings::server(), Settings { window: 1_000, ..Settings::client() })
    }

    pub fn bound(&mut self, kind: BindKind) -> Rig<Upstream> {
        let mut rig = self.connect();
        bind(&mut rig, kind, b"demo", b"secret", 0x34);
        assert_eq!(rig.take_seen(), [Seen::Bound]);
        rig.take_inputs();
        rig.take_frames();
        rig
    }
}

pub fn office() -> Office {
    Office::new(&[Account::plain("demo", "secret")])
}

pub fn with(change: impl FnOnce(&mut Account)) -> Office {
    let mut account = Account::plain("demo", "secret");
    change(&mut account);
    Office::new(&[account])
}

pub fn bind(rig: &mut Rig<Upstream>, kind: BindKind, system_id: &[u8], password: &[u8], interface_version: u8) {
    let bind = Bind { system_id, password, interface_version, ..Bind::default() };
    rig.peer.bind(kind, &bind, rig.now);
    rig.pump();
}

pub fn sm<'a>(text: &'a [u8]) -> Sm<'a> {
    Sm {
        source: Addr { ton: 5, npi: 0, addr: b"Goose" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613812341234" },
        registered_delivery: 1,
        short_message: text,
        ..Sm::default()
    }
}

pub fn ask(rig: &mut Rig<Upstream>, token: u64, pdu: &Pdu<'_>) {
    rig.peer.request(token, pdu, rig.now).unwrap();
    rig.pump();
}

/// Submits and returns the draft, or the status that came back at once.
pub fn submit(rig: &mut Rig<Upstream>, sm: Sm<'_>) -> Result<Draft, u32> {
    rig.take_seen();
    ask(rig, 1, &Pdu::SubmitSm(sm));
    match (rig.take_inputs().pop(), rig.take_seen().pop()) {
        (Some(Input::Submit { mut drafts, .. }), None) => Ok(drafts.pop().unwrap()),
        (None, Some(Seen::Response { status, .. })) => Err(status),
        other => panic!("{other:?}"),
    }
}

pub fn replies(rig: &mut Rig<Upstream>, replies: Vec<UpstreamReply>) {
    rig.command(UpstreamCommand::Replies(replies));
}

pub fn report() -> Report {
    Report {
        message: ID,
        source: Address::new(5, 0, b"Goose").unwrap(),
        destination: Address::new(1, 1, b"8613812341234").unwrap(),
        state: ReceiptState::Delivered,
        intermediate: false,
        taken: true,
        carrier: None,
        error: b"000"[..].try_into().unwrap(),
        network_error: Some([3, 0, 0]),
        submit_ms: START_MS,
        done_ms: START_MS + 61_000,
        parts: 1,
        parts_delivered: 1,
        text: b"hello"[..].try_into().unwrap(),
        text_encoding: Encoding::Gsm7,
        notes: None,
    }
}

pub fn deliver(rig: &mut Rig<Upstream>, token: u64, delivery: Delivery) {
    replies(rig, vec![UpstreamReply::Deliver { token: DeliveryToken(token), item: Arc::new(delivery), since_ms: 0 }]);
}

pub fn answers(rig: &mut Rig<Upstream>) -> Vec<(u64, DeliveryAnswer)> {
    let answered = rig.take_inputs().into_iter().flat_map(|input| match input {
        Input::Answered { answers, .. } => answers,
        other => panic!("{other:?}"),
    });
    answered.map(|(token, answer)| (token.0, answer)).collect()
}
