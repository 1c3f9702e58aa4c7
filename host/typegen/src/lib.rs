//! Types for a guest's own language, from the schema of the objects it works on.
//!
//! - `source` finds schemas: in CustomResourceDefinitions, or in an OpenAPI v3 document;
//! - `lower` makes a `model` of them: records, choices and what their fields hold;
//! - `rust`, `go`, `python`, `typescript` and `c` write a model as an author of
//!   that language would for the SDK; `names` and `text` help them.
//!
//! Promises: the same input gives the same text, which compiles and is formatted as the
//! language's own formatter leaves it, as far as lines that cannot be broken allow. What a
//! schema says and no language's type can hold is read and written as plain JSON. Rules
//! about values (patterns, ranges, CEL) are left to the API server.

mod c;
mod error;
mod go;
mod lower;
mod model;
mod names;
mod python;
mod rust;
mod source;
mod text;
mod typescript;

pub use error::TypegenError;

/// A language that there is an SDK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Structs with serde.
    Rust,
    /// Structs with tags.
    Go,
    /// Dataclasses.
    Python,
    /// Interfaces.
    TypeScript,
    /// Functions that read and set members of JSON.
    C,
}

impl Language {
    /// How the names of its files end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Rust => "rs",
            Self::Go => "go",
            Self::Python => "py",
            Self::TypeScript => "ts",
            Self::C => "h",
        }
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// In which language.
    pub language: Language,
    /// What the input is called, for the first line.
    pub file: &'a str,
    /// Which version of a kind; unset: the stored one of a definition, every one of an
    /// OpenAPI document.
    pub version: Option<&'a str>,
    /// Which kinds, or names of schemas; empty: all kinds.
    pub kinds: &'a [String],
    /// Name of the package, for Go.
    pub package: &'a str,
}

/// Reads definitions or an OpenAPI document, YAML or JSON, and writes types.
///
/// # Errors
/// When the text is neither, has not what was asked for, or has a schema that means nothing;
/// the error says where.
pub fn generate(input: &str, options: &Options<'_>) -> Result<String, TypegenError> {
    let source = source::read(input, options.version, options.kinds)?;
    let model = lower::lower(&source, options.language)?;
    Ok(match options.language {
        Language::Rust => rust::render(&model, options.file),
        Language::Go => go::render(&model, options.file, options.package),
        Language::Python => python::render(&model, options.file),
        Language::TypeScript => typescript::render(&model, options.file),
        Language::C => c::render(&model, options.file),
    })
}

#[cfg(test)]
mod tests;
