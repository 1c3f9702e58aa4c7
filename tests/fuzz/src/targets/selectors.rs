//! Small languages: selectors, durations, and the objects that they are asked of.

use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_core::object::Object;
use windlass_core::selector::{FieldSelector, LabelSelector, Selector};
use windlass_manager::config::{Span, parse_span};

use crate::Target;
use crate::input::records;

/// What is printed of a selector parses again and selects the same; objects are read alike
/// by everything that reads them.
pub(crate) const PARSE: Target = Target {
    name: "selectors",
    run: parse,
    mutations: 30_000,
};

/// Records of a label selector, a field selector, a duration and an object.
fn parse(data: &[u8]) {
    for record in records(data) {
        let object = Object::parse(Bytes::copy_from_slice(record.body)).ok();
        let labels: BTreeMap<String, String> = object
            .iter()
            .flat_map(|object| {
                let labels = object.labels();
                let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
                labels.iter().map(owned).collect::<Vec<_>>()
            })
            .collect();
        if let Ok(selector) = Selector::parse(&record.text(0)) {
            same_again(&selector, &labels);
        }
        if let Ok(selector) = LabelSelector::from_json(record.text(0).as_bytes())
            && let Ok(selector) = selector.to_selector()
        {
            let _ = selector.matches(&labels);
        }
        if let Ok(selector) = FieldSelector::parse(&record.text(1)) {
            let _ = selector.matches(|field| labels.get(field).map(String::as_str));
        }
        if let Some(duration) = parse_span(&record.text(2)) {
            assert_eq!(parse_span(&Span(duration).to_string()), Some(duration));
        }
    }
}

fn same_again(selector: &Selector, labels: &BTreeMap<String, String>) {
    let printed = selector.to_string();
    let again = Selector::parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(&again, selector, "{printed}");
    assert_eq!(again.matches(labels), selector.matches(labels), "{printed}");
}
