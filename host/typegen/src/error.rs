//! Everything that can be wrong with the input.

/// Why there are no types.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TypegenError {
    #[error("it is neither YAML nor JSON: {0}")]
    Syntax(String),
    #[error(
        "there is neither a CustomResourceDefinition (apiextensions.k8s.io/v1) nor an OpenAPI v3 document \
         (`components.schemas`) in it{found}"
    )]
    Nothing { found: String },
    #[error("{kind} has no version {version}: choose one of {known} with --version")]
    NoVersion {
        kind: String,
        version: String,
        known: String,
    },
    #[error("there is no kind {kind}: choose from {known} with --kind")]
    NoKind { kind: String, known: String },
    #[error(
        "there are several {kind}, {found}: choose with --version, or name the schema itself with --kind"
    )]
    Ambiguous { kind: String, found: String },
    #[error("{path}: {problem}")]
    Schema { path: String, problem: String },
}

impl TypegenError {
    pub(crate) fn schema(path: &str, problem: impl Into<String>) -> Self {
        Self::Schema {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}
