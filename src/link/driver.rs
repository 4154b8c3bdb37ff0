//! The only place that reads and writes SMPP sockets: one task per connection; one read, many PDUs, one hand-over,
//! one write. What the PDUs mean is left to a [`Handler`], what the protocol demands to [`Session`].

use super::tape::Tap;
use crate::model::Now;
use crate::model::clock::SystemClock;
use crate::smpp::session::{CloseCause, Event, Session};
use bytes::Buf;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// What one side makes of a session's events. A plain struct without IO, so that the deterministic world can drive it too.
pub trait Handler: Send + 'static {
    /// What the outside says to this session, through its [`Mailbox`].
    type Command: Send + 'static;
    /// What this session says to the outside.
    type Report: Send + 'static;

    /// The connection stands; nothing has been read yet.
    fn opened(&mut self, session: &mut Session, now: Now);
    /// One event, in the order of the octets. `Event::Closed` never comes here but to [`Handler::closed`].
    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now);
    /// One command, in the order of pushing.
    fn command(&mut self, command: Self::Command, session: &mut Session, now: Now);
    /// After each batch of events and commands, before the write: hand over what has gathered.
    fn batch_end(&mut self, session: &mut Session, now: Now, reports: &mut Vec<Self::Report>);
    /// When [`Handler::tick`] wants to be called (`mono_us`); read after each batch. Timers are as coarse as tokio's (1 ms).
    fn deadline(&self) -> Option<u64>;
    /// The deadline has come. A `batch_end` follows.
    fn tick(&mut self, session: &mut Session, now: Now);
    /// The end; called exactly once. Unanswered requests are still in the session (`drain_in_flight`).
    fn closed(&mut self, session: &mut Session, cause: CloseCause, now: Now, reports: &mut Vec<Self::Report>);
}

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct DriverLimits {
    /// Largest read, octets: the buffer grows up to this by itself, and beyond only as far as a single PDU needs.
    pub read_buffer: usize,
    /// Unsent output, octets, above which nothing more is read.
    pub unsent_pause: usize,
    /// Unsent output, octets, above which the peer is closed at once.
    pub unsent_close: usize,
    /// A peer that takes nothing for so long while output waits is closed, milliseconds.
    pub slow_reader_ms: u64,
    /// How long the last output may take to leave after the session has ended, milliseconds.
    pub flush_ms: u64,
}

impl Default for DriverLimits {
    fn default() -> Self {
        DriverLimits {
            read_buffer: 64 * 1024,
            unsent_pause: 256 * 1024,
            unsent_close: 4 * 1024 * 1024,
            slow_reader_ms: 30_000,
            flush_ms: 2_000,
        }
    }
}

/// Smallest read buffer; what a quiet session keeps.
const READ_BUFFER_MIN: usize = 4 * 1024;
/// Output buffers above this are given back when a session falls quiet, octets.
const OUTPUT_KEEP: usize = 4 * 1024;
/// A session without traffic for so long gives its large buffers back.
const QUIET_US: u64 = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    No,
    Unbind,
    Kill,
}

struct Letters<C> {
    queue: Vec<C>,
    ending: Ending,
    waker: Option<Waker>,
}

/// Where the outside leaves commands for one session. Cheap to clone. It has no bound of its own: what is pushed
/// is bounded by whoever pushes (the engine by the session's windows).
pub struct Mailbox<C>(Arc<Mutex<Letters<C>>>);

impl<C> Clone for Mailbox<C> {
    fn clone(&self) -> Self {
        Mailbox(Arc::clone(&self.0))
    }
}

impl<C> Default for Mailbox<C> {
    fn default() -> Self {
        Mailbox::new()
    }
}

