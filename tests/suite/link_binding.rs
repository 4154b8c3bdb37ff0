//! Who may bind: passwords, addresses, kinds and numbers of binds, and what a failed bind costs.

use super::link_office::{bind, office, with};
use super::link_rig::Seen;
use hongyan::config::{AccountSecret, BindType, Secret};
use hongyan::engine::port::{Input, SessionId};
use hongyan::link::upstream::UpstreamCommand;
use hongyan::model::AccountId;
use hongyan::smpp::{Bind, BindKind, CloseCause, Pdu};

#[test]
fn a_receiver_is_told_to_the_engine_with_its_window_and_a_transmitter_without_one() {
    for (kind, window) in [(BindKind::Transceiver, 100), (BindKind::Receiver, 100), (BindKind::Transmitter, 0)] {
        let mut rig = office().connect();
        bind(&mut rig, kind, b"demo", b"secret", 0x34);
        assert_eq!(rig.take_seen(), [Seen::Bound]);
        let inputs = rig.take_inputs();
        assert!(
            matches!(inputs[..], [Input::SessionUp { session: SessionId(1), account: AccountId(0), window: w }] if w == window),
            "{inputs:?}"
        );
    }
}

#[test]
fn a_wrong_password_and_an_unknown_system_id_are_refused_after_a_delay() {
    for (system_id, password, status) in [(&b"demo"[..], &b"wrong"[..], 0x0E), (b"nobody", b"secret", 0x0F)] {
        let mut rig = office().connect();
        bind(&mut rig, BindKind::Transceiver, system_id, password, 0x34);
        assert_eq!(rig.take_seen(), [], "the answer is held back");
        rig.pass_ms(500);
        assert_eq!(rig.take_seen()[0], Seen::Refused(status));
        assert!(rig.take_inputs().is_empty());
    }
}

#[test]
fn repeated_failures_from_an_address_are_refused_unseen_for_a_growing_time_and_others_are_not() {
    let mut office = office();
    for guess in [&b"first"[..], b"second"] {
        let mut rig = office.connect();
        bind(&mut rig, BindKind::Transceiver, b"demo", guess, 0x34);
        rig.pass_ms(500);
        assert_eq!(rig.take_seen()[0], Seen::Refused(0x0E));
    }
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D), "even the right password waits");
    let mut elsewhere = office.connect_from("198.51.100.1");
    bind(&mut elsewhere, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(elsewhere.take_seen(), [Seen::Bound]);
    let mut later = office.connect();
    later.now = later.now.plus_us(1_100_000);
    bind(&mut later, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(later.take_seen(), [Seen::Bound]);
}

#[test]
fn a_client_that_shows_one_old_password_without_end_keeps_no_other_of_its_address_out() {
    let mut office = office();
    for _ in 0..20 {
        let mut stale = office.connect();
        bind(&mut stale, BindKind::Transceiver, b"demo", b"lastyear", 0x34);
        stale.pass_ms(500);
        assert_eq!(stale.take_seen()[0], Seen::Refused(0x0E));
        let mut good = office.connect();
        bind(&mut good, BindKind::Transceiver, b"demo", b"secret", 0x34);
        assert_eq!(good.take_seen(), [Seen::Bound]);
        good.close(CloseCause::PeerClosed);
    }
}

#[test]
fn three_failures_end_a_connection() {
    let mut office = office();
    let mut rig = office.connect();
    // A client session ends at a refusal; so the octets are written by hand.
    for sequence in 1..=3 {
        let pdu = Pdu::bind(BindKind::Transceiver, Bind { system_id: b"demo", password: b"wrong", ..Bind::default() });
        hongyan::smpp::encode(0, sequence, &pdu, rig.peer.output());
        rig.pump();
        rig.pass_ms(500);
    }
    rig.pass_ms(1);
    assert_eq!(rig.closed, Some(CloseCause::BindRefused));
}

#[test]
fn an_address_outside_of_the_accounts_list_may_not_bind() {
    let mut office = with(|account| account.allowed_addresses = vec!["198.51.100.0/24".parse().unwrap()]);
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
    let mut rig = office.connect_from("198.51.100.9");
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen(), [Seen::Bound]);
}

#[test]
fn a_kind_of_bind_that_the_account_may_not_use_is_refused() {
    let mut rig = with(|account| account.bind_types = vec![BindType::Rx]).connect();
    bind(&mut rig, BindKind::Transmitter, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
}

#[test]
fn binds_beyond_the_limit_are_refused_until_one_ends() {
    let mut office = with(|account| account.max_binds = 1);
    let mut first = office.bound(BindKind::Transceiver);
    let mut second = office.connect();
    bind(&mut second, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(second.take_seen()[0], Seen::Refused(0x05));
    first.close(CloseCause::PeerClosed);
    assert!(matches!(first.take_inputs()[..], [Input::SessionDown { session: SessionId(1) }]));
    let mut third = office.connect();
    bind(&mut third, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(third.take_seen(), [Seen::Bound]);
}

#[test]
fn an_argon2_password_is_checked_elsewhere_once_and_then_remembered() {
    use argon2::PasswordHasher;
    let cheap = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = hasher.hash_password_with_salt(b"secret", b"0123456789abcdef").unwrap().to_string();
    let mut office = with(|account| account.secret = AccountSecret::Hash(Secret::new(hash)));
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen(), [], "the bind waits for the check");
    let job = office.jobs.0.lock().unwrap().pop().unwrap();
    assert_eq!(job.session, SessionId(1));
    rig.command(UpstreamCommand::Authenticated(job.run()));
    assert_eq!(rig.take_seen(), [Seen::Bound]);
    let mut again = office.connect();
    bind(&mut again, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(again.take_seen(), [Seen::Bound]);
    assert!(office.jobs.0.lock().unwrap().is_empty(), "the second bind needs no check");

    let mut wrong = office.connect();
    bind(&mut wrong, BindKind::Transceiver, b"demo", b"guess", 0x34);
    let job = office.jobs.0.lock().unwrap().pop().unwrap();
    wrong.command(UpstreamCommand::Authenticated(job.run()));
    wrong.pass_ms(500);
    assert_eq!(wrong.take_seen()[0], Seen::Refused(0x0E));
}

#[test]
fn a_storm_of_unchecked_binds_starts_only_a_few_checks() {
    let mut office = with(|account| account.secret = AccountSecret::Hash(Secret::new("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA")));
    let mut rigs: Vec<_> = (0..10).map(|_| office.connect()).collect();
    for rig in rigs.iter_mut() {
        bind(rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    }
    assert_eq!(office.jobs.0.lock().unwrap().len(), 4);
    assert_eq!(rigs.iter().filter(|rig| rig.seen.first() == Some(&Seen::Refused(0x08))).count(), 6);
    office.jobs.0.lock().unwrap().clear();
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(office.jobs.0.lock().unwrap().len(), 1, "a check that ended makes room");
}
