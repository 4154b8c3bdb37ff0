//! What accounts hand in and may hand in, from the last snapshots.

use super::page::Page;
use super::snapshot::{EngineSnapshot, LinkSnapshot};
use super::table;

/// Writes the figures of the accounts of these names.
pub(super) fn write(page: &mut Page, names: &[String], engine: &EngineSnapshot, links: &LinkSnapshot) {
    let accounts = || names.iter().map(String::as_str).zip(&engine.accounts);
    let mut family = page.family(&table::SUBMITTED);
    accounts().for_each(|(name, figures)| family.sample(&[name], figures.submitted as f64));
    let mut family = page.family(&table::SEGMENTS);
    accounts().for_each(|(name, figures)| family.sample(&[name], figures.segments as f64));
    let mut family = page.family(&table::ACCOUNT_RATE_LIMIT);
    accounts().for_each(|(name, figures)| family.maybe(&[name], figures.rate_limit.map(f64::from)));
    let mut family = page.family(&table::ACCOUNT_WAITING_LIMIT);
    accounts().for_each(|(name, figures)| family.sample(&[name], figures.waiting_limit as f64));

    let sessions = || names.iter().map(String::as_str).zip(&links.accounts);
    let mut family = page.family(&table::SESSION_WINDOW_SIZE);
    sessions().for_each(|(name, figures)| family.sample(&[name], f64::from(figures.window_size)));
    let mut family = page.family(&table::SESSION_WINDOW_USED);
    sessions().for_each(|(name, figures)| family.sample(&[name], f64::from(figures.window_used)));

    page.family(&table::DELIVERY).times(&[], &engine.delivery_times);
}
