//! Signs a file as `cosign sign-blob --key` does: SHA-256 and ECDSA, the signature in
//! base64. The key is the kind that signs guests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::stdout;

/// Writes the signature and the public key beside the file, and verifies them.
pub(super) fn sign(file: &Path, key: &Path) -> Result<()> {
    let raw = beside(file, "sig.raw");
    let public = beside(file, "pub");
    stdout(
        openssl("pkey")
            .args(["-pubout", "-in"])
            .arg(key)
            .arg("-out")
            .arg(&public),
    )?;
    stdout(
        openssl("dgst")
            .args(["-sha256", "-sign"])
            .arg(key)
            .arg("-out")
            .arg(&raw)
            .arg(file),
    )?;
    verify(file, &raw, &public)?;
    stdout(
        openssl("base64")
            .args(["-A", "-in"])
            .arg(&raw)
            .arg("-out")
            .arg(beside(file, "sig")),
    )?;
    std::fs::remove_file(&raw).with_context(|| format!("removing {}", raw.display()))
}

fn verify(file: &Path, raw: &Path, public: &Path) -> Result<()> {
    let mut verify = openssl("dgst");
    verify
        .args(["-sha256", "-verify"])
        .arg(public)
        .arg("-signature")
        .arg(raw);
    stdout(verify.arg(file))?;
    Ok(())
}

fn openssl(verb: &str) -> Command {
    let mut command = Command::new("openssl");
    command.arg(verb);
    command
}

/// `SHA256SUMS.sig` beside `SHA256SUMS`.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not() {
        let folder = std::env::temp_dir().join(format!("windlass-signature-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (key, file) = (folder.join("key.pem"), folder.join("SHA256SUMS"));
        let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
        stdout(openssl("genpkey").args(curve).arg(&key)).unwrap();
        fs::write(&file, "1234  windlass\n").unwrap();
        sign(&file, &key).unwrap();
        let raw = folder.join("raw");
        let decode = ["-d", "-A", "-in"];
        stdout(
            openssl("base64")
                .args(decode)
                .arg(beside(&file, "sig"))
                .arg("-out")
                .arg(&raw),
        )
        .unwrap();
        verify(&file, &raw, &beside(&file, "pub")).unwrap();
        fs::write(&file, "4321  windlass\n").unwrap();
        assert!(verify(&file, &raw, &beside(&file, "pub")).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
