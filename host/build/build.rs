//! Embeds what `windlass new` writes, so that the binary brings it along: a template of a
//! project for each language, and the SDKs without their tests and examples.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The name of a constant, a folder, and what of that: files, folders with all below them,
/// or `.` for the folder's own files.
const EMBEDDED: [(&str, &str, &[&str]); 11] = [
    ("RUST_TEMPLATE", "templates/rust", ALL),
    ("GO_TEMPLATE", "templates/go", ALL),
    ("PYTHON_TEMPLATE", "templates/python", ALL),
    ("JAVASCRIPT_TEMPLATE", "templates/javascript", ALL),
    ("C_TEMPLATE", "templates/c", ALL),
    // As a part of the workspace of guests its manifest could not stand alone.
    ("RUST_SDK_MANIFEST", "templates/sdk-rust", ALL),
    ("RUST_SDK", "../../sdk/rust", &["LICENSE", "README.md", "src"]),
    (
        "GO_SDK",
        "../../sdk/go",
        &[
            ".",
            "internal/bindings",
            "internal/wit",
            "mapper",
            "meta",
            "observer",
            "plugin",
            "windlasstest",
        ],
    ),
    ("PYTHON_SDK", "../../sdk/python", &[".", "src"]),
    ("JAVASCRIPT_SDK", "../../sdk/javascript", &[".", "src"]),
    ("C_SDK", "../../sdk/c", &["README.md", "include", "src"]),
];
const ALL: &[&str] = &[".", "*"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut out = String::new();
    for (name, folder, parts) in EMBEDDED {
        let folder = Path::new(folder).canonicalize()?;
        let mut files = Vec::new();
        for part in parts {
            match *part {
                "." => own_files(&folder, &mut files)?,
                "*" => {
                    println!("cargo::rerun-if-changed={}", folder.display());
                    for below in folders(&folder)? {
                        all_files(&below, &mut files)?;
                    }
                }
                part => {
                    let path = folder.join(part);
                    println!("cargo::rerun-if-changed={}", path.display());
                    all_files(&path, &mut files)?;
                }
            }
        }
        files.sort();
        writeln!(out, "static {name}: &[File] = &[").map_err(io::Error::other)?;
        for file in files {
            let path = file.strip_prefix(&folder).map_err(io::Error::other)?;
            writeln!(out, "    ({path:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
        }
        writeln!(out, "];").map_err(io::Error::other)?;
    }
    let target = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(target.join("embedded.rs"), out)
}

/// Whether it is what tools make, or only for those who work on an SDK.
fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && !name.ends_with(".template")
        || name.ends_with("_test.go")
        || name.ends_with(".egg-info")
        || ["__pycache__", "target", "node_modules", "package-lock.json"].contains(&&*name)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    entries.retain(|path| !is_left_out(path));
    Ok(entries)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

fn own_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| path.is_file()) {
        println!("cargo::rerun-if-changed={}", path.display());
        files.push(path);
    }
    Ok(())
}

fn all_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in entries(path)? {
        all_files(&entry, files)?;
    }
    Ok(())
}
