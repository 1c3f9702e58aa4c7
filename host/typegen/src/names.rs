//! From names in JSON to names in a language.

use std::collections::HashSet;

/// The words of a name: `externalIPs` is `external`, `ips`; `x-foo` is `x`, `foo`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let at = |position: usize| chars.get(position).copied().unwrap_or(' ');
    let mut words: Vec<String> = Vec::new();
    let mut is_new = true;
    for (position, &char) in chars.iter().enumerate() {
        if !char.is_ascii_alphanumeric() {
            is_new = true;
            continue;
        }
        let before = position.checked_sub(1).map_or(' ', at);
        let starts = char.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase()
                    && at(position + 1).is_ascii_lowercase()
                    && !is_plural_of_capitals(&at, position + 1)));
        if is_new || starts {
            words.push(String::new());
        }
        is_new = false;
        if let Some(word) = words.last_mut() {
            word.push(char.to_ascii_lowercase());
        }
    }
    words
}

/// Whether an `s` after capitals ends the word, as in `podIPs` and `clusterIPsOf`.
fn is_plural_of_capitals(at: &impl Fn(usize) -> char, position: usize) -> bool {
    at(position) == 's' && !at(position + 1).is_ascii_lowercase()
}

/// `externalIps`, with a letter or an underscore first.
pub(crate) fn upper_camel(name: &str) -> String {
    let camel: String = words(name).iter().map(|word| capitalised(word)).collect();
    match camel.chars().next() {
        None => "Value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("Value{camel}"),
        Some(_) => camel,
    }
}

/// The name of a value of a choice.
pub(crate) fn of_value(value: &str) -> String {
    match value {
        "" => "Empty".to_owned(),
        value => upper_camel(value),
    }
}

/// A type's name, which keeps the capitals it has: `HTTPRoute` stays so.
pub(crate) fn type_name(name: &str) -> String {
    let parts = name.split(|char: char| !char.is_ascii_alphanumeric());
    let camel: String = parts.map(capitalised).collect();
    match camel.chars().next() {
        None => "Value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("Value{camel}"),
        Some(_) => camel,
    }
}

pub(crate) fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

/// `external_ips`, with a letter or an underscore first.
pub(crate) fn snake(name: &str) -> String {
    let snake = words(name).join("_");
    match snake.chars().next() {
        None => "value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{snake}"),
        Some(_) => snake,
    }
}

/// `WEB_APPS` for the kind `WebApp` with the plural `webapps`.
pub(crate) fn plural_constant(kind: &str, plural: &str) -> String {
    let words = words(kind);
    let (mut rest, mut parts) = (plural.to_ascii_lowercase(), Vec::new());
    for word in words.iter().take(words.len().saturating_sub(1)) {
        if let Some(after) = rest.strip_prefix(word.as_str()) {
            parts.push(word.to_ascii_uppercase());
            rest = after.to_owned();
        }
    }
    parts.push(snake(&rest).to_ascii_uppercase());
    parts.join("_")
}

/// Gives out names once each.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    pub(crate) fn without<'a>(reserved: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: reserved.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The first of the candidates that is free, or the last one with a number.
    pub(crate) fn unique(&mut self, candidates: &[String]) -> String {
        let last = candidates.last().map_or("Value", String::as_str);
        let numbered = (2_u32..).map(|number| format!("{last}{number}"));
        let name = candidates.iter().cloned().chain(numbered);
        // The numbers do not end before the taken names do.
        let name = name
            .into_iter()
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_where_people_see_words() {
        for (name, snaked) in [
            ("externalIPs", "external_ips"),
            ("podCIDR", "pod_cidr"),
            ("HTTPServer", "http_server"),
            ("ipv4Address", "ipv4_address"),
            ("x-foo.bar/baz", "x_foo_bar_baz"),
            ("3scale", "_3scale"),
            ("$ref", "ref"),
            ("clusterIPsOf", "cluster_ips_of"),
            ("URLs", "urls"),
            ("…", "value"),
        ] {
            assert_eq!(snake(name), snaked, "{name}");
        }
    }

    #[test]
    fn constants_follow_the_plural() {
        assert_eq!(plural_constant("WebApp", "webapps"), "WEB_APPS");
        assert_eq!(
            plural_constant("NetworkPolicy", "networkpolicies"),
            "NETWORK_POLICIES"
        );
        assert_eq!(plural_constant("Endpoints", "endpoints"), "ENDPOINTS");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let mut names = Names::without(["Box"]);
        let candidates = ["Box".to_owned(), "CoreBox".to_owned()];
        let given: Vec<String> = (0..3).map(|_| names.unique(&candidates)).collect();
        assert_eq!(given, ["CoreBox", "CoreBox2", "CoreBox3"]);
    }
}
