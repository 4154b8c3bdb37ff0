//! A bare relay, the floor of every comparison: cuts PDUs, rewrites sequence numbers, passes them on, keeps nothing.
//! One upstream connection for each connection that comes in.

use crate::link::driver::tune;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Requests in flight in one direction whose numbers are remembered; a power of two.
const NUMBERS: usize = 1 << 16;
/// Longest PDU passed on, octets.
const PDU_MAX: usize = 128 * 1024;
/// Input buffer of each direction, octets.
const INPUT: usize = 256 * 1024;
/// Unsent output above which the other side isn't read, octets.
const UNSENT_PAUSE: usize = 1024 * 1024;
/// Connections at one time; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 1_000;

/// Relays every connection to `listener` on to `target` until dropped.
///
/// # Errors
/// If the listener fails.
pub async fn relay(listener: TcpListener, target: SocketAddr) -> io::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (near, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        if connections.len() < CONNECTIONS_MAX {
            connections.spawn(async move {
                // Either side's end ends the pair; there is nobody to tell.
                let _ = pair(near, target).await;
            });
        }
    }
}

async fn pair(near: TcpStream, target: SocketAddr) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    tune(&near, None)?;
    tune(&far, None)?;
    let (mut near, mut far) = (Side::new(near), Side::new(far));
    poll_fn(|cx| {
        let mut moved = true;
        while moved {
            // Both directions, until neither has anything more to give at the moment.
            let (out, back) = (near.pass_to(&mut far, cx)?, far.pass_to(&mut near, cx)?);
            moved = out || back;
        }
        Poll::Pending
    })
    .await
}

/// One end of a pair: its socket, what came from it, what goes to it, and the numbers of requests sent to it.
struct Side {
    stream: TcpStream,
    input: Vec<u8>,
    end: usize,
    output: BytesMut,
    /// By our number modulo [`NUMBERS`]: the number that the requester gave.
    numbers: Vec<u32>,
    next: u32,
}

impl Side {
    fn new(stream: TcpStream) -> Self {
        Side { stream, input: vec![0; INPUT], end: 0, output: BytesMut::with_capacity(INPUT), numbers: vec![0; NUMBERS], next: 0 }
    }

    /// Reads once, passes whole PDUs to `other`, writes there. True if anything was read.
    fn pass_to(&mut self, other: &mut Side, cx: &mut Context<'_>) -> io::Result<bool> {
        other.flush(cx)?;
        if other.output.len() > UNSENT_PAUSE {
            return Ok(false);
        }
        let mut buffer = ReadBuf::new(&mut self.input[self.end..]);
        let read = match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => buffer.filled().len(),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(false),
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        self.pass_frames(other)?;
        other.flush(cx)?;
        Ok(true)
    }

    fn pass_frames(&mut self, other: &mut Side) -> io::Result<()> {
        let mut at = 0;
        while let Some(header) = self.input[at..self.end].first_chunk::<16>() {
            let word = |from: usize| u32::from_be_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]]);
            let length = word(0) as usize;
            if !(16..=PDU_MAX).contains(&length) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if at + length > self.end {
                break;
            }
            let is_answer = word(4) & 0x8000_0000 != 0;
            let number = if is_answer { self.numbers[word(12) as usize % NUMBERS] } else { other.new_number(word(12)) };
            let start = other.output.len();
            other.output.extend_from_slice(&self.input[at..at + length]);
            other.output[start + 12..start + 16].copy_from_slice(&number.to_be_bytes());
            at += length;
        }
        self.input.copy_within(at..self.end, 0);
        self.end -= at;
        Ok(())
    }

    fn new_number(&mut self, theirs: u32) -> u32 {
        self.next = if self.next >= 0x7FFF_FFFF { 1 } else { self.next + 1 };
        self.numbers[self.next as usize % NUMBERS] = theirs;
        self.next
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(written)) => self.output.advance(written),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        self.output.clear();
        Ok(())
    }
}
