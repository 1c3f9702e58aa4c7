//! The fenced blocks of a page, and what their first line says of them.

/// A page in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Lines that are no block.
    Text(String),
    /// A fenced block.
    Fence(Fence),
}

/// A fenced block; its first line reads "```yaml title="host.yaml"".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    /// What stands before its fences, such as in a list.
    pub(crate) indent: String,
    pub(crate) language: String,
    attributes: String,
    /// Its lines, each with its end.
    pub(crate) body: String,
}

impl Fence {
    /// The value of an attribute, such as of `title`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.attributes.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    }

    fn open(line: &str) -> Option<Self> {
        let start = line.trim_start();
        let info = start.strip_prefix("```")?.trim_end();
        let (language, attributes) = info.split_once(' ').unwrap_or((info, ""));
        Some(Self {
            indent: line[..line.len() - start.len()].to_owned(),
            language: language.to_owned(),
            attributes: attributes.to_owned(),
            body: String::new(),
        })
    }
}

/// Takes a page apart. A block that is not closed ends with the page.
pub(crate) fn pieces(page: &str) -> Vec<Piece> {
    let (mut pieces, mut text, mut open) = (Vec::new(), String::new(), None::<Fence>);
    for line in page.split_inclusive('\n') {
        match &mut open {
            Some(fence) if line.trim() == "```" => {
                pieces.push(Piece::Fence(fence.clone()));
                open = None;
            }
            Some(fence) => fence.body.push_str(line),
            None => match Fence::open(line) {
                Some(fence) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    open = Some(fence);
                }
                None => text.push_str(line),
            },
        }
    }
    pieces.extend(open.map(Piece::Fence));
    pieces.push(Piece::Text(text));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_falls_into_text_and_blocks() {
        let page = "one\n\n```yaml title=\"host.yaml\" tab=\"x\"\na: 1\n```\ntwo\n";
        let [Piece::Text(one), Piece::Fence(fence), Piece::Text(two)] = &*pieces(page) else {
            panic!("{:?}", pieces(page));
        };
        assert_eq!((one.as_str(), two.as_str()), ("one\n\n", "two\n"));
        assert_eq!((fence.language.as_str(), fence.body.as_str()), ("yaml", "a: 1\n"));
        assert_eq!(fence.attribute("title"), Some("host.yaml"));
        assert_eq!(fence.attribute("tab"), Some("x"));
        assert_eq!(fence.attribute("from"), None);
    }
}
