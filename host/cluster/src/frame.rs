//! What comes off the wire: list pages and watch frames, cut into objects.
//!
//! Everything is borrowed from the bytes received; objects themselves are not looked into.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};
use windlass_core::api_error::ApiError;

use crate::json::{Cursor, Malformed};

/// Longer than any object an API server stores, with room for several.
const MAX_LINE: usize = 32 * 1024 * 1024;

/// Why received bytes could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Shape(&'static str),
}

/// One page of a list.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) resource_version: u64,
    /// Empty on the last page.
    pub(crate) continue_token: Cow<'a, str>,
    pub(crate) items: Vec<&'a [u8]>,
}

impl<'a> Page<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        std::str::from_utf8(bytes)?;
        let mut page = Self::default();
        let mut is_list = false;
        let mut cursor = Cursor::new(bytes);
        cursor.members(|cursor, key| match key {
            b"metadata" => {
                is_list = true;
                cursor.members(|cursor, key| page.metadata(cursor, key))
            }
            b"items" if cursor.peek() == Some(b'[') => cursor.items(|cursor| {
                page.items.push(cursor.value()?);
                Ok(())
            }),
            _ => cursor.skip_value(),
        })?;
        cursor.end()?;
        if is_list {
            Ok(page)
        } else {
            Err(FrameError::Shape("list without metadata"))
        }
    }

    fn metadata(&mut self, cursor: &mut Cursor<'a>, key: &[u8]) -> Result<(), Malformed> {
        match key {
            b"resourceVersion" => self.resource_version = version(cursor)?,
            b"continue" => self.continue_token = cursor.optional_string()?.unwrap_or_default(),
            _ => cursor.skip_value()?,
        }
        Ok(())
    }
}

/// One line of a watch.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// ADDED or MODIFIED.
    Stored(&'a [u8]),
    Deleted(&'a [u8]),
    /// Nothing changed up to this version.
    Bookmark(u64),
    /// The server ends the watch.
    Error(ApiError),
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, FrameError> {
        std::str::from_utf8(line)?;
        let (mut kind, mut object) = (&b""[..], None);
        let mut cursor = Cursor::new(line);
        cursor.members(|cursor, key| {
            match key {
                b"type" => kind = cursor.string()?,
                b"object" => object = Some(cursor.value()?),
                _ => cursor.skip_value()?,
            }
            Ok(())
        })?;
        cursor.end()?;
        let object = object.ok_or(FrameError::Shape("watch frame without object"))?;
        match kind {
            b"ADDED" | b"MODIFIED" => Ok(Self::Stored(object)),
            b"DELETED" => Ok(Self::Deleted(object)),
            b"BOOKMARK" => Ok(Self::Bookmark(object_version(object)?)),
            b"ERROR" => Ok(Self::Error(status(object)?)),
            _ => Err(FrameError::Shape("watch frame of unknown type")),
        }
    }
}

pub(crate) fn object_version(object: &[u8]) -> Result<u64, Malformed> {
    let mut found = 0;
    Cursor::new(object).members(|cursor, key| match key {
        b"metadata" => cursor.members(|cursor, key| {
            match key {
                b"resourceVersion" => found = version(cursor)?,
                _ => cursor.skip_value()?,
            }
            Ok(())
        }),
        _ => cursor.skip_value(),
    })?;
    Ok(found)
}

/// A resource version as a number, as clients may compare it since Kubernetes 1.35.
fn version(cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
    Ok(cursor
        .optional_string()?
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

fn status(object: &[u8]) -> Result<ApiError, Malformed> {
    let mut code = 500;
    Cursor::new(object).members(|cursor, key| {
        let value = cursor.value()?;
        if key == b"code" {
            code = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(500);
        }
        Ok(())
    })?;
    Ok(ApiError::from_response(code, object, None))
}

/// Cuts a byte stream into lines.
#[derive(Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// Up to here there is no line end.
    searched: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), FrameError> {
        if self.buffer.len() + chunk.len() > MAX_LINE {
            return Err(FrameError::Shape("watch frame longer than 32 MiB"));
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole line, without its end. Empty lines are passed over.
    pub(crate) fn next(&mut self) -> Option<BytesMut> {
        loop {
            let unsearched = self.buffer.get(self.searched..)?;
            let Some(end) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.buffer.len();
                return None;
            };
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }

    /// Whether a line has begun and not ended.
    pub(crate) fn has_rest(&self) -> bool {
        !self.buffer.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use windlass_core::api_error::ApiErrorKind;

    use super::*;

    #[test]
    fn a_page_gives_its_items_its_version_and_the_way_on() {
        let page = Page::parse(
            br#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"abc","remainingItemCount":1},
                "items":[{"metadata":{"name":"a"}}, {"metadata":{"name":"b"}}]}"#,
        )
        .unwrap();
        assert_eq!(
            (
                page.resource_version,
                page.continue_token.as_ref(),
                page.items.len()
            ),
            (7, "abc", 2)
        );
        assert_eq!(page.items[1], br#"{"metadata":{"name":"b"}}"#);
        assert!(
            Page::parse(br#"{"metadata":{},"items":null}"#)
                .unwrap()
                .items
                .is_empty()
        );
        assert!(Page::parse(br#"{"items":[]}"#).is_err());
        assert!(Page::parse(br#"{"metadata":{},"items":[{"a":}]}"#).is_err());
        assert!(Page::parse(b"\xff").is_err());
    }

    #[test]
    fn frames_are_told_apart_whatever_the_order_of_their_members() {
        assert!(matches!(
            Frame::parse(br#"{"object":{"a":1},"type":"ADDED"}"#),
            Ok(Frame::Stored(br#"{"a":1}"#))
        ));
        assert!(matches!(
            Frame::parse(br#"{"type":"DELETED","object":{}}"#),
            Ok(Frame::Deleted(b"{}"))
        ));
        let bookmark = br#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12"}}}"#;
        assert!(matches!(Frame::parse(bookmark), Ok(Frame::Bookmark(12))));
        let error = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        let Ok(Frame::Error(error)) = Frame::parse(error) else {
            panic!("no error frame")
        };
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ApiErrorKind::Gone, "too old")
        );
        for line in [
            "{\"type\":\"ADDED\"}",
            "{\"type\":\"NEW\",\"object\":{}}",
            "{\"type\":\"ADDED\",\"object\":{}",
            "nonsense",
        ] {
            assert!(Frame::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_stream_was_cut(text in "[ab\n]{0,60}", cuts in proptest::collection::vec(1usize..7, 0..60)) {
            let mut lines = Lines::default();
            let (mut rest, mut got) = (text.as_bytes(), Vec::new());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                rest = tail;
                lines.push(chunk).unwrap();
                while let Some(line) = lines.next() {
                    got.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            let (whole, tail) = text.rsplit_once('\n').map_or(("", text.as_str()), |(whole, tail)| (whole, tail));
            let expected: Vec<_> = whole.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
            prop_assert_eq!(got, expected);
            prop_assert_eq!(lines.has_rest(), !tail.is_empty());
        }
    }
}
