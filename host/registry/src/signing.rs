//! Keys that sign what is pushed.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

/// A private key: ECDSA P-256 or Ed25519.
pub struct SigningKey(Kind);

enum Kind {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A signing key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Cosign's own format, under a password.
    #[error(
        "the signing key is encrypted by cosign: push without `--sign-key` and run `cosign sign --key`, or make a \
         key with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    Cosign,
    /// Not PKCS #8 in PEM.
    #[error(
        "the signing key is not a PEM block `PRIVATE KEY`: convert it with `openssl pkcs8 -topk8 -nocrypt -in <key>`"
    )]
    Pem,
    /// Another algorithm.
    #[error("the signing key is neither an ECDSA P-256 nor an Ed25519 key")]
    Algorithm,
}

impl SigningKey {
    /// Reads a key in unencrypted PKCS #8.
    ///
    /// # Errors
    /// See [`SigningKeyError`]. None shows the key.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        if pem.contains("ENCRYPTED SIGSTORE PRIVATE KEY") || pem.contains("ENCRYPTED COSIGN PRIVATE KEY") {
            return Err(SigningKeyError::Cosign);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningKeyError::Pem)?;
        let der = der.secret_pkcs8_der();
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            return Ok(Self(Kind::Ecdsa(key)));
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map(|key| Self(Kind::Ed25519(key)))
            .map_err(|_| SigningKeyError::Algorithm)
    }

    /// Signs. An ECDSA signature is in DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Kind::Ecdsa(key) => key
                .sign(&SystemRandom::new(), message)
                .expect("the system's random numbers do not fail")
                .as_ref()
                .to_vec(),
            Kind::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_keys_are_read_and_not_shown() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let key = SigningKey::from_pem(&key.serialize_pem()).unwrap();
            assert_eq!(format!("{key:?}"), "SigningKey(redacted)");
        }
    }

    #[test]
    fn other_keys_are_refused_with_a_way_out() {
        let read = |pem: &str| SigningKey::from_pem(pem).unwrap_err();
        let cosign =
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----";
        assert_eq!(read(cosign), SigningKeyError::Cosign);
        assert_eq!(
            read("-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----"),
            SigningKeyError::Pem
        );
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(read(&p384.serialize_pem()), SigningKeyError::Algorithm);
    }
}
