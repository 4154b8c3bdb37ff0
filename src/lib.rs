//! Hongyan (鸿雁, the wild goose that carries letters): a high-throughput SMPP gateway and dispatch engine.
//!
//! Customers' systems hand it short messages over SMPP; it keeps sessions with carriers, paces each of them, puts texts into their alphabets and
//! parts, and brings every delivery receipt back to whoever sent the message. This page is the map: the words, the layers, the life of a message and
//! the life of a receipt, and the promises that hold everywhere. Each module's own page says more.
//!
//! # Promises
//!
//! - **A yes is a promise.** A `submit_sm_resp` with status 0 leaves only after the message is on stable storage. From then on it is sent, or settled
//!   by its class's policy (expired, cancelled, rejected, in doubt), whatever crashes.
//! - **Nothing vanishes, and it can be shown.** Every accepted message is in exactly one counted state. The states add up to what was accepted; the
//!   difference is a metric, and it must be 0.
//! - **The right receipt for the right message**, whatever form a carrier writes its ids in, on whichever session, before or after the answer that names
//!   the id, before or after a restart.
//! - **A carrier is never hit harder than it allows**, and an urgent message never waits behind a large campaign.
//!
//! # Words
//!
//! The same words stand in types, files, metrics, configuration and documents.
//!
//! | word | meaning |
//! |---|---|
//! | account | a customer: credentials, limits, class, the form of its receipts |
//! | upstream | the side from which messages come: SMPP clients of accounts |
//! | carrier | an operator's message centre that we bind to; each of its sessions is a **bind** |
//! | message | one text to one number, under an id of ours; it travels in 1 to 255 **segments** (parts), one PDU each |
//! | class | `otp`, `transactional` or `marketing`: priority, retries, and the policy in doubt |
//! | range | a prefix of the number space with its country, operator, region and time zone |
//! | route | the ordered carriers for a message, by rules and longest prefix |
//! | range | what is known of numbers by their longest prefix: country, operator, region, kind, time zone, tags |
//! | shard | a hash class of numbers; nothing to do with prefixes |
//! | campaign | messages of an account that belong together; a lane of their own |
//! | limit | a token bucket for the messages that fit its conditions |
//! | lane | a queue in front of a carrier, by class, account, campaign and limits; each carrier's lanes, buckets and windows belong to one **dispatcher** |
//! | permit | what a token bucket gives, paid in segments |
//! | outcome | what a carrier answered: sent, later, elsewhere, never, slow down; or nothing in time: **in doubt** |
//! | receipt | a carrier's report on a message, final or intermediate |
//! | inbound | a message from a phone |
//! | journal | the durable, ordered record of what was accepted and what happened to it; recent and bounded |
//! | ledger | what outlives the journal: messages, ids and deliveries carried out of old groups of it, names, counters |
//! | run | sorted notes of which chunk of the ledger holds which message that is out of memory, never changed once written |
//! | outbox | receipts and inbound messages that wait for one account |
//! | tail | reading the journal in order from a saved position |
//! | trail | what happened to a message, step by step |
//! | records | finished messages, for look-up and analysis, by the hour |
//! | plan | the immutable snapshot of accounts, carriers, routes and limits that the hot path reads |
//! | identity | a number that the sender computed for a message: handing the same one in again makes no second message |
//! | duplicate | the same text to the same number within the account's window: dropped, refused, or flagged |
//! | balance | what an account has, in thousandths of a credit; a message's charge is reserved, then spent or given back |
//! | refusal | why not: cause, whose fault, retry or final; one type, turned into an SMPP status in one place |
//! | profile | a file of data with all habits of one kind of carrier; the link and the simulated carrier both read it |
//!
//! # Layers
//!
//! Imports point down only, never up, never sideways. A test reads the sources and fails with file, line and rule (`tests/suite/house.rs`).
//!
//! | layer | module | what lives there |
//! |---|---|---|
//! | 6 | [`cli`], [`app`] | the command line; building everything from the configuration, starting in order, stopping in reverse |
//! | 5 | [`sim`] | the simulated carrier, and the deterministic world: the whole gateway on one thread, one seed and a virtual clock |
//! | 5 | [`load`] | load generator, bare relay, benchmark; conservation judged from outside |
//! | 5 | [`http`] | the admin port: JSON over HTTP, for the command line and whoever else operates the gateway |
//! | 4 | [`link`] | the only SMPP sockets; `translate` is the only place that knows PDUs and messages both |
//! | 4 | [`records`] | finished messages, from the journal's tail, in files by the hour; what became of a message |
//! | 3 | [`engine`] | the hot path: one struct, inputs and time in, outputs out; knows messages, no wire |
//! | 2 | [`recorder`] | recordings of sessions: the ring, redaction, pcap, what they tell of a carrier's habits |
//! | 2 | [`store`] | what survives a crash: the seams, and SQLite behind them |
//! | 1 | [`smpp`] | octets ⇄ PDUs ⇄ session events, for both roles |
//! | 1 | [`text`] | alphabets, segmentation, reassembly, receipt dialects, transliteration |
//! | 1 | [`number`] | phone numbers: canonical form, national plans, ranges by longest prefix, lists and duplicates |
//! | 0 | [`model`] | ids, message, states, refusals, time |
//! | – | [`config`], [`telemetry`] | every setting and every metric, declared once; open to all, import only `model` |
//!
//! `model`, `smpp`, `text`, `number`, `engine` and the simulator's behaviour are *sans-io*: no threads, no channels, no tokio, no clock, no dice. Time is
//! an argument ([`model::Now`]). Threads, tasks and timers live in `link` and `app` alone, so the simulator drives the very structs that serve
//! customers.
//!
//! # The life of a message
//!
//! 1. [`link::listener`] takes the connection; one task drives it ([`link::driver`]): one read, many PDUs, one write.
//! 2. [`smpp`] cuts frames and decodes borrowed fields; the session says whether the request is allowed in this state and window.
//! 3. [`link::upstream`] turns the PDU into a draft ([`link::translate`]), all drafts of a read in one batch. What comes by no session (batches by HTTP, files)
//!    joins here: [`link::submissions`].
//! 4. [`engine::intake`] checks it against the plan: number, sender, who may be written to ([`engine::rules`]), validity, rate, quotas, disk. A refusal is answered at once.
//! 5. An accepted message is an event in the open batch. The journal's thread ([`store::writer`]) takes all batches that wait, writes them as one group,
//!    syncs once, and only then the yes goes out. No fixed delay: what gathers during one sync is the next group.
//! 6. [`engine::route`] picks the carrier, [`engine::lanes`] queue and share fairly ([`engine::fair`]), [`engine::throttle`] and [`engine::limits`]
//!    give permits, [`engine::dispatch`] hands messages to
//!    binds with room in their windows: links pull, nothing is pushed at a slow carrier. Before an otp is handed to a socket an ATTEMPT is synced, so that
//!    it is never sent twice.
//! 7. [`link::carrier`] makes the segments, shapes them as the profile says, and enters them in its session's window.
//! 8. The answer is an outcome ([`engine::outcome`]): sent (the carrier's id goes into the index and, with the next group, into the journal), tried later
//!    ([`engine::retry`]), tried elsewhere, refused for good, or in doubt. A doubt is settled by a late answer, by a receipt whose phone and time fit, else
//!    by the class: an otp is not sent again, others once.
//!
//! # The life of a receipt
//!
//! 1. A `deliver_sm` or `data_sm` comes on a carrier's bind. [`link::carrier`] asks [`text::receipt`] to read it in the carrier's dialect: id, state,
//!    error, dates. What is no receipt is a message from a phone ([`engine::inbound`] joins its parts and finds its account).
//! 2. [`engine::receipts`] finds the message through [`engine::index`], which tries the forms that ids are written in; the phone must agree. A message that
//!    has waited long is out of memory: notes in sorted runs say in which chunk of the ledger it may be, the receipt waits while that is read, and the
//!    message comes back ([`engine::runs`], [`engine::seek`]). A receipt that outran its answer is parked durably until the answer names its id.
//! 3. The step is checked, written into the journal, synced; *only then* the carrier gets its answer. So a receipt is either ours and safe, or still
//!    the carrier's to repeat.
//! 4. The report goes into the account's outbox ([`engine::outbox`]), is pulled by any receiving session of the account with room in its window, in the form
//!    that the account asked for, and is done when the client has answered. An account that is absent loses nothing within its bounds.
//!
//! # After a crash
//!
//! [`engine::recover`] reads the ledger, then the journal's groups behind it, through the same functions as live. What was accepted and has no durable
//! outcome goes out (again); what was sent waits for its receipt; attempted otps are doubts. Old groups don't pile up: what still lives in them is
//! carried into the ledger ([`engine::carry`]), and the journal drops them. What was out of memory stays out of it ([`engine::cold`]).
//!
//! # Where to begin
//!
//! `hongyan demo` shows all of it on loopback. [`engine::port`] is the whole vocabulary between links and engine in one file. `tests/suite/spine.rs` is the
//! straight line from a client to its receipt; `tests/suite/crash_kill.rs` is the promise, counted from outside.

pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod link;
pub mod load;
pub mod model;
pub mod number;
pub mod recorder;
pub mod records;
pub mod sim;
pub mod smpp;
pub mod store;
pub mod telemetry;
pub mod text;
