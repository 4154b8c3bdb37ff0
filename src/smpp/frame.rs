//! Cuts whole PDUs out of a stream by `command_length`. Nothing is allocated or waited for before the length is known to be sane;
//! what is inside a frame is for `decode`.

/// Octets of the header that every PDU opens with.
pub const HEADER_LEN: usize = 16;

/// A length that leaves no way to find the next PDU: the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// `command_length` is below the size of a header.
    #[error("command_length {length} is below 16")]
    TooShort {
        /// The announced length.
        length: u32,
    },
    /// `command_length` is above the limit of this session.
    #[error("command_length {length} is above the limit")]
    TooLong {
        /// The announced length.
        length: u32,
        /// `sequence_number` of the header.
        sequence: u32,
    },
}

/// The whole PDU at the start of `input`, or `None` while octets are missing. `max` is the greatest `command_length` taken.
///
/// A length above `max` is told only once the header is complete, so that the answer does not depend on how the stream was cut.
pub fn next(input: &[u8], max: usize) -> Result<Option<&[u8]>, FrameError> {
    let Some(octets) = input.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*octets);
    let size = length as usize;
    if size < HEADER_LEN {
        return Err(FrameError::TooShort { length });
    }
    if size > max {
        let Some(header) = input.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        return Err(FrameError::TooLong { length, sequence: u32::from_be_bytes([header[12], header[13], header[14], header[15]]) });
    }
    Ok(input.get(..size))
}
