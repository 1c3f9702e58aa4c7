//! One page as the generator wants it.
//!
//! | in the page | in the book |
//! |---|---|
//! | blocks with `tab="Go"`, one after the other | tabs |
//! | blocks with `side="kopf"`, one after the other | columns |
//! | a block with `from="sdk/…"` | an excerpt, which that file has word for word; a line that is `…` alone, or a comment of it, leaves something out |
//! | a block with `title="host.yaml"`, or `shows="src/app.py"` | the same, named |
//! | a block with `no-run="why"` | the same, with the reason |
//! | a link out of `docs` | a link into the repository |

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::fences::{Fence, Piece, pieces};

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// A page and where it lies.
pub(crate) struct Page<'a> {
    pub(crate) root: &'a Path,
    /// From `docs`.
    pub(crate) name: &'a Path,
}

/// How blocks stand beside each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Tabs,
    Columns,
}

impl Group {
    fn of(fence: &Fence) -> Option<(Self, &str)> {
        let tab = fence.attribute("tab").map(|label| (Self::Tabs, label));
        tab.or_else(|| fence.attribute("side").map(|label| (Self::Columns, label)))
    }
}

impl Page<'_> {
    /// The page's text for the generator.
    pub(crate) fn prepare(&self, text: &str) -> Result<String> {
        let mut prepared = String::new();
        let mut group = None;
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) if text.trim().is_empty() => prepared.push_str(&text),
                Piece::Text(text) => {
                    close(&mut prepared, &mut group);
                    prepared.push_str(&self.link(&text)?);
                }
                Piece::Fence(fence) => {
                    if let Some(file) = fence.attribute("from") {
                        self.compare(&fence, file)?;
                    }
                    let wanted = Group::of(&fence);
                    if wanted.map(|(group, _)| group) != group {
                        close(&mut prepared, &mut group);
                    }
                    match wanted {
                        Some((Group::Tabs, label)) => {
                            prepared.push_str(&format!("=== \"{label}\"\n\n"));
                            prepared.push_str(&indented(&block(&fence, title(&fence))));
                        }
                        Some((Group::Columns, label)) => {
                            if group.is_none() {
                                prepared.push_str("<div class=\"side-by-side\" markdown>\n\n");
                            }
                            prepared.push_str(&block(&fence, Some(label.to_owned())));
                        }
                        None => prepared.push_str(&block(&fence, title(&fence))),
                    }
                    group = wanted.map(|(group, _)| group);
                }
            }
        }
        close(&mut prepared, &mut group);
        Ok(prepared)
    }

    /// Fails unless the file has each run of lines of an excerpt, in order.
    fn compare(&self, fence: &Fence, file: &str) -> Result<()> {
        let text =
            fs::read_to_string(self.root.join(file)).with_context(|| format!("an excerpt of {file}"))?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let body: Vec<&str> = fence.body.lines().map(str::trim).collect();
        let mut from = 0;
        for run in body.split(|line| is_omission(line)) {
            let run = trimmed(run);
            if run.is_empty() {
                continue;
            }
            let rest = lines.get(from..).unwrap_or_default();
            let at = rest.windows(run.len()).position(|window| window == run);
            let at =
                at.with_context(|| format!("{file} does not have this excerpt:\n  {}", run.join("\n  ")))?;
            from += at + run.len();
        }
        Ok(())
    }

    /// Has links out of `docs` lead into the repository, and fails if there is nothing.
    /// What looks like a link in code is none.
    fn link(&self, text: &str) -> Result<String> {
        let mut linked = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('`') {
            let (before, code) = rest.split_at(at);
            linked.push_str(&self.link_prose(before)?);
            let ticks = &code[..code.len() - code.trim_start_matches('`').len()];
            let end = code[ticks.len()..]
                .find(ticks)
                .map_or(code.len(), |end| end + 2 * ticks.len());
            linked.push_str(&code[..end]);
            rest = &code[end..];
        }
        linked.push_str(&self.link_prose(rest)?);
        Ok(linked)
    }

    fn link_prose(&self, text: &str) -> Result<String> {
        let mut linked = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("](") {
            let (target, after) = after.split_once(')').context("a link that does not end")?;
            linked.push_str(before);
            linked.push_str(&format!("]({})", self.target(target)?));
            rest = after;
        }
        linked.push_str(rest);
        Ok(linked)
    }

    fn target(&self, target: &str) -> Result<String> {
        let (path, anchor) = target
            .split_once('#')
            .map_or((target, ""), |(path, anchor)| (path, anchor));
        if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
            return Ok(target.to_owned());
        }
        let folder = Path::new("docs").join(self.name.parent().unwrap_or(Path::new("")));
        let path = normal(&folder.join(path)).with_context(|| format!("{target} leaves the repository"))?;
        let (is_page, is_inside) = (
            path.extension().is_some_and(|e| e == "md"),
            path.starts_with("docs"),
        );
        if is_inside && is_page {
            // The generator looks whether it is there, generated ones included.
            return Ok(target.to_owned());
        }
        let file = self.root.join(&path);
        ensure!(
            file.exists(),
            "a link leads to {}, which is not there",
            path.display()
        );
        if is_inside {
            return Ok(target.to_owned());
        }
        let kind = if file.is_dir() { "tree" } else { "blob" };
        let anchor = if anchor.is_empty() {
            String::new()
        } else {
            format!("#{anchor}")
        };
        Ok(format!("{REPOSITORY}/{kind}/main/{}{anchor}", path.display()))
    }
}

