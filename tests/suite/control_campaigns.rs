//! Campaigns by name: what is sent by file or by SMPP under a name is paused, told and cancelled by it.

use super::control_rig::{done, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, header, message_id, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::tlv::TlvBuf;
use hongyan::smpp::{BindKind, Pdu, Sm};

#[test]
fn a_campaign_is_paused_and_cancelled_by_its_name_whoever_handed_it_in_also_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text =
        std::fs::read_to_string(&config).unwrap().replacen("system_id = \"shop\"\n", "system_id = \"shop\"\ncampaign_tlv = 0x1500\n", 1);
    std::fs::write(&config, text).unwrap();
    let gateway = GatewayProcess::start(&config);
    assert!(refused(gateway.admin, &["pause", "--campaign", "spring", "--yes"]).contains("campaign: no campaign is called 'spring'"));
    done(gateway.admin, &["pause", "--carrier", "north", "--yes"]);
    let file = directory.path().join("list.txt");
    std::fs::write(&file, (0..20).map(|n| format!("138000000{n:02}\n")).collect::<String>()).unwrap();
    let send = |account: &str, campaign: &str| {
        let file = file.to_str().unwrap();
        done(gateway.admin, &["send", file, "--account", account, "--campaign", campaign, "--text", "Hello"])
    };
    assert_eq!(send("shop", "spring")["accepted"], 20);
    assert_eq!(send("shop", "summer")["accepted"], 20);
    assert_eq!(send("codes", "spring")["accepted"], 20);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    let mut tlvs = TlvBuf::new();
    tlvs.octets(0x1500, b"spring");
    let answer = client.ask(&Pdu::SubmitSm(Sm { tlvs: tlvs.as_tlvs(), ..submit(b"8613900000000", b"by smpp") }));
    assert_eq!(header(&answer).status, 0);
    let id = message_id(&answer);
    assert_eq!(done(gateway.admin, &["message", &id])["campaign"], "spring");
    let paused = done(gateway.admin, &["pause", "--campaign", "spring", "--account", "shop", "--reason", "a mistake in it", "--yes"]);
    assert_eq!(paused["scope"]["campaign"], "spring", "{paused}");
    done(gateway.admin, &["resume", "--carrier", "north"]);
    until("the others leave", || smsc.stats().submits == 40);
    // A kill before their answers are durable may send some of them again.
    until("that is on record", || done(gateway.admin, &["status"])["states"]["waiting"].as_u64() == Some(21));
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    until("its lane waits as paused, once the carrier is bound", || {
        let lanes = done(gateway.admin, &["lanes"]);
        let spring = lanes.as_array().unwrap().iter().find(|lane| lane["campaign"] == "spring" && lane["account"] == "shop").unwrap();
        assert_eq!(spring["in_memory"].as_u64(), Some(21), "{lanes}");
        spring["waits_on"].as_str() == Some("paused")
    });
    assert!(done(gateway.admin, &["message", &id])["waits_on"].as_str().unwrap().contains("a mistake in it"));
    let explained = done(gateway.admin, &["explain", "13800000000", "--account", "shop", "--campaign", "spring", "--text", "x"]);
    assert!(explained["waits_on"].as_str().unwrap().contains("a mistake in it"), "{explained}");
    done(gateway.admin, &["cancel", "--campaign", "spring", "--account", "shop", "--yes"]);
    done(gateway.admin, &["resume", "--campaign", "spring", "--account", "shop"]);
    until("they have ended", || done(gateway.admin, &["status"])["states"]["cancelled"].as_u64() == Some(21));
    assert_eq!(smsc.stats().submits, 40, "nothing of it ever left");
}
