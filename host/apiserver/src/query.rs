//! Query strings and percent-encoding.

use std::borrow::Cow;

/// The parameters of a request, decoded on access.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// All parameters in order.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, Plus::Space), decode(value, Plus::Space))
        })
    }

    /// The first value of a parameter; the empty text counts as absent.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    /// Whether a parameter is `true` or `1`.
    pub(crate) fn flag(self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| matches!(value.as_ref(), "true" | "1"))
    }
}

/// What `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// In query strings.
    Space,
    /// In paths.
    Itself,
}

/// Decodes percent-encoding; what is not valid UTF-8 is replaced.
pub(crate) fn decode(text: &str, plus: Plus) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) if plus == Plus::Space => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn nibble(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::new(Some("labelSelector=a%3Db%2Cc+in+%28d%29&watch=1&empty=&x=%zz"));
        assert_eq!(query.get("labelSelector").unwrap(), "a=b,c in (d)");
        assert!(query.flag("watch"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.get("x").unwrap(), "%zz");
        assert_eq!(decode("a+b%2f", Plus::Itself), "a+b/");
    }
}
