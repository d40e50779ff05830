//! Terminal sizes, as clients send them: JSON objects `{"Width":…,"Height":…}` one after another.
//!
//! What a read gives may end within an object, so the rest is kept until the next.

use serde::Deserialize;

/// The most bytes of an object that is not complete. A whole one has some thirty.
const MAX_REST_BYTES: usize = 4096;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Size {
    /// Columns.
    #[serde(rename = "Width", alias = "width")]
    pub width: u16,
    /// Rows.
    #[serde(rename = "Height", alias = "height")]
    pub height: u16,
}

/// What a client sent is no size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client sent something that is no terminal size")]
pub struct NotASize;

/// Cuts what arrives into sizes.
#[derive(Debug, Default)]
pub struct Sizes {
    rest: Vec<u8>,
}

impl Sizes {
    /// Takes what arrived and gives the last size that is complete: those before it are out of date.
    ///
    /// # Errors
    /// It is no size. Nothing that follows can be understood then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Size>, NotASize> {
        self.rest.extend_from_slice(bytes);
        let mut objects = serde_json::Deserializer::from_slice(&self.rest).into_iter::<Size>();
        let (mut last, mut used) = (None, 0);
        loop {
            match objects.next() {
                Some(Ok(size)) => {
                    last = Some(size);
                    used = objects.byte_offset();
                }
                Some(Err(error)) if error.is_eof() => break,
                Some(Err(_)) => return Err(NotASize),
                None => {
                    used = self.rest.len();
                    break;
                }
            }
        }
        self.rest.drain(..used);
        if self.rest.len() > MAX_REST_BYTES { Err(NotASize) } else { Ok(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u16, height: u16) -> Result<Option<Size>, NotASize> {
        Ok(Some(Size { width, height }))
    }

    #[test]
    fn sizes_arrive_in_any_pieces() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.push(b"{\"Width\":80,\"Height\":24}\n"), size(80, 24));
        assert_eq!(sizes.push(b"\n"), Ok(None));
        assert_eq!(sizes.push(b"{\"Width\":1"), Ok(None));
        assert_eq!(sizes.push(b"00,\"Height\":40}{\"Width\":101,\"Height\":41}{\"W"), size(101, 41));
        assert_eq!(sizes.push(b"idth\":7,\"Height\":8}"), size(7, 8));
    }

    #[test]
    fn nonsense_ends_it() {
        for text in ["{\"Width\":70000,\"Height\":1}", "[1]", "{\"Height\":1}", "x"] {
            assert_eq!(Sizes::default().push(text.as_bytes()), Err(NotASize), "{text}");
        }
        let long = format!("{{\"Width\":{}", " ".repeat(MAX_REST_BYTES));
        assert_eq!(Sizes::default().push(long.as_bytes()), Err(NotASize));
    }
}
