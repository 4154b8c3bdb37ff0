//! A message's notes in events: reference, tags, callback. What stands before them says whether there are any.

use super::{EventError, Reader, put_octets, put_short};
use crate::model::notes::{Callback, CallbackForm, Keyed, Notes, REFERENCE_MAX, TAG_MAX, TAGS_MAX, URL_MAX};
use std::sync::Arc;

pub(super) fn put_notes(notes: Option<&Notes>, out: &mut Vec<u8>) {
    let Some(notes) = notes else { return };
    put_short(notes.reference.as_bytes(), out);
    out.push(notes.tags.len() as u8);
    notes.tags.iter().for_each(|tag| put_short(tag.as_bytes(), out));
    let callback = notes.callback.as_ref();
    out.push(u8::from(callback.is_some()) | u8::from(notes.keyed.is_some()) << 1);
    if let Some(callback) = callback {
        out.extend_from_slice(&[callback.form as u8, callback.mask]);
        put_octets(callback.url.as_bytes(), out);
    }
    if let Some(Keyed { key, content }) = notes.keyed {
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(&content.to_le_bytes());
    }
}

impl Reader<'_> {
    /// `there`: what stood before them.
    pub(super) fn notes(&mut self, there: bool) -> Result<Option<Arc<Notes>>, EventError> {
        if !there {
            return Ok(None);
        }
        let reference = self.short_text("reference", REFERENCE_MAX)?;
        let count = self.u8()? as usize;
        if count > TAGS_MAX {
            return Err(EventError::Value("tags"));
        }
        let tags = (0..count).map(|_| self.short_text("tag", TAG_MAX)).collect::<Result<_, _>>()?;
        let bits = self.u8()?;
        if bits > 3 {
            return Err(EventError::Value("notes"));
        }
        let callback = match bits & 1 {
            0 => None,
            _ => Some(Callback {
                form: CallbackForm::from_u8(self.u8()?).ok_or(EventError::Value("form of callback"))?,
                mask: self.u8()?,
                url: String::from_utf8(self.octets()?.into_vec())
                    .ok()
                    .filter(|url| url.len() <= URL_MAX)
                    .ok_or(EventError::Value("address of callback"))?
                    .into_boxed_str(),
            }),
        };
        let keyed = if bits & 2 != 0 { Some(Keyed { key: self.u64()?, content: self.u64()? }) } else { None };
        Ok(Some(Arc::new(Notes { reference, tags, callback, keyed })))
    }

    fn short_text(&mut self, what: &'static str, max: usize) -> Result<Box<str>, EventError> {
        self.text().ok().filter(|text| text.len() <= max).ok_or(EventError::Value(what))
    }
}
