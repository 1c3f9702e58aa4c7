//! `windlass generate`: code for guests from what the cluster says.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use windlass_typegen::{Language, Options};

use crate::args::{GenerateCommand, GenerateTypesArgs, TypesLanguage};
use crate::output::{out, outln};

pub(crate) fn generate(command: GenerateCommand) -> anyhow::Result<ExitCode> {
    let GenerateCommand::Types(args) = command;
    types(&args)
}

fn types(args: &GenerateTypesArgs) -> anyhow::Result<ExitCode> {
    let (name, input) = read(&args.file)?;
    let language = language(args.language);
    let options = Options {
        language,
        file: &name,
        version: args.version.as_deref(),
        kinds: &args.kind,
        package: &args.package,
    };
    let types = windlass_typegen::generate(&input, &options).with_context(|| name.clone())?;
    match args.out.as_deref().map(|out| destination(out, language)) {
        None => out!("{types}")?,
        Some(file) => {
            std::fs::write(&file, types).with_context(|| format!("cannot write {}", file.display()))?;
            outln!("Wrote {}", file.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The input, and what it is called.
fn read(file: &Path) -> anyhow::Result<(String, String)> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("cannot read standard input")?;
        return Ok(("standard input".to_owned(), text));
    }
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}

fn destination(out: &Path, language: Language) -> PathBuf {
    match out.is_dir() {
        true => out.join("resources").with_extension(language.extension()),
        false => out.to_owned(),
    }
}

fn language(language: TypesLanguage) -> Language {
    match language {
        TypesLanguage::Rust => Language::Rust,
        TypesLanguage::Go => Language::Go,
        TypesLanguage::Python => Language::Python,
        TypesLanguage::Typescript => Language::TypeScript,
        TypesLanguage::C => Language::C,
    }
}
