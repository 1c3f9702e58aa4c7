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
    let text = std::fs::read_to_string(std::env::var("CRD").unwrap()).unwrap();
    for l in [Language::Rust, Language::Go, Language::Python, Language::TypeScript, Language::C] {
        std::fs::write(format!("/tmp/tg/resources.{}", l.extension()), generate(&text, &options(l)).unwrap()).unwrap();
    }
}
