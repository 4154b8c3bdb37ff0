//! Four carriers behind one account, of which one takes everything and answers nothing: what the other three lose against a run in which all four are well.
//! The same sessions send to all of them in turn, so that whatever stalls behind the stuck one would show.

use super::{Common, Scene, Setup, Stage, sleep_ms, start};
use crate::load::bench::CarrierEnd;
use crate::load::generator::LoadSettings;
use crate::model::mark::RunId;
use serde_json::{Value, json};

/// Arguments of `hongyan bench stuck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan bench stuck\n  hongyan bench stuck --rate 10000 --seconds 60")]
pub struct Args {
    /// Messages a second, over all four carriers
    #[arg(long, default_value_t = 40_000.0)]
    rate: f64,
    /// How long each of the two runs is, seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

const CARRIERS: usize = 4;
/// Settles sessions and caches before counting begins.
const WARM_MS: u64 = 3_000;

pub(super) fn run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    stage.say("all four are well");
    let well = one_run(args, stage, *b"well", false)?;
    stage.say("the last one is stuck");
    let stuck = one_run(args, stage, *b"stuk", true)?;
    let sum = |run: &Run| run.taken_per_s[..CARRIERS - 1].iter().sum::<f64>();
    let lost_percent = (1.0 - sum(&stuck) / sum(&well)) * 100.0;
    let as_json =
        |run: &Run| json!({ "taken_per_s": run.taken_per_s, "answer": run.answer, "refused": run.refused, "repeated": run.repeated });
    let result = json!({
        "settings": { "rate_per_s": args.rate, "seconds": args.seconds, "carriers": CARRIERS },
        "well": as_json(&well), "stuck": as_json(&stuck), "others_lost_percent": lost_percent,
    });
    let words = |name: &str, run: &Run| {
        let each: Vec<String> = run.taken_per_s.iter().map(|per_s| format!("{per_s:.0}")).collect();
        let ms = |key: &str| run.answer[key].as_u64().unwrap_or(0) as f64 / 1000.0;
        format!(
            "{name}: the carriers took {} a second; answers to the client p50 {:.2} ms, p99 {:.2} ms; refused {}",
            each.join(", "),
            ms("p50_us"),
            ms("p99_us"),
            run.refused
        )
    };
    let lines = vec![
        words("all well", &well),
        words("one stuck", &stuck),
        format!("the other three take {lost_percent:.2} % less beside the stuck one"),
    ];
    let mut problems = Vec::new();
    for run in [&well, &stuck] {
        if run.refused.as_object().is_some_and(|refused| !refused.is_empty()) {
            problems.push(format!("refused by the gateway, by status: {}", run.refused));
        }
        if run.repeated > 0 {
            problems.push(format!("{} reached a carrier that is well more than once", run.repeated));
        }
    }
    Ok(Scene { result, lines, problems })
}

struct Run {
    /// Of each carrier; the stuck one, if any, is the last.
    taken_per_s: Vec<f64>,
    answer: Value,
    refused: Value,
    repeated: u64,
}

fn one_run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>, run: RunId, is_stuck: bool) -> Result<Run, String> {
    let carriers = (0..CARRIERS).map(|_| stage.carrier()).collect::<Result<Vec<C>, String>>()?;
    if is_stuck {
        carriers[CARRIERS - 1].fall_silent();
    }
    // Anew for each run: what waits in front of the stuck one is no burden of the other run.
    let _ = std::fs::remove_dir_all(stage.directory.join("data"));
    let mut setup = Setup::new(&stage.directory, args.common.records).account("shop", "transactional");
    for (at, carrier) in carriers.iter().enumerate() {
        setup = setup.carrier(&format!("carrier{at}"), carrier.address(), &format!("86138{at}"), "");
    }
    let gateway = stage.gateway(&setup)?;
    let seconds = args.seconds + WARM_MS / 1000;
    let mut settings = stage.load(&gateway, "shop", run, (args.rate * seconds as f64) as u64);
    settings.rate_per_s = args.rate;
    // The ten millions that begin with 861380, those with 861381 ... in turn: four routes.
    settings.shape.destinations = CARRIERS as u64 * 10_000_000;
    let load = start(LoadSettings { wait_ms: 0, ..settings })?;
    sleep_ms(WARM_MS);
    let taken = || carriers.iter().map(|carrier| carrier.taken_and_throttled().0).collect::<Vec<u64>>();
    let (before, began) = (taken(), std::time::Instant::now());
    sleep_ms(args.seconds * 1000 - 500);
    let (after, elapsed_s) = (taken(), began.elapsed().as_secs_f64());
    let (report, _) = load.join(|| None);
    gateway.kill();
    let well = if is_stuck { &carriers[..CARRIERS - 1] } else { &carriers[..] };
    let repeated = well.iter().filter_map(|carrier| carrier.marks(run)).map(|marks| marks.duplicates).sum();
    Ok(Run {
        taken_per_s: before.iter().zip(&after).map(|(before, after)| (after - before) as f64 / elapsed_s).collect(),
        answer: json!(report.answer),
        refused: json!(report.tally.refused),
        repeated,
    })
}
