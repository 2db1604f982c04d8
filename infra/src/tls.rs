//! TLS for every client: the cryptography, and the certificates that are trusted.
//!
//! Reading the system's certificates takes milliseconds of each cold start. So the binary carries the roots of Mozilla's
//! program, already parsed, and reads a file only if a variable names one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lambda_jobs_core::Invalid;
use rustls::crypto::CryptoProvider;
#[cfg(feature = "post-quantum")]
use rustls::crypto::aws_lc_rs as cryptography;
#[cfg(not(feature = "post-quantum"))]
use rustls::crypto::ring as cryptography;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The authorities that a client trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's, as of this build.
    Bundled,
    /// Those in a PEM file, and no others.
    File {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The system's.
    #[cfg(feature = "system-roots")]
    System,
}

impl Roots {
    /// The file that the first of these variables names, or the bundled roots if none is set.
    #[must_use]
    pub fn from_variables(variables: &[&'static str], look_up: impl Fn(&str) -> Option<String>) -> Self {
        let set =
            |variable: &&'static str| Some((*variable, look_up(variable).filter(|path| !path.is_empty())?));
        match variables.iter().find_map(set) {
            Some((variable, path)) => Self::File { variable, path: path.into() },
            None => Self::Bundled,
        }
    }

    /// The configuration of a client that trusts them. It speaks HTTP/1.1, so it offers no other protocol.
    pub fn client_config(&self) -> Result<ClientConfig, Invalid> {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| Invalid::new("TLS", "cryptography for TLS 1.2 and 1.3", error))?;
        Ok(builder.with_root_certificates(self.store()?).with_no_client_auth())
    }

    fn store(&self) -> Result<RootCertStore, Invalid> {
        match self {
            Self::Bundled => Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
            Self::File { variable, path } => in_file(variable, path),
            #[cfg(feature = "system-roots")]
            Self::System => {
                let mut store = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() { Err(none_of_the_system(&found.errors)) } else { Ok(store) }
            }
        }
    }
}

/// The cryptography of every client.
#[must_use]
pub fn provider() -> CryptoProvider {
    cryptography::default_provider()
}

/// Makes [`provider`] the cryptography of whoever asks for the process's own, unless one is set. If a handler's
/// dependencies bring a second one, rustls could not choose, and would panic.
pub fn set_default_provider() {
    // One that the process set itself stays.
    drop(provider().install_default());
}

#[cfg(feature = "system-roots")]
fn none_of_the_system(errors: &[rustls_native_certs::Error]) -> Invalid {
    let why = errors.first().map_or_else(|| "it has none".to_owned(), ToString::to_string);
    Invalid::new("TLS", "certificates of the system, or a file of them in AWS_CA_BUNDLE", why)
}

fn in_file(variable: &str, path: &Path) -> Result<RootCertStore, Invalid> {
    let refused = |why: String| {
        Invalid::new(
            variable,
            "a file with certificates in PEM",
            format!("{:?} ({why})", path.display().to_string()),
        )
    };
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).flatten().collect();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found);
    if store.is_empty() { Err(refused("it holds none".to_owned())) } else { Ok(store) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(variable: &'static str, path: &Path) -> String {
        let value = path.to_str().unwrap().to_owned();
        let roots = Roots::from_variables(&["AWS_CA_BUNDLE", "SSL_CERT_FILE"], |name| {
            (name == variable).then(|| value.clone())
        });
        roots.client_config().unwrap_err().to_string()
    }

    #[test]
    fn without_a_file_the_bundled_roots_are_trusted() {
        let roots = Roots::from_variables(&["SSL_CERT_FILE"], |_| Some(String::new()));
        assert_eq!(roots, Roots::Bundled);
        assert!(roots.client_config().is_ok());
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_the_variable_that_names_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = here.join("Cargo.toml");
        let expected = format!(
            "AWS_CA_BUNDLE: expected a file with certificates in PEM, got {source:?} (it holds none)"
        );
        assert_eq!(refused("AWS_CA_BUNDLE", &source), expected);
        let message = refused("SSL_CERT_FILE", &here.join("missing.pem"));
        assert!(
            message.starts_with("SSL_CERT_FILE: expected a file with certificates in PEM, got "),
            "{message}"
        );
        assert!(message.contains("missing.pem"), "{message}");
    }
}
