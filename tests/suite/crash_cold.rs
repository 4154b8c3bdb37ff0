//! kill -9 while most messages have left memory and wait on disk for receipts that come late: every receipt finds its message, and all is
//! counted from outside.

use super::crash_kill::{DELIVERED, SHOP, Stage, Told, client, until};
use super::crash_rig::{BINDS, GatewayProcess, WINDOW, configure};
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::store::local::inspect;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KILLS: u64 = 3;

#[test]
fn receipts_that_come_late_find_messages_that_left_memory_before_the_gateway_was_killed() {
    let behaviour = Behaviour {
        answer_delay_ms: 5,
        receipt_delay_ms: 7_000,
        receipt_jitter_ms: 9_000,
        duplicate_receipts: 0.1,
        redeliver_ms: 300,
        ..Behaviour::default()
    };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // The least that may be set: a thousand messages in memory, old after ten seconds, or after one when there are more.
    let config = configure(directory.path(), smsc.local_addr(), "max_in_memory = 1000\nsent_on_disk_s = 10\n");
    let (stage, told) = (Stage::new(), Arc::new(Mutex::new(Told::default())));
    let shop = {
        let (stage, told) = (Arc::clone(&stage), Arc::clone(&told));
        std::thread::spawn(move || client(&stage, "shop", SHOP, &told))
    };
    let mut pages = Vec::new();
    for kill in 1..=KILLS {
        let gateway = GatewayProcess::start(&config);
        *stage.gateway.lock().unwrap() = Some(gateway.address);
        until("messages that wait on disk", || {
            // Notes of where they are: there are none while all is in memory.
            let pages = inspect::figures(&directory.path().join("data")).map_or(0, |figures| figures.pages);
            pages > 10 * kill
        });
        std::thread::sleep(Duration::from_millis(700 * kill));
        gateway.kill();
        pages.push(inspect::figures(&directory.path().join("data")).unwrap().pages);
        println!("kill {kill}: {} acknowledged, {pages:?} pages", stage.acknowledged.load(Ordering::Relaxed));
    }
    let gateway = stage.last_life(&config, &told, &smsc);
    shop.join().unwrap();
    let ended = gateway.terminate();
    assert!(ended.success(), "{ended}");
    let verified = inspect::verify(&directory.path().join("data")).unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);

    let (told, reached) = (told.lock().unwrap(), smsc.marks(SHOP).unwrap());
    println!("{} acknowledged, {} repeated, {:?} refused, {:?}", told.acknowledged.len(), reached.duplicates, told.refused, smsc.stats());
    assert!(told.acknowledged.len() > 1_500, "hardly any load");
    // Throttled while a walk makes room is all that may be refused.
    assert!(told.refused.keys().all(|&status| status == 0x58), "{:?}", told.refused);
    assert_eq!((smsc.stats().delivery_failures, smsc.stats().waiting), (0, 0), "every receipt of the carrier was taken");
    for (id, number) in &told.acknowledged {
        assert!(reached.seen.contains(*number), "{id} was acknowledged and never reached the carrier");
        let states = &told.receipts[id];
        assert!(states.iter().all(|&state| state == DELIVERED), "{id} was delivered; its receipts say {states:?}");
    }
    assert!(reached.duplicates <= KILLS * 2 * BINDS * WINDOW, "{} duplicates", reached.duplicates);
}
