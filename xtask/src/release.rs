//! `xtask release`: everything that a release consists of, in one folder: for each
//! architecture an archive and the bill of what is in it, the image of all, the chart,
//! notes, checksums and their signature.
//!
//! As reproducible as the image. Nothing is published.

mod archive;
mod notes;
mod signature;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::image::{self, Binary};
use crate::platform::{PLATFORMS, Platform};
use crate::process::{run as run_command, stdout};
use crate::source::Source;
use crate::{clients, packages, sbom, tools};
use archive::Archiver;

/// A private key in PEM, as `windlass push --sign-key` takes it.
const KEY: &str = "WINDLASS_SIGNING_KEY";
const CHART: &str = "deploy/helm/windlass";
/// Shells and what their completion scripts are called.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "windlass.bash"),
    ("fish", "windlass.fish"),
    ("zsh", "_windlass"),
];

/// Makes the release of this commit. With `--snapshot` of any state of the sources, with
/// what is not released yet as its notes.
pub(crate) fn run(root: &Path, flags: &[String]) -> Result<()> {
    let snapshot = match flags {
        [] => false,
        [flag] if flag == "--snapshot" => true,
        _ => bail!("`xtask release` knows no flag but `--snapshot`"),
    };
    let source = Source::read(root)?;
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).context("there is no CHANGELOG.md")?;
    let notes = if snapshot {
        notes::section(&changelog, "Unreleased").or_else(|_| notes::section(&changelog, &source.version))?
    } else {
        assert_tagged(root, &source)?;
        ensure!(
            notes::section(&changelog, "Unreleased").is_err(),
            "CHANGELOG.md has changes that are Unreleased"
        );
        notes::section(&changelog, &source.version)?
    };
    tools::install(&["buildah".to_owned(), "qemu-user-static".to_owned()])?;
    clients::build(root, &clients::HELM)?;
    packages::check(root, &[])?;
    let out = root.join("target/releases").join(&source.version);
    image::empty(&out)?;
    fs::create_dir_all(&out)?;
    let release = Release { root, source, out };
    let mut binaries = Vec::new();
    for platform in &PLATFORMS {
        binaries.push(release.compile(platform)?);
    }
    let completions = release.completions(&binaries)?;
    for binary in &binaries {
        release.archive(binary, &completions)?;
    }
    release.image(&binaries)?;
    release.chart()?;
    fs::write(release.out.join("NOTES.md"), notes)?;
    release.sum_and_sign()?;
    println!("{}", release.out.display());
    Ok(())
}

/// That the commit is the one that the version is the name of.
fn assert_tagged(root: &Path, source: &Source) -> Result<()> {
    let tags = stdout(
        Command::new("git")
            .args(["tag", "--points-at", "HEAD"])
            .current_dir(root),
    )?;
    let tag = format!("v{}", source.version);
    ensure!(
        tags.lines().any(|line| line == tag),
        "this commit has no tag {tag}; try with --snapshot"
    );
    ensure!(
        !source.revision.ends_with("-dirty"),
        "files differ from the commit"
    );
    Ok(())
}

/// A release in the making.
struct Release<'a> {
    root: &'a Path,
    source: Source,
    out: PathBuf,
}

