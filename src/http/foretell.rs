//! What would become of a batch, whoever asks: the engine's sums over its drafts, and each refusal with its place. Nothing is sent.

use super::desk::Operator;
use super::look::{look, odd};
use super::messages::{Told, refused};
use super::problem::Problem;
use super::refusal::fault_of;
use crate::engine::estimate::{ESTIMATE_MAX, Estimate};
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

/// What one item would become: segments, nothing (it was handed in before), or a fault and whether the same may pass later.
pub(super) type Each = Result<Option<u8>, (Fault, bool)>;

/// Asks the engine, for so many at a time as one of its steps may take. `items`: each a draft, or what is wrong with it.
pub(super) async fn foretell<I>(operator: &Operator, account: AccountId, items: I) -> Result<(Estimate, Vec<Each>), Problem>
where
    I: Iterator<Item = Result<Option<Draft>, Fault>>,
{
    let mut each: Vec<Each> = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for item in items {
        // What the engine will say is filled in below.
        each.push(item.map(|draft| drafts.extend(draft)).map(|()| None).map_err(|fault| (fault, false)));
    }
    let mut sums: Option<Estimate> = None;
    let mut drafts = drafts.into_iter();
    loop {
        let some: Vec<Draft> = drafts.by_ref().take(ESTIMATE_MAX).collect();
        if some.is_empty() && sums.is_some() {
            break;
        }
        let View::Estimated(estimate) = look(operator, Look::Estimate(account, some)).await? else { return Err(odd()) };
        match &mut sums {
            Some(sums) => sums.join(*estimate),
            None => sums = Some(*estimate),
        }
    }
    let sums = sums.unwrap_or_default();
    let asked = each.iter_mut().filter(|each| each.is_ok());
    for (each, foreseen) in asked.zip(&sums.each) {
        *each = foreseen.map_err(|refusal| (fault_of(refusal), refusal.fault() == Whose::Gateway));
    }
    Ok((sums, each))
}

impl Foretold {
    /// As the admin port tells it.
    pub fn of((estimate, each): (Estimate, Vec<Each>)) -> Foretold {
        let refused = each.into_iter().enumerate().filter_map(|(at, each)| {
            let (fault, retry) = each.err()?;
            Some(At { at, refused: refused(fault, retry) })
        });
        Foretold { estimate, refused: refused.collect() }
    }
}
