//! What would become of a batch, whoever asks: the engine's sums over its drafts, and each refusal with its place. Nothing is sent.

use super::desk::Operator;
use super::look::{look, odd};
use super::messages::{Told, refused};
use super::problem::Problem;
use super::refusal::fault_of;
use crate::engine::estimate::{ESTIMATE_MAX, Estimate, Refused};
use crate::engine::look::{Look, View};
use crate::engine::port::Draft;
use crate::engine::scope::Fault;
use crate::model::AccountId;
use crate::model::refusal::Fault as Whose;
use serde::Serialize;

/// A refusal with the place of its item.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct At {
    /// Its place, from 0.
    at: usize,
    #[serde(flatten)]
    refused: Told,
}

/// What would become of a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Foretold {
    #[serde(flatten)]
    estimate: Estimate,
    /// Messages that would be refused, with their places from 0.
    refused: Vec<At>,
}

/// Asks the engine. `items`: each a draft, or what is wrong with it; at most [`ESTIMATE_MAX`]. `field`: what whoever asks calls them; `named`: a fault of the
/// engine's with its field as whoever asks calls that.
pub(super) async fn foretell<I>(
    operator: &Operator,
    account: AccountId,
    items: I,
    field: &'static str,
    named: fn(Fault) -> Fault,
) -> Result<Foretold, Problem>
where
    I: ExactSizeIterator<Item = Result<Option<Draft>, Fault>>,
{
    if items.len() > ESTIMATE_MAX {
        let what = format!("{} {field} are too many to foretell at once", items.len());
        return Err(Fault::of("too_many", field, what, format!("at most {ESTIMATE_MAX}")).into());
    }
    let (mut drafts, mut places, mut at_fault) = (Vec::new(), Vec::new(), Vec::new());
    for (at, item) in items.enumerate() {
        match item {
            Ok(draft) => {
                places.push(at);
                drafts.extend(draft);
            }
            Err(fault) => at_fault.push(At { at, refused: refused(fault, false) }),
        }
    }
    let View::Estimated(mut estimate) = look(operator, Look::Estimate(account, drafts)).await? else { return Err(odd()) };
    let by_engine = std::mem::take(&mut estimate.refused);
    at_fault.extend(by_engine.into_iter().map(|Refused { at, refusal }| At {
        at: places[at],
        refused: refused(named(fault_of(refusal)), refusal.fault() == Whose::Gateway),
    }));
    Ok(Foretold { estimate: *estimate, refused: at_fault })
}
