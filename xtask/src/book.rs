//! `xtask book`: the book under `docs`, as a static site in `target/book`.
//!
//! The pages are Markdown that reads well without being built. What the generator wants
//! otherwise is made of them in `target/book-pages`, together with what is generated: the
//! reference of the contract from WIT, that of the command line from the binary itself.
//! A link that leads nowhere, an excerpt that its file does not have and a page that the
//! table of contents leaves out are errors.

mod commands;
mod contract;
mod fences;
mod generator;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use self::page::Page;

/// The generator's settings; its table of contents names every page.
const SETTINGS: &str = "book.yml";

/// Builds the book, with this binary to tell of its commands.
pub(crate) fn build(root: &Path, windlass: &Path) -> Result<()> {
    let pages = root.join("target/book-pages");
    let docs = pages.join("docs");
    if docs.exists() {
        fs::remove_dir_all(&docs).with_context(|| format!("removing {}", docs.display()))?;
    }
    assemble(root, &docs)?;
    write(&docs.join("reference/contract.md"), &contract::controller())?;
    write(
        &docs.join("reference/scheduler-contract.md"),
        &contract::scheduler(),
    )?;
    write(
        &docs.join("reference/commands.md"),
        &commands::reference(windlass)?,
    )?;
    let settings = pages.join("mkdocs.yml");
    write(&settings, &with_decisions(root, &docs)?)?;
    name_every_page(&settings, &docs)?;
    if generator::run(root, &settings)? {
        publish(&pages.join("site"), &root.join("target/book"))?;
    }
    Ok(())
}

/// Puts the new site in the place of the last one.
fn publish(site: &Path, book: &Path) -> Result<()> {
    if book.exists() {
        fs::remove_dir_all(book).with_context(|| format!("removing {}", book.display()))?;
    }
    fs::rename(site, book).with_context(|| format!("making {}", book.display()))?;
    println!("the book: {}", book.join("index.html").display());
    Ok(())
}

/// The settings, with the decisions at the end of the table of contents.
fn with_decisions(root: &Path, docs: &Path) -> Result<String> {
    let settings = root.join("docs").join(SETTINGS);
    let mut text =
        fs::read_to_string(&settings).with_context(|| format!("reading {}", settings.display()))?;
    for file in files(&docs.join("decisions"))? {
        let name = file.strip_prefix(docs)?.display();
        text.push_str(&format!("      - {name}\n"));
    }
    Ok(text)
}

/// Copies `docs`, each page as the generator wants it.
fn assemble(root: &Path, to: &Path) -> Result<()> {
    let docs = root.join("docs");
    let mut wrong = Vec::new();
    for file in files(&docs)? {
        let name = file.strip_prefix(&docs)?;
        let target = to.join(name);
        if name == Path::new(SETTINGS) {
            continue;
        }
        if name.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let page = Page { root, name };
            match page.prepare(&text) {
                Ok(text) => write(&target, &text)?,
                Err(error) => wrong.push(format!("{}: {error:#}", file.display())),
            }
        } else {
            make_folder_of(&target)?;
            fs::copy(&file, &target).with_context(|| format!("copying {}", file.display()))?;
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

/// A page that no menu leads to is as good as lost, and so is a menu that leads nowhere.
fn name_every_page(settings: &Path, docs: &Path) -> Result<()> {
    let text = fs::read_to_string(settings)?;
    let named: Vec<&str> = text
        .lines()
        .filter_map(|line| line.rsplit([' ', '"']).find(|word| word.ends_with(".md")))
        .collect();
    let mut lost = Vec::new();
    for file in files(docs)? {
        let name = file.strip_prefix(docs)?.to_string_lossy().into_owned();
        if name.ends_with(".md") && !named.contains(&&*name) {
            lost.push(name);
        }
    }
    ensure!(
        lost.is_empty(),
        "docs/{SETTINGS} does not name {}",
        lost.join(", ")
    );
    let missing: Vec<_> = named
        .into_iter()
        .filter(|name| !docs.join(name).is_file())
        .collect();
    ensure!(
        missing.is_empty(),
        "docs/{SETTINGS} names what is not there: {}",
        missing.join(", ")
    );
    Ok(())
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_folder_of(path)?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}