impl Release<'_> {
    fn name(&self, platform: &Platform) -> String {
        format!("windlass-{}-linux-{}", self.source.version, platform.architecture)
    }

    /// The binary, with the bill beside the archive.
    fn compile(&self, platform: &'static Platform) -> Result<Binary> {
        let target = platform.target(self.root)?;
        ensure!(target.ends_with("musl"), "a release wants musl");
        let path = platform.compile(self.root, &target)?;
        image::assert_static(&path, platform)?;
        let said = stdout(platform.emulator(&path).arg("--version"))?;
        let expected = format!("windlass {}", self.source.version);
        ensure!(
            said == expected,
            "the binary for {} calls itself {said}",
            platform.architecture
        );
        let bill = self.out.join(format!("{}.cdx.json", self.name(platform)));
        sbom::write(self.root, &self.source, &target, &bill)?;
        sbom::validate(self.root, &bill)?;
        Ok(Binary { platform, path })
    }

    /// The scripts, which any architecture's binary prints.
    fn completions(&self, binaries: &[Binary]) -> Result<Vec<(&'static str, String)>> {
        let here = binaries.iter().find(|binary| binary.platform.is_here());
        let here = here.context("no binary runs here")?;
        let print = |(shell, name)| {
            let script = stdout(Command::new(&here.path).args(["completions", shell]))?;
            Ok((name, script + "\n"))
        };
        COMPLETIONS.into_iter().map(print).collect()
    }

    fn archiver(&self) -> Archiver {
        Archiver {
            epoch: self.source.epoch,
        }
    }

    fn archive(&self, binary: &Binary, completions: &[(&str, String)]) -> Result<()> {
        let name = self.name(binary.platform);
        let folder = self.root.join("target/release-archive");
        image::empty(&folder)?;
        let content = folder.join(&name);
        fs::create_dir_all(content.join("completions"))?;
        image::copy(&binary.path, &content.join("windlass"))?;
        for file in ["LICENSE", "README.md", "CHANGELOG.md"] {
            image::copy(&self.root.join(file), &content.join(file))?;
        }
        for (file, script) in completions {
            fs::write(content.join("completions").join(file), script)?;
        }
        self.archiver()
            .compressed(&folder, &name, &self.out.join(format!("{name}.tar.gz")))?;
        image::empty(&folder)
    }

    /// One archive with the images of all architectures, which the usual tools load and copy.
    fn image(&self, binaries: &[Binary]) -> Result<()> {
        let layout = self.root.join("target/release-image");
        let digest = image::build_and_check(self.root, &self.source, binaries, &layout)?;
        println!("the image is {digest}");
        let file = self
            .out
            .join(format!("windlass-{}-image.tar", self.source.version));
        self.archiver().plain(&layout, ".", &file)?;
        image::empty(&layout)
    }

    /// As `helm package` makes it, but for the times of the files.
    fn chart(&self) -> Result<()> {
        let chart = self.root.join(CHART);
        let manifest = fs::read_to_string(chart.join("Chart.yaml")).context("there is no chart")?;
        for key in ["version", "appVersion"] {
            let line = format!("{key}: {}", self.source.version);
            ensure!(
                manifest.lines().any(|found| found == line),
                "Chart.yaml does not say `{line}`"
            );
        }
        let folder = self.root.join("target/release-chart");
        image::empty(&folder)?;
        fs::create_dir_all(&folder)?;
        let helm = || Command::new(self.root.join("target/helm"));
        stdout(
            helm()
                .arg("package")
                .arg(&chart)
                .arg("--destination")
                .arg(&folder),
        )?;
        let file = format!("windlass-{}.tgz", self.source.version);
        let mut unpack = Command::new("tar");
        unpack
            .arg("--extract")
            .arg("--gzip")
            .arg("--file")
            .arg(folder.join(&file));
        run_command(unpack.arg("--directory").arg(&folder))?;
        let packed = self
            .out
            .join(format!("windlass-chart-{}.tgz", self.source.version));
        self.archiver().compressed(&folder, "windlass", &packed)?;
        stdout(helm().args(["show", "chart"]).arg(&packed)).context("Helm does not read the chart")?;
        image::empty(&folder)
    }

    fn sum_and_sign(&self) -> Result<()> {
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(&self.out)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        let sums = stdout(Command::new("sha256sum").args(&names).current_dir(&self.out))?;
        let file = self.out.join("SHA256SUMS");
        fs::write(&file, sums + "\n")?;
        match std::env::var_os(KEY) {
            Some(key) => signature::sign(&file, Path::new(&key)),
            None => {
                println!("SHA256SUMS is not signed: {KEY} names no key");
                Ok(())
            }
        }
    }
}
