//! `WWW-Authenticate` challenges, as registries send them (RFC 9110, section 11.6.1).

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and password with each request.
    Basic,
    /// A token from the service at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The best of the challenges in these header values: a token before a password.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        match parse(header) {
            Some(Challenge::Basic) => basic = Some(Challenge::Basic),
            Some(bearer) => return Some(bearer),
            None => {}
        }
    }
    basic
}

fn parse(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    Some(Challenge::Bearer {
        realm: realm?,
        service,
        scope,
    })
}

/// `name="value"` or `name=value`, separated by commas; commas in quotes are text.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = after.split_once(',').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = after.trim_start_matches([',', ' ', '\t']);
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, text.get(at + 1..).unwrap_or("")),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_names_realm_service_and_scope() {
        let header = r#"Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("reg.example".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
    }

    #[test]
    fn spelling_spaces_and_escapes_vary() {
        let header = r#"bearer Realm = "x\"y" , error="insufficient_scope", SERVICE=plain"#;
        assert_eq!(
            parse(header),
            Some(Challenge::Bearer {
                realm: "x\"y".into(),
                service: Some("plain".into()),
                scope: None,
            })
        );
        assert_eq!(parse(r#"Bearer service="no realm""#), None);
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let headers = [r#"Basic realm="r""#, r#"Bearer realm="t""#];
        assert!(matches!(
            choose(headers.into_iter()),
            Some(Challenge::Bearer { .. })
        ));
        assert_eq!(choose(headers.into_iter().take(1)), Some(Challenge::Basic));
        assert_eq!(choose(["Negotiate"].into_iter()), None);
    }
}
