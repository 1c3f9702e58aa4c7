use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn each_operator_selects_what_apimachinery_says() {
    let present = labels(&[("a", "x"), ("n", "5"), ("example.com/b", "")]);
    let cases = [
        ("", true),
        ("a", true),
        ("!a", false),
        ("!z", true),
        ("a=x", true),
        ("a == x", true),
        ("a=y", false),
        ("a!=x", false),
        ("a!=y", true),
        ("z!=y", true),
        ("z=", false),
        ("example.com/b=", true),
        ("example.com/b=,a=x", true),
        ("a in (x,y)", true),
        ("a in (y)", false),
        ("z in (y)", false),
        ("a notin (x)", false),
        ("z notin (x)", true),
        ("example.com/b in (,x)", true),
        ("n>4", true),
        ("n>5", false),
        ("n < 6", true),
        ("a>4", false),
        ("z<4", false),
        (" a , n ", true),
        ("in in (in)", false),
        ("a=x,!a", false),
    ];
    for (text, expected) in cases {
        assert_eq!(
            Selector::parse(text).unwrap().matches(&present),
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_wrong_selector_is_refused_with_words_and_position() {
    let cases = [
        (",", 0, "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", 2, "found '', expected: identifier after ','"),
        (
            "a b",
            2,
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("a=b c", 4, "found 'c', expected: ',' or 'end of string'"),
        ("!a=b", 2, "found '=', expected: ',' or 'end of string'"),
        (
            "a in b",
            5,
            "unable to parse requirement: found 'b', expected: '('",
        ),
        (
            "a in (b",
            7,
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
        (
            "a=(",
            2,
            "unable to parse requirement: found '(', expected: identifier",
        ),
        (
            "!",
            1,
            "unable to parse requirement: found '', expected: identifier",
        ),
        (
            "a in ()",
            0,
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            "a>b",
            2,
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "x=1,a=-",
            4,
            "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be an empty string or \
             consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        ),
    ];
    for (text, offset, message) in cases {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(
            (error.offset, error.message.as_str()),
            (offset, message),
            "{text}"
        );
    }
    for key in ["a/b/c", "/a", "a/", "-a", "A.com/x", "a..b/x"] {
        assert!(
            Selector::parse(key)
                .unwrap_err()
                .message
                .contains("Invalid value"),
            "{key}"
        );
    }
}

#[test]
fn the_display_form_is_ordered_and_parses_to_the_same() {
    let selector = Selector::parse("z, b in (y,x),!c,a!=1,d>3,e notin (q),f==g").unwrap();
    assert_eq!(selector.to_string(), "a!=1,b in (x,y),!c,d>3,e notin (q),f=g,z");
    assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
}

#[test]
fn both_json_forms_are_understood() {
    let present = labels(&[("a", "x"), ("b", "y")]);
    let cases = [
        (r#"{"matchLabels":{"a":"x"}}"#, true),
        (
            r#"{"matchLabels":{"a":"x"},"matchExpressions":[{"key":"b","operator":"NotIn","values":["y"]}]}"#,
            false,
        ),
        (
            r#"{"matchExpressions":[{"key":"b","operator":"In","values":["y"]},{"key":"c","operator":"DoesNotExist"}]}"#,
            true,
        ),
        (r#"{"matchExpressions":[{"key":"c","operator":"Exists"}]}"#, false),
        (r#"{"a":"x"}"#, true),
        (r#"{"a":"y"}"#, false),
        (r#"{"matchLabels":"x"}"#, false),
    ];
    for (json, expected) in cases {
        let selector = LabelSelector::from_json(json.as_bytes())
            .unwrap()
            .to_selector()
            .unwrap();
        assert_eq!(selector.matches(&present), expected, "{json}");
    }
    assert!(
        LabelSelector::from_json(b"{}")
            .unwrap()
            .to_selector()
            .unwrap()
            .is_empty()
    );
    assert!(
        LabelSelector::from_json(b"{\"matchLabels\":null}")
            .unwrap()
            .to_selector()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_wrong_expression_is_refused() {
    let refuse = |expression: &str| {
        let json = format!(r#"{{"matchExpressions":[{expression}]}}"#);
        LabelSelector::from_json(json.as_bytes())
            .unwrap()
            .to_selector()
            .unwrap_err()
            .message
    };
    assert_eq!(
        refuse(r#"{"key":"a","operator":"Like"}"#),
        "\"Like\" is not a valid label selector operator"
    );
    assert_eq!(
        refuse(r#"{"key":"a","operator":"Exists","values":["x"]}"#),
        "values set must be empty for exists and does not exist"
    );
    assert!(refuse(r#"{"key":"a","operator":"In"}"#).contains("values set can't be empty"));
}

#[test]
fn field_selectors_compare_fields() {
    let field = |name: &str| match name {
        "metadata.name" => Some("a,b"),
        "status.phase" => Some("Running"),
        _ => None,
    };
    let cases = [
        ("", true),
        ("status.phase=Running", true),
        ("status.phase==Running,", true),
        ("status.phase!=Running", false),
        ("spec.nodeName=", true),
        ("spec.nodeName!=", false),
        (r"metadata.name=a\,b,status.phase!=Failed", true),
        ("a!b=,status.phase=Running", true),
    ];
    for (text, expected) in cases {
        assert_eq!(
            FieldSelector::parse(text).unwrap().matches(field),
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_wrong_field_selector_is_refused_with_the_position_of_the_term() {
    let error = FieldSelector::parse("a=b,cd").unwrap_err();
    assert_eq!(
        (error.offset, error.message.as_str()),
        (4, "invalid selector: 'a=b,cd'; can't understand 'cd'")
    );
    assert!(
        FieldSelector::parse("a=b=c")
            .unwrap_err()
            .message
            .contains("unescaped character")
    );
    assert!(
        FieldSelector::parse(r"a=\x")
            .unwrap_err()
            .message
            .contains("invalid escape sequence")
    );
}
