//! The book, followed page by page as its readers do: each command is run, and what it
//! prints is what the page shows.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use windlass_tests::book::Page;
use windlass_tests::docker_registry::DockerRegistry;
use windlass_tests::kubectl;
use windlass_tests::process::repository;
use windlass_tests::terminal::Terminal;

/// Where the pages' registry listens.
const REGISTRY: &str = "127.0.0.1:5000";

/// Builds and clusters take what the machine has: two pages at a time, of which one mostly
/// waits for something.
static DESKS: Semaphore = Semaphore::const_new(2);

/// A test for each page that has commands.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() -> Result<()> {
                follow($page).await
            }
        )*
    };
}

pages! {
    getting_started: "getting-started.md",
    architecture: "concepts/architecture.md",
    configuration: "guides/configuration.md",
    permissions: "guides/permissions.md",
    recordings: "guides/record-replay.md",
    replicas: "guides/replicas.md",
    plugins_of_the_scheduler: "guides/scheduler-plugins.md",
    shipping: "guides/ship.md",
    versions: "guides/versions.md",
    operating: "operating.md",
    exit_codes: "reference/exit-codes.md",
    security: "security.md",
    tutorial_in_rust: "tutorials/rust.md",
    tutorial_in_go: "tutorials/go.md",
    tutorial_in_python: "tutorials/python.md",
    tutorial_in_javascript: "tutorials/javascript.md",
    tutorial_in_c: "tutorials/c.md",
}

#[test]
fn every_page_with_commands_is_followed() -> Result<()> {
    let mut with_commands = BTreeSet::new();
    collect(&repository().join("docs"), "", &mut with_commands)?;
    let followed: BTreeSet<String> = PAGES.iter().map(ToString::to_string).collect();
    assert_eq!(with_commands, followed);
    Ok(())
}

/// The pages of a folder that have something to run.
fn collect(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), found)?;
        } else if name.ends_with(".md") {
            let text = std::fs::read_to_string(entry.path())?;
            let page = Page::parse(&text).with_context(|| name.clone())?;
            if page.mentions("") {
                found.insert(name);
            }
        }
    }
    Ok(())
}

/// Does everything that a page says.
async fn follow(name: &'static str) -> Result<()> {
    let _desk = DESKS.acquire().await?;
    let text = std::fs::read_to_string(repository().join("docs").join(name))?;
    let page = Page::parse(&text)?;
    if let Some(program) = page.needs.iter().find(|program| !is_there(program)) {
        println!("skipped: {name} needs {program}");
        return Ok(());
    }
    if page.mentions("kubectl ") && !kubectl::program().exists() {
        println!("skipped: there is no target/kubectl; install Go and run `cargo xtask kubectl`");
        return Ok(());
    }
    let registry = if page.mentions(REGISTRY) {
        let Some(registry) = DockerRegistry::start().await? else {
            return Ok(());
        };
        Some(registry)
    } else {
        None
    };
    let host = registry.as_ref().map(|registry| registry.host.clone());
    tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::open(host.as_deref())?;
        for step in &page.steps {
            terminal.follow(step).context(name)?;
        }
        anyhow::Ok(())
    })
    .await?
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
