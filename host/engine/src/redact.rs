//! Keeps what is secret out of what a guest says to people: log lines, errors, events.
//!
//! Masked are tokens by their form (JSON Web Tokens, `Bearer …`), and the values of the
//! Secrets that this instance was given or wrote, as they are and in Base64, if they have
//! at least [`MIN_VALUE`] characters. This catches accidents, such as a client library that
//! quotes a connection string. It does not catch intent: a guest may write a value
//! backwards, and against that helps only not granting it Secrets.
//!
//! Promises: what is remembered is bounded; values are forgotten oldest first, and with
//! the instance.

use std::borrow::Cow;
use std::collections::VecDeque;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hashbrown::{HashMap, HashSet};
use serde::Deserialize;

/// Shorter values are left alone: they would mask ordinary words.
pub(crate) const MIN_VALUE: usize = 8;
const MAX_VALUES: usize = 2048;
const MAX_BYTES: usize = 1 << 20;
const MASK: &str = "[redacted]";
/// Shortest text after `Bearer` that is taken for a token.
const MIN_TOKEN: usize = 8;
const BEARER: &str = "bearer ";

/// The secrets of one instance.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    known: HashSet<String>,
    /// Oldest first.
    order: VecDeque<String>,
    bytes: usize,
    /// Made when it is needed first after a change.
    finder: Option<AhoCorasick>,
}

/// A Secret, a list of them, or a patch of one.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Document {
    data: Option<HashMap<String, Option<String>>>,
    string_data: Option<HashMap<String, Option<String>>>,
    items: Option<Vec<Document>>,
}

impl Redactor {
    /// Remembers the values of a Secret, or of a list of Secrets.
    pub(crate) fn note(&mut self, body: &[u8]) {
        // What is no Secret holds none of its values.
        if let Ok(document) = serde_json::from_slice::<Document>(body) {
            self.note_document(document);
        }
    }

    fn note_document(&mut self, document: Document) {
        for encoded in document.data.into_iter().flatten().filter_map(|(_, value)| value) {
            if let Some(text) = decode(&encoded) {
                self.remember(text.trim());
            }
            self.remember(&encoded);
        }
        for text in document
            .string_data
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| value)
        {
            self.remember(text.trim());
        }
        for item in document.items.into_iter().flatten() {
            self.note_document(item);
        }
    }

    fn remember(&mut self, value: &str) {
        if value.len() < MIN_VALUE || value.len() > MAX_BYTES || self.known.contains(value) {
            return;
        }
        self.finder = None;
        self.bytes += value.len();
        self.known.insert(value.to_owned());
        self.order.push_back(value.to_owned());
        while self.order.len() > MAX_VALUES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.known.remove(&oldest);
        }
    }

    /// The text without what is secret.
    pub(crate) fn redact(&mut self, text: String) -> String {
        let text = match mask_tokens(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => masked,
        };
        if self.order.is_empty() {
            return text;
        }
        if self.finder.is_none() {
            let finder = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&self.order);
            // Fails only beyond sizes that the limits above exclude.
            self.finder = finder.ok();
        }
        match &self.finder {
            Some(finder) => {
                let mut masked = String::with_capacity(text.len());
                finder.replace_all_with(&text, &mut masked, |_, _, out| {
                    out.push_str(MASK);
                    true
                });
                masked
            }
            None => MASK.to_owned(),
        }
    }
}

fn decode(encoded: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
}

