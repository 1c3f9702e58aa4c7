//! What a Makefile recipe cannot say: `cargo xtask <verb>`.

mod bench;
mod bindings;
mod book;
mod boundaries;
mod clients;
mod cluster;
mod deploy;
mod fuzz;
mod guests;
mod image;
mod languages;
mod packages;
mod platform;
mod process;
mod references;
mod release;
mod sbom;
mod sdks;
mod source;
mod tools;
mod venv;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
usage: cargo xtask <verb>

  guests [name…] [--out <folder>]   build guests and fixtures to components (default: all, to target/guests)
  languages [name…]                 build guests in other languages, where their toolchains are or can be installed
  sdks                              run the tests of the SDKs in other languages
  bindings [--check]                generate the bindings that SDKs keep in their sources, or compare them
  book <windlass>                   build the book to target/book, with this binary to tell of its commands
  references [language…]            build the reference of each SDK in another language than Rust (to target/references)
  packages [language…]              check that each SDK packages as its registry takes it, and works as installed
  boundaries                        the crate map, and no source file outside the module tree
  deploy <windlass> [--check]       write what the files under deploy repeat, with this binary, or compare it
  cluster <windlass> <kubeconfig>   install the chart on a real API server and compare the host's rights with its needs
  kubectl                           build the kubectl that the tests drive, if Go is there
  helm                              the same with Helm
  image [architecture…]             build the container image and look at it (default: this machine's, to target/image)
  release [--snapshot]              make all that a release consists of (to target/releases)
  tools [name…]                     install programs that tests drive, where that is possible
  bench [name]                      run every benchmark, or one
  fuzz <seconds> [target…]          fuzz every target, or these, each for so long";

/// Set where nothing may be skipped, as in CI: what is missing is an error then.
const STRICT: &str = "WINDLASS_STRICT";

/// Says that something is missing and what is skipped for it, or fails.
pub(crate) fn missing(what: &str) -> Result<()> {
    if std::env::var_os(STRICT).is_some() {
        anyhow::bail!("{what}; nothing may be skipped while {STRICT} is set");
    }
    println!("{what}");
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<()> {
    match arguments.split_first() {
        Some((verb, rest)) if verb == "guests" => guests::build(&guests::Args::parse(rest)?),
        Some((verb, names)) if verb == "languages" => languages::build(&root()?, names),
        Some((verb, [])) if verb == "sdks" => sdks::test(&root()?),
        Some((verb, flags)) if verb == "bindings" => bindings::run(&root()?, flags),
        Some((verb, [windlass])) if verb == "book" => book::build(&root()?, windlass.as_ref()),
        Some((verb, languages)) if verb == "references" => references::make(&root()?, languages),
        Some((verb, languages)) if verb == "packages" => packages::check(&root()?, languages),
        Some((verb, [])) if verb == "boundaries" => boundaries::run(&root()?),
        Some((verb, [windlass, flags @ ..])) if verb == "deploy" => deploy::run(&root()?, windlass, flags),
        Some((verb, [windlass, kubeconfig])) if verb == "cluster" => {
            cluster::run(&root()?, windlass, kubeconfig)
        }
        Some((verb, [])) if verb == "kubectl" => clients::build(&root()?, &clients::KUBECTL),
        Some((verb, [])) if verb == "helm" => clients::build(&root()?, &clients::HELM),
        Some((verb, names)) if verb == "image" => image::run(&root()?, names),
        Some((verb, flags)) if verb == "release" => release::run(&root()?, flags),
        Some((verb, names)) if verb == "tools" => tools::install(names),
        Some((verb, [])) if verb == "bench" => bench::run(&root()?, None),
        Some((verb, [name])) if verb == "bench" => bench::run(&root()?, Some(name)),
        Some((verb, [seconds, targets @ ..])) if verb == "fuzz" => fuzz::run(&root()?, seconds, targets),
        Some((verb, _)) => bail!("`{verb}` is no verb, or takes other arguments\n{USAGE}"),
        None => bail!("a verb is missing\n{USAGE}"),
    }
}

/// The repository's root.
fn root() -> Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the repository")?.to_owned())
}
