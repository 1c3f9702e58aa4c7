use super::*;

fn options(language: Language) -> Options<'static> {
    Options {
        language,
        file: "crd.yaml",
        version: None,
        kinds: &[],
        package: "main",
    }
}
#[test]
fn dump() {
    let text = std::fs::read_to_string("../../sdk/go/examples/webapp/crd.yaml").unwrap();
    for l in [
        Language::Rust,
        Language::Go,
        Language::Python,
        Language::TypeScript,
        Language::C,
    ] {
        println!("{}", generate(&text, &options(l)).unwrap());
    }
}
