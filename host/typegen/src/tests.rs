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

const VERSIONED: &str = "\
kind: CustomResourceDefinition
apiVersion: apiextensions.k8s.io/v1
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Apple, plural: apples}
  versions:
  - {name: v1, storage: false, schema: {openAPIV3Schema: {type: object, properties: {old: {type: string}}}}}
  - {name: v2, storage: true, schema: {openAPIV3Schema: {type: object, properties: {new: SCHEMA}}}}
";

fn with(schema: &str) -> String {
    VERSIONED.replace("SCHEMA", schema)
}

fn document(schemas: &str) -> String {
    format!("{{\"components\": {{\"schemas\": {{{schemas}}}}}}}")
}

fn typescript(input: &str) -> String {
    generate(input, &options(Language::TypeScript)).unwrap()
}

fn refused(input: &str, options: &Options<'_>) -> String {
    generate(input, options).unwrap_err().to_string()
}

#[test]
fn a_version_is_the_stored_one_or_the_one_asked_for() {
    let text = with("{type: string}");
    assert!(typescript(&text).contains("  new?: string;"));
    let mut options = options(Language::TypeScript);
    options.version = Some("v1");
    let old = generate(&text, &options).unwrap();
    assert!(
        old.contains("  old?: string;") && old.contains("example.com/v1"),
        "{old}"
    );
    options.version = Some("v3");
    assert_eq!(
        refused(&text, &options),
        "Apple has no version v3: choose one of v1, v2 with --version"
    );
}

#[test]
fn kinds_are_picked() {
    let text = with("{type: string}");
    let (mut options, kinds) = (options(Language::Go), ["Pear".to_owned()]);
    options.kinds = &kinds;
    assert_eq!(
        refused(&text, &options),
        "there is no kind Pear: choose from Apple with --kind"
    );
    let two = document("\"a.v1.Pear\": {\"type\": \"object\"}, \"b.v1.Pear\": {\"type\": \"object\"}");
    assert_eq!(
        refused(&two, &options),
        "there are several Pear, a.v1.Pear and b.v1.Pear: choose with --version, or name the schema itself with --kind"
    );
}

#[test]
fn errors_say_where() {
    let options = options(Language::Rust);
    let path = "spec.versions[1].schema.openAPIV3Schema.properties.new";
    for (schema, at, problem) in [
        (
            "{type: text}",
            "",
            "`type` is \"text\"; it is one of array, boolean, integer, number, object and string",
        ),
        (
            "{type: array, items: 7}",
            ".items",
            "a schema is an object; make it one",
        ),
        (
            "{$ref: 'other.json#/A'}",
            "",
            "`$ref` is \"other.json#/A\"; only #/components/schemas/… of the same document can be followed",
        ),
        (
            "{$ref: '#/components/schemas/A'}",
            "",
            "it refers to A, which is not in components.schemas; take the whole document",
        ),
    ] {
        assert_eq!(refused(&with(schema), &options), format!("{path}{at}: {problem}"));
    }
    let endless = document("\"A\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/components/schemas/A\"}}");
    assert_eq!(
        refused(&endless, &options),
        "components.schemas.A.items: A refers to itself with no object between; give it `properties`"
    );
    assert_eq!(
        refused("kind: ConfigMap", &options),
        "there is neither a CustomResourceDefinition (apiextensions.k8s.io/v1) nor an OpenAPI v3 document \
         (`components.schemas`) in it, only ConfigMap"
    );
    let twice = format!("{}---\n{}", with("{type: string}"), with("{type: 1}"));
    assert!(
        refused(&twice, &options).starts_with("document 2: spec.versions[1]."),
        "{}",
        refused(&twice, &options)
    );
    assert!(refused("a: [", &options).starts_with("it is neither YAML nor JSON: "));
}

