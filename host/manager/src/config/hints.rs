//! From the parser's words on an unknown key to what was probably meant.

/// How alike two words must be for one to be taken for the other.
const LIKENESS: f64 = 0.7;

/// The first line of a parser's message, which begins with the place (the drawing of the
/// source that follows does not survive a log line), with a guess at a misspelt key.
pub(super) fn readable(message: &str) -> String {
    let line = message
        .lines()
        .next()
        .unwrap_or("not valid YAML")
        .trim_start_matches("error: ");
    match guess(line) {
        Some((before, known, meant)) => format!("{before}, did you mean `{meant}`? Known here: {known}"),
        None => line.to_owned(),
    }
}

/// The part before the list of known words, that list, and the nearest of them.
fn guess(line: &str) -> Option<(&str, &str, &str)> {
    let (before, known) = line
        .split_once(", expected one of ")
        .or_else(|| line.split_once(", expected "))?;
    let (_, unknown) = before.split_once("unknown ")?;
    let word = unknown.split('`').nth(1)?;
    Some((before, known, nearest(word, known.split([',', ' ', '`']))?))
}

/// The candidate most like a word, if any is like it at all.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_gets_the_one_that_was_meant() {
        let line = "error: line 6 column 3: unknown field `wrokers`, expected one of `name`, `workers`\n  |";
        assert_eq!(
            readable(line),
            "line 6 column 3: unknown field `wrokers`, did you mean `workers`? Known here: `name`, `workers`"
        );
    }

    #[test]
    fn a_key_like_no_other_gets_no_guess() {
        let line = "line 1 column 1: unknown field `colour`, expected one of `name`, `workers`";
        assert_eq!(readable(line), line);
    }
}
