//! Response bodies: whole, a list streamed item by item, or a watch.
//!
//! A list is never concatenated in memory: its items are the stored bytes, gathered
//! into chunks as the connection asks for them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::watch::WatchBody;

/// How large the chunks of a streamed body grow.
pub(crate) const CHUNK: usize = 128 * 1024;

/// The body of a response.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Full(Option<Bytes>),
    List(ListBody),
    Watch(Box<WatchBody>),
}

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }

    /// A list: `head`, the items separated by commas, `]}`.
    pub(crate) fn list(head: String, items: Vec<Bytes>) -> Self {
        Self(Kind::List(ListBody::new(head, items)))
    }

    pub(crate) fn watch(watch: WatchBody) -> Self {
        Self(Kind::Watch(Box::new(watch)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match &mut self.get_mut().0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take()),
            Kind::List(list) => Poll::Ready(list.next_chunk()),
            Kind::Watch(watch) => watch.poll_chunk(cx),
        };
        chunk.map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::List(list) => list.remaining == 0,
            Kind::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::List(list) => SizeHint::with_exact(list.remaining),
            Kind::Watch(_) => SizeHint::default(),
        }
    }
}

#[derive(Debug)]
struct ListBody {
    head: Bytes,
    items: std::vec::IntoIter<Bytes>,
    started: bool,
    remaining: u64,
}

impl ListBody {
    const TAIL: &'static [u8] = b"]}";

    fn new(head: String, items: Vec<Bytes>) -> Self {
        let commas = items.len().saturating_sub(1);
        let content: usize = items.iter().map(Bytes::len).sum();
        let remaining = (head.len() + content + commas + Self::TAIL.len()) as u64;
        Self {
            head: head.into(),
            items: items.into_iter(),
            started: false,
            remaining,
        }
    }

    fn next_chunk(&mut self) -> Option<Bytes> {
        if self.remaining == 0 {
            return None;
        }
        let size = usize::try_from(self.remaining)
            .unwrap_or(CHUNK)
            .min(CHUNK + CHUNK / 4);
        let mut chunk = BytesMut::with_capacity(size);
        chunk.put_slice(&std::mem::take(&mut self.head));
        while chunk.len() < CHUNK {
            let Some(item) = self.items.next() else {
                chunk.put_slice(Self::TAIL);
                break;
            };
            if self.started {
                chunk.put_u8(b',');
            }
            self.started = true;
            chunk.put_slice(&item);
        }
        self.remaining -= chunk.len() as u64;
        Some(chunk.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concatenate(mut list: ListBody) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = list.next_chunk() {
            all.extend_from_slice(&chunk);
        }
        all
    }

    #[test]
    fn a_streamed_list_has_the_announced_length() {
        for count in [0, 1, 2, 5000] {
            let items =
                vec![Bytes::from_static(br#"{"kind":"Pod","metadata":{"name":"a-pod-with-a-name"}}"#); count];
            let list = ListBody::new(r#"{"kind":"PodList","items":["#.to_owned(), items);
            let announced = list.remaining;
            let all = concatenate(list);
            assert_eq!(all.len() as u64, announced);
            let value: serde_json::Value = serde_json::from_slice(&all).unwrap();
            assert_eq!(value["items"].as_array().unwrap().len(), count);
        }
    }
}
