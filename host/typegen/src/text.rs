//! Comments, and lists that may not fit a line.

/// The lines of a description, wrapped. Empty lines only between others.
pub(crate) fn lines(description: &str, width: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for line in description.lines() {
        let mut current = String::new();
        for word in line.split(|char: char| char.is_whitespace() || char.is_control()) {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
                wrapped.push(std::mem::take(&mut current));
            }
            if !current.is_empty() && !word.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        if !current.is_empty() || wrapped.last().is_some_and(|last| !last.is_empty()) {
            wrapped.push(current);
        }
    }
    while wrapped.last().is_some_and(String::is_empty) {
        wrapped.pop();
    }
    wrapped
}

/// A description as line comments.
pub(crate) fn comment(indent: &str, prefix: &str, description: &str, width: usize) -> String {
    let width = width.saturating_sub(indent.len() + prefix.len() + 1);
    lines(description, width)
        .iter()
        .map(|line| format!("{indent}{}\n", format!("{prefix} {line}").trim_end()))
        .collect()
}

/// `before item, item after` on one line if that fits, else with a line for each.
pub(crate) fn list(
    indent: &str,
    step: &str,
    before: &str,
    items: &[String],
    after: &str,
    width: usize,
) -> String {
    let flat = format!("{indent}{before}{}{after}", items.join(", "));
    if flat.chars().count() <= width {
        return flat + "\n";
    }
    let items: String = items
        .iter()
        .map(|item| format!("{indent}{step}{item},\n"))
        .collect();
    format!(
        "{indent}{}\n{items}{indent}{}\n",
        before.trim_end(),
        after.trim_start()
    )
}

/// Text between quotation marks, as JSON has it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_wrapped_and_keep_their_paragraphs() {
        let text = "\n One two three.\n\n\n\tFour\u{7}five\n\n";
        assert_eq!(lines(text, 8), ["One two", "three.", "", "Four", "five"]);
        assert_eq!(comment("  ", "//", "a\n\nb", 80), "  // a\n  //\n  // b\n");
    }

    #[test]
    fn a_list_is_broken_where_it_does_not_fit() {
        let items = ["a".to_owned(), "b".to_owned()];
        assert_eq!(list("", "  ", "f(", &items, ")", 7), "f(a, b)\n");
        assert_eq!(list("", "  ", "f(", &items, ")", 6), "f(\n  a,\n  b,\n)\n");
    }
}
