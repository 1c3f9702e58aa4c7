//! A cursor over JSON text that checks what it passes and knows where it is.
//!
//! Watch frames and list pages are cut, pruned and read in one pass over their bytes;
//! a general parser would build values that nobody keeps, or pass over the text again
//! for every level at which something is taken out. Nothing is allocated here.

use std::borrow::Cow;

/// Deeper nesting than any API server accepts.
const MAX_DEPTH: u16 = 256;

/// The text is not JSON, or not of the expected shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at byte {offset}")]
pub(crate) struct Malformed {
    pub(crate) offset: usize,
}

/// A position in JSON text. The text must be UTF-8.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    depth: u16,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// The first byte of the next value.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.get(self.at).copied()
    }

    /// Visits each member of an object; `visit` gets the raw key and must pass the value.
    pub(crate) fn members(
        &mut self,
        mut visit: impl FnMut(&mut Self, &'a [u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.enter(b'{')?;
        if self.peek() == Some(b'}') {
            return self.leave();
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            visit(self, key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.leave(),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Visits each item of an array; `visit` must pass it.
    pub(crate) fn items(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.enter(b'[')?;
        if self.peek() == Some(b']') {
            return self.leave();
        }
        loop {
            visit(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.leave(),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Passes one value and returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        self.skip_space();
        let start = self.at;
        self.skip_value()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Passes a string and returns what is between the quotes, escapes untouched.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        self.skip_string()?;
        Ok(self.text.get(start..self.at - 1).unwrap_or_default())
    }

    /// Passes a value; returns it unescaped if it is a string.
    pub(crate) fn optional_string(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        if self.peek() != Some(b'"') {
            self.skip_value()?;
            return Ok(None);
        }
        let raw = self.string()?;
        unescape(raw).map(Some).ok_or_else(|| self.malformed())
    }

    /// Passes the end of the text.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// Passes one value.
    pub(crate) fn skip_value(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{') => self.members(|cursor, _| cursor.skip_value()),
            Some(b'[') => self.items(Self::skip_value),
            Some(b'"') => {
                self.at += 1;
                self.skip_string()
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.malformed()),
        }
    }

    fn malformed(&self) -> Malformed {
        Malformed { offset: self.at }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn enter(&mut self, open: u8) -> Result<(), Malformed> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(self.malformed())
        } else {
            Ok(())
        }
    }

    fn leave(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.malformed())
        } else {
            Ok(())
        }
    }

    /// From behind the opening quote to behind the closing one.
    fn skip_string(&mut self) -> Result<(), Malformed> {
        loop {
            self.skip_plain_text();
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Passes eight bytes at a time as long as none of them is a quote, a backslash or a
    /// control character, by the zero-byte trick on each.
    fn skip_plain_text(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        while let Some(word) = self.text.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let quote = has_zero(word ^ (ONES * u64::from(b'"')));
            let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let special = quote | backslash | control;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let digits = self
                    .text
                    .get(self.at + 2..self.at + 6)
                    .ok_or_else(|| self.malformed())?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.malformed());
                }
                self.at += 6;
                Ok(())
            }
            _ => Err(self.malformed()),
        }
    }
}

/// Resolves the escapes of a string that the cursor has passed.
pub(crate) fn unescape(raw: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', raw).is_none() {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &[u8]) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.skip_value().and_then(|()| cursor.end()).is_ok()
    }

    #[test]
    fn malformed_text_is_refused_with_its_position() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "tru",
            "01",
            "1.",
            "-",
            "\"\\x\"",
            "\"a",
            "{}{}",
            "[1}",
        ] {
            assert!(!accepts(text.as_bytes()), "{text}");
        }
        let deep = "[".repeat(1000);
        assert!(!accepts(deep.as_bytes()));
        assert_eq!(
            Cursor::new(b"{\"a\":nul}").skip_value(),
            Err(Malformed { offset: 5 })
        );
    }

    #[test]
    fn values_keep_their_text() {
        let mut cursor = Cursor::new(br#" { "a" : [1, {"b":"\"}"}] , "c":null} "#);
        let mut seen = Vec::new();
        cursor
            .members(|cursor, key| {
                seen.push((key, cursor.value()?));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [(&b"a"[..], &br#"[1, {"b":"\"}"}]"#[..]), (b"c", b"null")]);
        assert!(cursor.end().is_ok());
    }

    proptest! {
        #[test]
        fn it_accepts_what_a_json_parser_accepts(text in r#"[\[\]{}",:0-9a-e.\\u \-]{0,24}"#) {
            let by_parser = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            // Unlike the parser, the cursor leaves lone surrogates to whoever unescapes.
            if by_parser || !text.contains("\\u") {
                prop_assert_eq!(accepts(text.as_bytes()), by_parser);
            }
        }

        #[test]
        fn strings_of_any_length_end_at_their_quote(text in "\\PC{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let mut cursor = Cursor::new(json.as_bytes());
            let value = cursor.optional_string().unwrap().unwrap();
            prop_assert_eq!(value.as_ref(), text.as_str());
            prop_assert!(cursor.end().is_ok());
        }
    }
}
