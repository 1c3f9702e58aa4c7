//! The pages of the book as their readers follow them: files to write, commands to run,
//! and what the page says they print.
//!
//! | in a page | is |
//! |---|---|
//! | a block `console` | commands behind `$ `, each with what it prints below it; `^C` ends what runs |
//! | a block `console no-run="why"` | left out, for a reason that the reader sees, too |
//! | a block with `title="host.yaml"` | a file to write, from the folder that the reader is in |
//! | a block with `shows="src/app.py"` | lines of a file that the reader has, in order |
//! | `<!-- needs: npm -->` | programs without which the page is skipped |
//!
//! In what a command prints `…` stands for anything, within a line or as a line of its own.

use anyhow::{Result, bail, ensure};

/// One thing that a reader does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes a file.
    Write {
        /// From the folder that the reader is in.
        path: String,
        /// All of it.
        text: String,
    },
    /// Looks into a file.
    Read {
        /// From the folder that the reader is in.
        path: String,
        /// The lines that the page shows of it.
        shown: Vec<String>,
    },
    /// Runs a command.
    Run {
        /// As it is typed, more than one line with a here-document.
        command: String,
        /// The lines that the page shows below it.
        shown: Vec<String>,
    },
    /// Ends what runs with Ctrl-C.
    Interrupt,
}

/// What a page asks of its reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Programs that it cannot do without.
    pub needs: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When a block is not closed, says something before its first command, or is left
    /// out for no reason.
    pub fn parse(text: &str) -> Result<Self> {
        let mut page = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(needs) = between(line, "<!-- needs: ", " -->") {
                page.needs.extend(needs.split(", ").map(ToOwned::to_owned));
            }
            let Some(info) = line.trim_start().strip_prefix("```") else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let mut body = Vec::new();
            loop {
                match lines.next() {
                    Some(line) if line.trim() == "```" => break,
                    Some(line) => body.push(line.get(indent..).unwrap_or_default()),
                    None => bail!("a block is not closed: {info}"),
                }
            }
            page.block(info, &body)?;
        }
        Ok(page)
    }

    fn block(&mut self, info: &str, body: &[&str]) -> Result<()> {
        if info == "console" {
            self.steps.extend(commands(body)?);
        } else if let Some(attributes) = info.strip_prefix("console ") {
            let reason = between(attributes, "no-run=\"", "\"").unwrap_or_default();
            ensure!(!reason.is_empty(), "a block is left out for no reason: {info}");
        } else if let Some(path) = between(info, "title=\"", "\"") {
            self.steps.push(Step::Write {
                path: path.to_owned(),
                text: body.iter().flat_map(|line| [line, "\n"]).collect(),
            });
        } else if let Some(path) = between(info, "shows=\"", "\"") {
            self.steps.push(Step::Read {
                path: path.to_owned(),
                shown: body.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(())
    }

    /// Whether a command mentions this.
    #[must_use]
    pub fn mentions(&self, word: &str) -> bool {
        let is_there = |step: &Step| matches!(step, Step::Run { command, .. } if command.contains(word));
        self.steps.iter().any(is_there)
    }
}

fn commands(body: &[&str]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut lines = body.iter();
    while let Some(line) = lines.next() {
        if *line == "^C" {
            steps.push(Step::Interrupt);
        } else if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            let end = here_document(&command);
            while command.ends_with('\\')
                || end
                    .as_ref()
                    .is_some_and(|end| !command.ends_with(&format!("\n{end}")))
            {
                let Some(line) = lines.next() else {
                    bail!("`{command}` does not end");
                };
                command.push('\n');
                command.push_str(line);
            }
            steps.push(Step::Run {
                command,
                shown: Vec::new(),
            });
        } else if let Some(Step::Run { shown, .. }) = steps.last_mut() {
            shown.push((*line).to_owned());
        } else {
            bail!("nothing has printed `{line}`");
        }
    }
    Ok(steps)
}

/// The line that ends the here-document of a command.
fn here_document(command: &str) -> Option<String> {
    let (_, end) = command.split_once("<<")?;
    let end = end.split_whitespace().next()?;
    Some(end.trim_matches(['\'', '"']).to_owned())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?
        .1
        .split_once(after)
        .map(|(between, _)| between)
}

/// The first line that a page shows and that what was printed does not have, in order.
#[must_use]
pub fn missing<'a>(shown: &'a [String], printed: &str) -> Option<&'a str> {
    let mut printed = printed.lines();
    shown
        .iter()
        .filter(|line| !matches!(line.trim().trim_start_matches(['/', '#', ' ']), "" | "…"))
        .find(|line| !printed.any(|candidate| is_like(candidate, line)))
        .map(String::as_str)
}

/// Whether a line is what a page shows, however many spaces are between its words.
fn is_like(line: &str, shown: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, shown) = (words(line), words(shown));
    let pieces: Vec<&str> = shown.split('…').map(str::trim).collect();
    let [first, inner @ .., last] = &*pieces else {
        return line == shown;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    for piece in inner {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, shown: &[&str]) -> Step {
        Step::Run {
            command: command.to_owned(),
            shown: shown.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[test]
    fn a_page_is_read_as_its_reader_follows_it() {
        let text = "<!-- needs: npm, node -->\n\
            ```yaml title=\"a/host.yaml\"\nkind: X\n```\n\
            ```console\n$ windlass up\nCluster up …\n```\n\
            - in a list:\n\n  ```console\n  $ cat > x <<END\n  one\n  END\n  $ one \\\n    two\n  ^C\n  ```\n\
            ```console no-run=\"needs an account\"\n$ login\n```\n\
            ```rust\nfn main() {}\n```\n\
            ```rust shows=\"src/lib.rs\"\nfn main() {}\n// …\n```\n";
        let page = Page::parse(text).unwrap();
        assert_eq!(page.needs, ["npm", "node"]);
        let file = Step::Write {
            path: "a/host.yaml".to_owned(),
            text: "kind: X\n".to_owned(),
        };
        let expected = [
            file,
            run("windlass up", &["Cluster up …"]),
            run("cat > x <<END\none\nEND", &[]),
            run("one \\\n  two", &[]),
            Step::Interrupt,
            Step::Read {
                path: "src/lib.rs".to_owned(),
                shown: vec!["fn main() {}".to_owned(), "// …".to_owned()],
            },
        ];
        assert_eq!(page.steps, expected);
        assert!(page.mentions("windlass") && !page.mentions("login"));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for wrong in [
            "```console\nls\n```\n",
            "```console\n$ ls\n",
            "```console\n$ cat <<END\none\n```\n",
            "```console no-run=\"\"\n$ ls\n```\n",
            "```console later\n$ ls\n```\n",
        ] {
            assert!(Page::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_is_compared_line_by_line_in_order() {
        let shown: Vec<String> = ["NAME  AGE", "…", "", "web … Running …"]
            .map(ToOwned::to_owned)
            .into();
        assert_eq!(missing(&shown, "NAME AGE\nother\nweb   1/1 Running 3s\n"), None);
        assert_eq!(
            missing(&shown, "web 1/1 Running 3s\nNAME AGE\n"),
            Some("web … Running …")
        );
        assert_eq!(
            missing(&shown, "NAME AGE\nweb 1/1 Pending 3s\n"),
            Some("web … Running …")
        );
        assert_eq!(missing(&shown, "NAME\n"), Some("NAME  AGE"));
        assert_eq!(
            missing(&["all of it".to_owned()], "all of it!\n"),
            Some("all of it")
        );
    }
}
