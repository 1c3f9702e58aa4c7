//! What an operator writes.

use windlass_manager::config::HostConfiguration;

use crate::Target;

/// A configuration that parses reads back the same from what is printed of it.
pub(crate) const PARSE: Target = Target {
    name: "configuration",
    run: parse,
    mutations: 3_000,
};

fn parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match HostConfiguration::parse(text) {
        Ok(configuration) => {
            let printed = configuration.to_yaml().expect("what was parsed can be written");
            let again = HostConfiguration::parse(&printed);
            let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again, configuration, "{printed}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
