//! Bytes as the lines and fields that targets are made of.
//!
//! Whatever the bytes are, they mean something: a field that is missing is empty, a number
//! that is none is zero. An input is a list of records, each a line of fields between
//! tabs and, behind the line, a body up to the next line that is `---`.

/// The records of an input.
pub(crate) fn records(data: &[u8]) -> impl Iterator<Item = Record<'_>> {
    split(data, b"\n---\n").map(Record::new)
}

/// A line of fields, and a body.
pub(crate) struct Record<'a> {
    fields: Vec<String>,
    /// What follows the line.
    pub(crate) body: &'a [u8],
}

impl<'a> Record<'a> {
    fn new(text: &'a [u8]) -> Self {
        let end = text.iter().position(|byte| *byte == b'\n');
        let (line, body) = text.split_at(end.unwrap_or(text.len()));
        Self {
            fields: line
                .split(|byte| *byte == b'\t')
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .collect(),
            body: body.get(1..).unwrap_or_default(),
        }
    }

    /// A field by its position. The words `\n` and `\t` in it stand for what they say.
    pub(crate) fn text(&self, position: usize) -> String {
        let field = self.fields.get(position).map_or("", String::as_str);
        field.replace("\\n", "\n").replace("\\t", "\t")
    }

    /// A field with commas between its items.
    pub(crate) fn list(&self, position: usize) -> Vec<String> {
        let text = self.text(position);
        if text.is_empty() {
            return Vec::new();
        }
        text.split(',').map(str::to_owned).collect()
    }

    /// A field that is a number.
    pub(crate) fn number(&self, position: usize) -> u64 {
        self.text(position).parse().unwrap_or(0)
    }

    /// All fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> {
        (0..self.fields.len()).map(|position| self.text(position))
    }
}

fn split<'a>(data: &'a [u8], separator: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text
            .windows(separator.len())
            .position(|window| window == separator);
        rest = end.and_then(|end| text.get(end + separator.len()..));
        text.get(..end.unwrap_or(text.len()))
    })
}
