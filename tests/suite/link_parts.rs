//! Long texts through the whole gateway over real sockets: national tables where they save parts, and references that never clash at a phone.

use super::link_sockets::Peer;
use hongyan::app::Gateway;
use hongyan::config::{Account, Config, NationalLanguage};
use hongyan::smpp::decode::DecodeLimits;
use hongyan::smpp::pdu::{MessageIdResp, Sm};

use hongyan::smpp::tlv::tag;
use hongyan::smpp::{Addr, Pdu, TlvBuf, decode};
use hongyan::text::shift::{Language, Shifts};
use hongyan::text::{gsm7, udh, utf16};
use tokio::net::TcpListener;

/// A gateway between clients and a carrier, both of which the test plays.
struct Between {
    gateway: Gateway,
    carrier: Peer,
    _data: tempfile::TempDir,
}

/// A submission as the carrier got it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    esm_class: u8,
    data_coding: u8,
    octets: Vec<u8>,
    sar: Option<u16>,
}

impl Between {
    async fn start(change: impl FnOnce(&mut Config)) -> Between {
        let data = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::demo(data.path()).with_carrier("north", &listener.local_addr().unwrap().to_string(), "standard");
        config.accounts.push(Account::plain("other", "other"));
        change(&mut config);
        let gateway = Gateway::start(config).await.unwrap();
        let mut carrier = Peer::accept(&listener).await;
        carrier.take_bind(0).await;
        Between { gateway, carrier, _data: data }
    }

    async fn client(&self, name: &str) -> Peer {
        let mut client = Peer::connect(self.gateway.smpp_address()).await;
        assert_eq!(client.bind(name.as_bytes(), name.as_bytes()).await, 0);
        client
    }

    /// The carrier hangs up, so that nobody waits for its unbind.
    async fn stop(self) {
        drop(self.carrier);
        self.gateway.stop().await;
    }

    /// The next submission; it is answered with an id.
    async fn takes(&mut self) -> Got {
        let frame = self.carrier.hear().await.expect("a submission");
        let (header, pdu) = decode(&frame, &DecodeLimits::default()).unwrap();
        let Pdu::SubmitSm(sm) = pdu else { panic!("{pdu:?}") };
        let id = header.sequence.to_string();
        let resp = MessageIdResp { message_id: id.as_bytes(), ..MessageIdResp::default() };
        let got = Got {
            esm_class: sm.esm_class,
            data_coding: sm.data_coding,
            octets: sm.short_message.to_vec(),
            sar: sm.tlvs.u16(tag::SAR_MSG_REF_NUM),
        };
        self.carrier.say(0, header.sequence, &Pdu::SubmitSmResp(Some(resp))).await;
        got
    }
}

async fn submit(client: &mut Peer, sequence: u32, sm: Sm<'_>) {
    let sm = Sm { source: Addr { ton: 5, npi: 0, addr: b"SHOP" }, destination: Addr { ton: 1, npi: 1, addr: b"8613800138000" }, ..sm };
    client.say(0, sequence, &Pdu::SubmitSm(sm)).await;
    let frame = client.hear().await.expect("an answer");
    let (header, pdu) = decode(&frame, &DecodeLimits::default()).unwrap();
    assert!(header.status == 0 && matches!(pdu, Pdu::SubmitSmResp(Some(_))), "{header:?} {pdu:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_turkish_text_goes_in_turkish_tables_where_the_phones_know_them() {
    let text = "Şişlideki şubemiz açıldı, ığdır şeftalisi geldi. ".repeat(6);
    let mut payload = TlvBuf::new();
    let mut units = Vec::new();
    utf16::encode_into(&text, &mut units);
    payload.octets(tag::MESSAGE_PAYLOAD, &units);
    for (languages, parts) in [(vec![], 5), (vec![NationalLanguage::Turkish], 2), (vec![NationalLanguage::Hindi], 5)] {
        let is_turkish = languages == [NationalLanguage::Turkish];
        let mut between = Between::start(|config| config.carriers[0].profile.alphabets.national_tables = languages).await;
        let mut client = between.client("demo").await;
        submit(&mut client, 2, Sm { data_coding: 8, tlvs: payload.as_tlvs(), ..Sm::default() }).await;
        let mut read = String::new();
        for number in 1..=parts {
            let got = between.takes().await;
            let header = udh::parse(&got.octets).unwrap();
            let part = header.concatenation().unwrap();
            assert_eq!((got.esm_class, part.total, part.number), (0x40, parts, number));
            let rest = &got.octets[header.octets()..];
            if is_turkish {
                assert_eq!((got.data_coding, header.shifts().locking), (0, Some(Language::Turkish)));
                read.push_str(&gsm7::decode(rest, header.shifts()));
            } else {
                assert_eq!((got.data_coding, header.shifts()), (8, Shifts::NONE));
                read.push_str(&utf16::decode(rest));
            }
        }
        assert_eq!(read, text);
        between.stop().await;
    }
}

/// What each of two clients says of part `number` of the same reference.
fn part(reference: u8, number: u8, text: &str) -> Vec<u8> {
    [&[5, 0, 3, reference, 2, number][..], text.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_accounts_sets_under_one_reference_arrive_apart() {
    let mut between = Between::start(|_| {}).await;
    let (mut one, mut two) = (between.client("demo").await, between.client("other").await);
    let mut seen = Vec::new();
    for (number, texts) in [(1, ["one-", "two-"]), (2, ["end1", "end2"])] {
        for (client, text) in [&mut one, &mut two].into_iter().zip(texts) {
            submit(client, 2 + u32::from(number), Sm { esm_class: 0x40, short_message: &part(9, number, text), ..Sm::default() }).await;
            let got = between.takes().await;
            assert_eq!(&got.octets[6..], text.as_bytes());
            seen.push((got.octets[3], got.octets[5]));
        }
    }
    let other = seen[1].0;
    assert_ne!(other, 9);
    assert_eq!(seen, [(9, 1), (other, 1), (9, 2), (other, 2)]);
    let mut sar = TlvBuf::new();
    sar.u16(tag::SAR_MSG_REF_NUM, 9);
    sar.u8(tag::SAR_TOTAL_SEGMENTS, 2);
    sar.u8(tag::SAR_SEGMENT_SEQNUM, 1);
    submit(&mut one, 9, Sm { short_message: b"by tlvs", tlvs: sar.as_tlvs(), ..Sm::default() }).await;
    let got = between.takes().await;
    assert_eq!(got.sar, None, "this carrier wants headers");
    assert!(![9, other].contains(&got.octets[3]), "another text under part 1");
    between.stop().await;
}