fn mask_tokens(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((start, end)) = find_token(rest) {
        masked.push_str(&rest[..start]);
        masked.push_str(MASK);
        rest = &rest[end..];
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Where the first token begins and ends; both are between characters, because tokens and
/// what is before them are ASCII.
fn find_token(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    // Up to here nothing can be a JSON Web Token. Without this a text of many beginnings
    // would be counted from each of them.
    let mut counted = 0;
    (0..bytes.len()).find_map(|at| {
        let rest = bytes.get(at..)?;
        if at >= counted && rest.starts_with(b"eyJ") {
            let length = run(rest, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
            });
            let dots = rest.iter().take(length).filter(|byte| **byte == b'.').count();
            counted = at + length;
            return (dots >= 2).then_some((at, at + length));
        }
        let prefix = rest.get(..BEARER.len())?;
        if !prefix.eq_ignore_ascii_case(BEARER.as_bytes()) {
            return None;
        }
        let start = at + BEARER.len();
        let length = run(bytes.get(start..)?, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
        });
        (length >= MIN_TOKEN).then_some((start, start + length))
    })
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| belongs(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(redactor: &mut Redactor, text: &str) -> String {
        redactor.redact(text.to_owned())
    }

    #[test]
    fn tokens_are_known_by_their_form() {
        let mut redactor = Redactor::default();
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-_x";
        assert_eq!(
            redacted(&mut redactor, &format!("token={jwt}, done")),
            "token=[redacted], done"
        );
        assert_eq!(
            redacted(&mut redactor, "Authorization: bearer abcdef123456== é"),
            "Authorization: bearer [redacted] é"
        );
        for harmless in ["the bearer of news", "eyJust a word", "a.b.c", "Bearer é", ""] {
            assert_eq!(redacted(&mut redactor, harmless), harmless);
        }
    }

    #[test]
    fn many_beginnings_of_tokens_take_no_longer_than_other_text() {
        let text = "eyJ".repeat(1 << 20);
        assert_eq!(redacted(&mut Redactor::default(), &text), text);
        let after = format!("{text} bearer abcdef123456 eyJ.{text}.c");
        assert_eq!(
            redacted(&mut Redactor::default(), &after),
            format!("{text} bearer [redacted] [redacted]")
        );
    }

    #[test]
    fn values_of_secrets_are_masked_as_they_are_and_in_base64() {
        let mut redactor = Redactor::default();
        redactor.note(br#"{"kind":"Secret","data":{"password":"aHVudGVyMi1odW50ZXIyCg==","short":"YWJj"}}"#);
        assert_eq!(
            redacted(&mut redactor, "cannot log in with hunter2-hunter2 at abc"),
            "cannot log in with [redacted] at abc"
        );
        assert_eq!(redacted(&mut redactor, "aHVudGVyMi1odW50ZXIyCg=="), "[redacted]");
        redactor.note(br#"{"kind":"SecretList","items":[{"data":{"key":"c3dvcmRmaXNo"}}]}"#);
        assert_eq!(
            redacted(&mut redactor, "swordfish hunter2-hunter2"),
            "[redacted] [redacted]"
        );
        redactor.note(br#"{"stringData":{"key":"correct horse","gone":null}}"#);
        assert_eq!(
            redacted(&mut redactor, "correct horse battery"),
            "[redacted] battery"
        );
    }

    #[test]
    fn of_values_that_contain_each_other_the_longer_is_masked() {
        let mut redactor = Redactor::default();
        redactor.note(br#"{"stringData":{"a":"password","b":"password-and-more"}}"#);
        assert_eq!(
            redacted(&mut redactor, "password-and-more password"),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_is_forgotten() {
        let mut redactor = Redactor::default();
        for number in 0..MAX_VALUES + 10 {
            redactor.remember(&format!("value-{number:08}"));
        }
        redactor.remember(&"x".repeat(MAX_BYTES + 1));
        assert_eq!(redactor.order.len(), MAX_VALUES);
        assert_eq!(redactor.known.len(), MAX_VALUES);
        assert_eq!(redacted(&mut redactor, "value-00000000"), "value-00000000");
        assert_eq!(redacted(&mut redactor, "value-00002000"), "[redacted]");
        redactor.remember(&"y".repeat(MAX_BYTES));
        assert_eq!((redactor.order.len(), redactor.bytes), (1, MAX_BYTES));
    }
}
