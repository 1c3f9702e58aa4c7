//! A version's section of the changelog, which is what a release says of itself.

use anyhow::{Result, ensure};

/// What is under `## <version>`, if that is anything.
pub(super) fn section(changelog: &str, version: &str) -> Result<String> {
    let heading = format!("## {version}");
    let mut lines = changelog.lines().skip_while(|line| *line != heading);
    ensure!(lines.next().is_some(), "CHANGELOG.md has no section `{heading}`");
    let section: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let section = section.join("\n").trim().to_owned();
    ensure!(!section.is_empty(), "`{heading}` of CHANGELOG.md says nothing");
    Ok(section + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let changelog = "# Changelog\n\n## Unreleased\n\n## 0.2.0\n\nAdded:\n\n- A.\n\n## 0.1.0\n\nB.\n";
        assert_eq!(section(changelog, "0.2.0").unwrap(), "Added:\n\n- A.\n");
        assert_eq!(section(changelog, "0.1.0").unwrap(), "B.\n");
        let error = |version| section(changelog, version).unwrap_err().to_string();
        assert_eq!(
            error("Unreleased"),
            "`## Unreleased` of CHANGELOG.md says nothing"
        );
        assert_eq!(error("0.3.0"), "CHANGELOG.md has no section `## 0.3.0`");
    }
}