#[test]
fn a_record_that_holds_itself_is_boxed_in_rust_and_a_pointer_in_go() {
    let tree = document(
        "\"Tree\": {\"type\": \"object\", \"required\": [\"next\"], \"properties\": {\
         \"next\": {\"$ref\": \"#/components/schemas/Tree\"}, \
         \"leaf\": {\"$ref\": \"#/components/schemas/Tree\"}, \
         \"all\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/components/schemas/Tree\"}}}}",
    );
    let rust = generate(&tree, &options(Language::Rust)).unwrap();
    for field in [
        "pub next: Box<Tree>,",
        "pub leaf: Option<Box<Tree>>,",
        "pub all: Vec<Tree>,",
    ] {
        assert!(rust.contains(field), "{rust}");
    }
    let go = generate(&tree, &options(Language::Go)).unwrap();
    for field in [
        "Next *Tree  `json:\"next\"`",
        "Leaf *Tree  `json:\"leaf,omitzero\"`",
    ] {
        assert!(go.contains(field), "{go}");
    }
}

#[test]
fn objects_of_the_same_path_get_names_of_their_own() {
    let text = typescript(&with(
        "{type: object, properties: {a-b: {type: object, properties: {x: {type: string}}}, \
         aB: {type: object, properties: {y: {type: string}}}}}",
    ));
    assert!(
        text.contains("\"a-b\"?: AppleNewAB;") && text.contains("aB?: AppleNewAB2;"),
        "{text}"
    );
}

#[test]
fn several_schemas_at_once_are_merged_and_alternatives_are_any_json() {
    let text = document(
        "\"A\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}}, \"required\": [\"a\"]}, \
         \"B\": {\"allOf\": [{\"$ref\": \"#/components/schemas/A\"}, \
         {\"properties\": {\"b\": {\"oneOf\": [{\"type\": \"string\"}, {\"type\": \"boolean\"}]}}}]}, \
         \"C\": {\"type\": \"object\", \"properties\": {\"c\": {\"type\": [\"string\", \"null\"]}}}",
    );
    let text = typescript(&text);
    assert!(
        text.contains("interface B {\n  a: string;\n  b?: unknown;\n}"),
        "{text}"
    );
    assert!(text.contains("  c?: string | null;"), "{text}");
}

#[test]
fn a_document_of_an_api_server_says_the_plural() {
    let text = r#"{"paths": {"/apis/example.com/v1/geese": {"post": {"x-kubernetes-action": "post",
        "x-kubernetes-group-version-kind": {"group": "example.com", "version": "v1", "kind": "Goose"}}}},
        "components": {"schemas": {"com.example.v1.Goose": {"type": "object", "properties": {"metadata": {}},
        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Goose"}]}}}}"#;
    let python = generate(text, &options(Language::Python)).unwrap();
    assert!(
        python.contains("plural=\"geese\"") && python.contains("namespaced=False"),
        "{python}"
    );
}

#[test]
fn a_plural_that_nothing_says_is_that_of_english() {
    let document = |kind: &str| {
        format!(
            r#"{{"components": {{"schemas": {{"com.example.v1.{kind}": {{"type": "object", "properties": {{"metadata": {{}}}},
            "x-kubernetes-group-version-kind": [{{"group": "example.com", "version": "v1", "kind": "{kind}"}}]}}}}}}}}"#
        )
    };
    for (kind, plural) in [
        ("Gateway", "gateways"),
        ("Policy", "policies"),
        ("Ingress", "ingresses"),
    ] {
        let python = generate(&document(kind), &options(Language::Python)).unwrap();
        assert!(python.contains(&format!("plural=\"{plural}\"")), "{python}");
    }
}

#[test]
fn a_version_that_a_document_has_not_is_refused_with_those_that_it_has() {
    let text = r#"{"components": {"schemas": {"com.example.v1.Goose": {"type": "object", "properties": {"metadata": {}},
        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Goose"}]}}}}"#;
    for kinds in [
        &[][..],
        &["Goose".to_owned()],
        &["com.example.v1.Goose".to_owned()],
    ] {
        let options = Options {
            version: Some("v2"),
            kinds,
            ..options(Language::Go)
        };
        let error = generate(text, &options).unwrap_err().to_string();
        assert!(error.contains("v2") && error.contains("v1"), "{kinds:?}: {error}");
    }
}