impl<C> Mailbox<C> {
    /// An empty mailbox; give one clone to [`drive`].
    pub fn new() -> Self {
        Mailbox(Arc::new(Mutex::new(Letters { queue: Vec::new(), ending: Ending::No, waker: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Letters<C>> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a batch. The driver is woken once, however many batches gather before it looks.
    pub fn push(&self, mut commands: Vec<C>) {
        if commands.is_empty() {
            return;
        }
        let mut letters = self.lock();
        if letters.queue.is_empty() {
            std::mem::swap(&mut letters.queue, &mut commands);
        } else {
            letters.queue.append(&mut commands);
        }
        wake(letters);
    }

    /// Leaves one command.
    pub fn push_one(&self, command: C) {
        let mut letters = self.lock();
        letters.queue.push(command);
        wake(letters);
    }

    /// Asks for a graceful end: unbind, wait for answers, close.
    pub fn close(&self) {
        self.end(Ending::Unbind);
    }

    /// Was the end asked for, gracefully or not?
    pub fn is_closed(&self) -> bool {
        self.lock().ending != Ending::No
    }

    /// Ends the session at once.
    pub fn kill(&self) {
        self.end(Ending::Kill);
    }

    fn end(&self, ending: Ending) {
        let mut letters = self.lock();
        letters.ending = letters.ending.max(ending);
        wake(letters);
    }

    /// Swaps what has gathered into `into` (empty before); leaves the waker behind if there is nothing.
    fn poll(&self, cx: &Context<'_>, into: &mut Vec<C>, ending: &mut Ending) -> bool {
        let mut letters = self.lock();
        let ended = letters.ending > *ending;
        *ending = letters.ending;
        if !letters.queue.is_empty() {
            std::mem::swap(&mut letters.queue, into);
        }
        if letters.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            letters.waker = Some(cx.waker().clone());
        }
        ended || !into.is_empty()
    }

    /// Takes what came too late to be handled. The registry does it once more, when nobody can push any longer.
    pub(super) fn take(&self) -> Vec<C> {
        std::mem::take(&mut self.lock().queue)
    }
}

/// Wakes the driver outside of the lock, once per sleep: it leaves its waker again before it sleeps.
fn wake<C>(mut letters: MutexGuard<'_, Letters<C>>) {
    let waker = letters.waker.take();
    drop(letters);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Sets what every SMPP socket wants: no Nagle (one answer must not wait for the next), and keepalive probes after
/// `keepalive` of silence if given.
pub fn tune(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        let probes = socket2::TcpKeepalive::new().with_time(idle).with_interval(Duration::from_secs(10)).with_retries(3);
        socket2::SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

/// A connection, and what records it.
pub struct Line {
    stream: TcpStream,
    tap: Option<Tap>,
}

impl Line {
    /// Recorded by `tap`, if there is one.
    pub fn new(stream: TcpStream, tap: Option<Tap>) -> Line {
        Line { stream, tap }
    }
}

impl From<TcpStream> for Line {
    fn from(stream: TcpStream) -> Line {
        Line { stream, tap: None }
    }
}

/// Drives one connection from here to its end. Returns why it ended, after [`Handler::closed`] and after its last reports went out.
///
/// `reports` is the one bounded hand-over: while it is full, nothing is read from this peer. If its receiver is
/// gone, the session is ended.
pub async fn drive<H: Handler>(
    line: impl Into<Line>,
    handler: H,
    session: Session,
    mailbox: Mailbox<H::Command>,
    reports: mpsc::Sender<Vec<H::Report>>,
    clock: SystemClock,
    limits: DriverLimits,
) -> CloseCause {
    let Line { stream, tap } = line.into();
    let mut driver = Driver {
        io: Wire::new(stream),
        tap,
        handler,
        session,
        mailbox,
        reports: Outlet { sender: reports, waiting: Vec::new(), reserve: None },
        timer: Timer { sleep: None, armed_us: u64::MAX, clock },
        commands: Vec::new(),
        ticked: Vec::new(),
        ending: Ending::No,
        unbinding: false,
        paused: false,
        limits,
    };
    driver.run(clock).await
}

/// What woke the driver; several may be true at once.
#[derive(Default)]
struct Ready {
    mail: bool,
    read: Option<io::Result<usize>>,
    timer: bool,
    failed: bool,
}

struct Driver<H: Handler> {
    io: Wire,
    tap: Option<Tap>,
    handler: H,
    session: Session,
    mailbox: Mailbox<H::Command>,
    reports: Outlet<H::Report>,
    timer: Timer,
    commands: Vec<H::Command>,
    ticked: Vec<Event<'static>>,
    ending: Ending,
    unbinding: bool,
    /// We did not read, for reasons of our own, since the last look.
    paused: bool,
    limits: DriverLimits,
}

impl<H: Handler> Driver<H> {
    async fn run(&mut self, clock: SystemClock) -> CloseCause {
        let mut now = clock.now();
        self.io.progress_us = now.mono_us;
        self.handler.opened(&mut self.session, now);
        let mut end = None;
        loop {
            // One hand-over, then one write: what this batch produced leaves together.
            self.handler.batch_end(&mut self.session, now, &mut self.reports.waiting);
            if self.reports.offer().is_err() {
                end = end.or(Some(CloseCause::Killed));
            }
            if end.is_some() {
                break;
            }
            let ready = std::future::poll_fn(|cx| self.poll(cx, now)).await;
            now = clock.now();
            end = self.handle(ready, now);
        }
        let cause = end.unwrap_or(CloseCause::Killed);
        self.finish(cause, clock).await;
        cause
    }

    /// Polls everything that can move this session and returns once anything did.
    fn poll(&mut self, cx: &mut Context<'_>, now: Now) -> Poll<Ready> {
        let mut ready = Ready::default();
        if let Some(tap) = &mut self.tap {
            // What has gathered since the last write.
            let unsent = self.io.unsent;
            tap.sent(self.session.output().get(unsent..).unwrap_or_default(), now);
        }
        if self.io.poll_write(cx, self.session.output(), now).is_err() {
            ready.failed = true;
            return Poll::Ready(ready);
        }
        ready.mail = self.mailbox.poll(cx, &mut self.commands, &mut self.ending);
        let unsent = self.session.output().len();
        let freed = self.reports.poll(cx);
        if !self.reports.waiting.is_empty() || unsent > self.limits.unsent_pause {
            self.paused = true;
        } else if let Poll::Ready(result) = self.io.poll_read(cx, self.limits.read_buffer) {
            ready.read = Some(result);
        }
        let deadline = self.deadline();
        ready.timer = self.timer.poll(cx, deadline);
        if ready.mail || ready.read.is_some() || ready.timer || freed { Poll::Ready(ready) } else { Poll::Pending }
    }

    /// The earliest moment at which anything must happen by itself.
    fn deadline(&self) -> Option<u64> {
        let stuck = (self.io.unsent > 0).then(|| self.io.progress_us + self.limits.slow_reader_ms * 1000);
        let quiet = self.io.holds_buffers.then(|| self.io.active_us + QUIET_US);
        [self.session.deadline(), self.handler.deadline(), stuck, quiet].into_iter().flatten().min()
    }

    /// Acts on what woke us. `Some` ends the session.
    fn handle(&mut self, ready: Ready, now: Now) -> Option<CloseCause> {
        if ready.failed {
            return Some(CloseCause::Io);
        }
        if std::mem::take(&mut self.paused) {
            // Before any timer is looked at: what the peer sent meanwhile lies unread.
            self.session.excuse_silence(now);
        }
        if ready.mail {
            for command in self.commands.drain(..) {
                self.handler.command(command, &mut self.session, now);
            }
            match self.ending {
                Ending::Kill => return Some(CloseCause::Killed),
                Ending::Unbind if !self.unbinding => {
                    self.unbinding = true;
                    self.session.unbind(now);
                }
                _ => {}
            }
        }
        if let Some(result) = ready.read
            && let Some(cause) = self.read_done(result, now)
        {
            return Some(cause);
        }
        if ready.timer {
            return self.timers(now);
        }
        None
    }

    fn read_done(&mut self, result: io::Result<usize>, now: Now) -> Option<CloseCause> {
        match result {
            Ok(0) => return Some(CloseCause::PeerClosed),
            Err(_) => return Some(CloseCause::Io),
            Ok(_) => self.io.active_us = now.mono_us,
        }
        let Driver { io, session, handler, .. } = self;
        let mut at = io.start;
        let mut end = None;
        // Until nothing is used up: the last call, on what is no whole PDU or nothing, also tells a decided end.
        loop {
            let (used, event) = session.next(&io.input[at..io.end], now);
            at += used;
            match event {
                Some(Event::Closed { cause }) => {
                    end = Some(cause);
                    break;
                }
                Some(event) => handler.event(event, session, now),
                None => {}
            }
            if used == 0 {
                break;
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.received(&io.input[io.start..at], now);
        }
        io.start = at;
        if end.is_none() && session.output().len() > self.limits.unsent_close {
            end = Some(CloseCause::SlowPeer);
        }
        end
    }

    fn timers(&mut self, now: Now) -> Option<CloseCause> {
        if self.io.unsent > 0 && now.mono_us >= self.io.progress_us + self.limits.slow_reader_ms * 1000 {
            return Some(CloseCause::SlowPeer);
        }
        if self.io.holds_buffers && now.mono_us >= self.io.active_us + QUIET_US {
            self.io.give_back(self.session.output());
        }
        if self.session.deadline().is_some_and(|at| at <= now.mono_us) {
            self.session.tick(now, &mut self.ticked);
            for event in self.ticked.drain(..) {
                if let Event::Closed { cause } = event {
                    return Some(cause);
                }
                if let (Event::Timeout { .. }, Some(tap)) = (&event, &mut self.tap) {
                    tap.timed_out(now);
                }
                self.handler.event(event, &mut self.session, now);
            }
        }
        if self.handler.deadline().is_some_and(|at| at <= now.mono_us) {
            self.handler.tick(&mut self.session, now);
        }
        None
    }

    /// Last words: output out (bounded in time), commands and reports handed over, socket closed.
    async fn finish(&mut self, cause: CloseCause, clock: SystemClock) {
        if !matches!(cause, CloseCause::Io | CloseCause::PeerClosed | CloseCause::SlowPeer) && self.ending != Ending::Kill {
            let output = self.session.output().split();
            if let Some(tap) = &mut self.tap {
                tap.sent(output.get(self.io.unsent..).unwrap_or_default(), clock.now());
            }
            let flush = async {
                if self.io.stream.write_all(&output).await.is_ok() {
                    // The peer may already be gone; there is nobody left to tell.
                    let _ = self.io.stream.shutdown().await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(self.limits.flush_ms), flush).await;
        }
        let now = clock.now();
        if let Some(tap) = &mut self.tap {
            tap.ended(cause, now);
        }
        // A session whose socket died doesn't know it yet: from here on it takes no requests, whatever the handler tries.
        self.session.close(cause);
        let _told_by_closed = self.session.next(&[], now);
        for command in self.mailbox.take() {
            self.handler.command(command, &mut self.session, now);
        }
        let mut last = std::mem::take(&mut self.reports.waiting);
        self.handler.closed(&mut self.session, cause, now, &mut last);
        if !last.is_empty() {
            // A receiver that is gone has no use for them.
            let _ = self.reports.sender.send(last).await;
        }
    }
}

/// The socket and its input buffer.
struct Wire {
    stream: TcpStream,
    /// Input; `start..end` is not yet handled. Empty while the session is quiet.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of output left after the last write.
    unsent: usize,
    /// When the peer last took output or had none to take.
    progress_us: u64,
    /// When the peer last said anything.
    active_us: u64,
    /// Buffers are larger than a quiet session may keep.
    holds_buffers: bool,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Wire { stream, input: Vec::new(), start: 0, end: 0, unsent: 0, progress_us: 0, active_us: 0, holds_buffers: false }
    }

    /// Makes room behind what is kept: a PDU that doesn't fit, or a full read, doubles the buffer.
    fn make_room(&mut self, most: usize) {
        let filled = self.end == self.input.len();
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let size = self.input.len();
        // Beyond `most` only a single unfinished PDU makes it grow; the session has checked its length against max_pdu.
        if size == 0 || (filled && size < most) || self.end == size {
            self.input.resize((size * 2).max(READ_BUFFER_MIN), 0);
            self.holds_buffers |= self.input.len() > READ_BUFFER_MIN;
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        if self.start > 0 || self.end == self.input.len() {
            self.make_room(most);
        }
        let mut buffer = ReadBuf::new(&mut self.input[self.end..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().len();
                self.end += read;
                Poll::Ready(Ok(read))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut bytes::BytesMut, now: Now) -> io::Result<()> {
        if self.unsent == 0 {
            // From here on the peer owes us progress.
            self.progress_us = now.mono_us;
        }
        while !output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    output.advance(written);
                    self.progress_us = now.mono_us;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if output.is_empty() {
            output.clear();
            self.holds_buffers |= output.capacity() > OUTPUT_KEEP;
        }
        self.unsent = output.len();
        Ok(())
    }

    /// Gives large buffers back, as far as nothing lies in them.
    fn give_back(&mut self, output: &mut bytes::BytesMut) {
        if self.start == self.end {
            self.input = Vec::new();
            (self.start, self.end) = (0, 0);
        }
        if output.is_empty() {
            *output = bytes::BytesMut::new();
        }
        self.holds_buffers = false;
    }
}

type Reserve<R> = Pin<Box<dyn Future<Output = Result<mpsc::OwnedPermit<Vec<R>>, mpsc::error::SendError<()>>> + Send>>;

/// The way out for reports: at once if there is room, else held here until there is.
struct Outlet<R> {
    sender: mpsc::Sender<Vec<R>>,
    waiting: Vec<R>,
    reserve: Option<Reserve<R>>,
}

impl<R: Send + 'static> Outlet<R> {
    /// Hands over what waits, if there is room. `Err`: the receiver is gone.
    fn offer(&mut self) -> Result<(), ()> {
        if self.waiting.is_empty() || self.reserve.is_some() {
            return Ok(());
        }
        match self.sender.try_send(std::mem::take(&mut self.waiting)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(waiting)) => {
                self.waiting = waiting;
                self.reserve = Some(Box::pin(self.sender.clone().reserve_owned()));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(()),
        }
    }

    /// True when a place came free and was used (or the receiver went away, which the next offer finds out).
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(reserve) = &mut self.reserve else { return false };
        let Poll::Ready(permit) = reserve.as_mut().poll(cx) else { return false };
        self.reserve = None;
        if let Ok(permit) = permit {
            permit.send(std::mem::take(&mut self.waiting));
        }
        true
    }
}

/// One tokio timer, armed only when the deadline moves forward of it or it has fired.
struct Timer {
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    armed_us: u64,
    clock: SystemClock,
}

impl Timer {
    /// True if it fired. It may fire early for a deadline that moved away since; the caller compares with the clock.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<u64>) -> bool {
        let Some(deadline) = deadline else { return false };
        if deadline < self.armed_us {
            let at = tokio::time::Instant::from_std(self.clock.instant_at(deadline));
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
            self.armed_us = deadline;
        }
        let fired = self.sleep.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
        if fired {
            self.armed_us = u64::MAX;
        }
        fired
    }
}