/// Ends columns; tabs end by themselves.
fn close(prepared: &mut String, group: &mut Option<Group>) {
    if group.take() == Some(Group::Columns) {
        prepared.push_str("\n</div>\n\n");
    }
}

fn title(fence: &Fence) -> Option<String> {
    let named = ["title", "shows", "from"]
        .iter()
        .find_map(|name| fence.attribute(name));
    let skipped = fence
        .attribute("no-run")
        .map(|why| format!("not run by the test of this book: {why}"));
    named.map(ToOwned::to_owned).or(skipped)
}

fn block(fence: &Fence, title: Option<String>) -> String {
    let title = title.map_or(String::new(), |title| format!(" title=\"{title}\""));
    let (indent, language) = (&fence.indent, &fence.language);
    let is_excerpt = ["shows", "from"]
        .iter()
        .any(|name| fence.attribute(name).is_some());
    let body = if is_excerpt {
        dedented(&fence.body)
    } else {
        fence.body.clone()
    };
    format!("{indent}```{language}{title}\n{body}{indent}```\n")
}

/// An excerpt without the indentation that all of it has.
fn dedented(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = || text.split_inclusive('\n');
    let told = lines().filter(|line| !line.trim().is_empty() && !is_omission(line.trim()));
    let shared = told.map(indent).min().unwrap_or(0);
    lines()
        .map(|line| line.get(shared.min(indent(line))..).unwrap_or(line))
        .collect()
}

fn indented(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            if line.trim().is_empty() {
                line.to_owned()
            } else {
                format!("    {line}")
            }
        })
        .collect()
}

/// A line that stands for lines that are left out.
fn is_omission(line: &str) -> bool {
    line.trim_start_matches(['/', '#', ' ']) == "…"
}

fn trimmed<'a, 'b>(mut lines: &'a [&'b str]) -> &'a [&'b str] {
    while let [first, rest @ ..] = lines
        && first.is_empty()
    {
        lines = rest;
    }
    while let [rest @ .., last] = lines
        && last.is_empty()
    {
        lines = rest;
    }
    lines
}

/// The path without `..`; nothing if that leads out of it.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => normal.pop().then_some(())?,
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(root: &Path, text: &str) -> Result<String> {
        fs::create_dir_all(root.join("deploy"))?;
        fs::create_dir_all(root.join("docs/guides"))?;
        fs::write(root.join("deploy/rules.yaml"), "one: 1\n  two: 2\nthree: 3\n")?;
        fs::write(root.join("docs/life.svg"), "")?;
        let page = Page {
            root,
            name: Path::new("guides/page.md"),
        };
        page.prepare(text)
    }

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("windlass-book-{name}-{}", std::process::id()))
    }

    #[test]
    fn links_out_of_the_docs_lead_into_the_repository_if_there_is_something() {
        let root = folder("links");
        let text = "`x[0](y)` ``a ` b](c)`` [a](../../deploy/rules.yaml#x) [b](../../deploy) [c](other.md#x) ![d](../life.svg) [e](#here)\n";
        let expected = format!(
            "`x[0](y)` ``a ` b](c)`` [a]({REPOSITORY}/blob/main/deploy/rules.yaml#x) [b]({REPOSITORY}/tree/main/deploy) [c](other.md#x) \
             ![d](../life.svg) [e](#here)\n"
        );
        assert_eq!(prepare(&root, text).unwrap(), expected);
        for dead in ["[a](../../deploy/nothing.yaml)", "![a](../nothing.svg)"] {
            let error = prepare(&root, dead).unwrap_err().to_string();
            assert!(error.contains("which is not there"), "{error}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_excerpt_is_in_its_file_word_for_word_and_in_order() {
        let root = folder("excerpts");
        let excerpt = |body: &str| format!("```yaml from=\"deploy/rules.yaml\"\n{body}```\n");
        let prepared = prepare(&root, &excerpt("  one: 1\n\n# …\n  three: 3\n")).unwrap();
        assert_eq!(
            prepared,
            "```yaml title=\"deploy/rules.yaml\"\none: 1\n\n# …\nthree: 3\n```\n"
        );
        for wrong in ["one: 1\nthree: 3\n", "three: 3\n…\none: 1\n", "four: 4\n"] {
            let error = prepare(&root, &excerpt(wrong)).unwrap_err().to_string();
            assert!(error.contains("does not have this excerpt"), "{error}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn blocks_stand_in_tabs_and_columns() {
        let root = folder("groups");
        let tabs = "```go tab=\"Go\"\na\n```\n\n```c tab=\"C\"\nb\n```\n";
        assert_eq!(
            prepare(&root, tabs).unwrap(),
            "=== \"Go\"\n\n    ```go\n    a\n    ```\n\n=== \"C\"\n\n    ```c\n    b\n    ```\n"
        );
        let sides = "```go side=\"before\"\na\n```\n\n```go side=\"after\"\nb\n```\n\nText\n";
        assert_eq!(
            prepare(&root, sides).unwrap(),
            "<div class=\"side-by-side\" markdown>\n\n```go title=\"before\"\na\n```\n\n```go title=\"after\"\nb\n```\n\n\
             </div>\n\n\nText\n"
        );
        fs::remove_dir_all(root).unwrap();
    }
}
