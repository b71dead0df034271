//! An authority that lasts as long as the process, and the certificates that it issues.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};

pub(crate) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    server: Issued,
    client: Issued,
    other: Issued,
}

struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Pki {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut parameters = named("Example Authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let issue = |parameters: CertificateParams| {
            let key = KeyPair::generate()?;
            Ok::<_, Error>(Issued { certificate: parameters.signed_by(&key, &authority)?, key })
        };
        let server = issue(CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?)?;
        let (client, other) = (issue(named("client"))?, issue(named("other"))?);
        Ok(Self { authority, server, client, other })
    }

    /// The authority's certificate.
    pub(crate) fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone())?;
        Ok(roots)
    }

    /// The certificate of the API, and its key.
    pub(crate) fn server(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        (self.server.certificate.der().clone(), PrivateKeyDer::Pkcs8(self.server.key.serialize_der().into()))
    }

    /// The certificate of the client, in DER.
    pub(crate) fn client(&self) -> &[u8] {
        self.client.certificate.der()
    }

    /// The certificate of the client as a proxy would write it into `Client-Cert` (RFC 9440).
    pub(crate) fn client_cert_header(&self) -> String {
        format!(":{}:", STANDARD.encode(self.client()))
    }

    /// Writes what `curl` needs.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("authority.pem"), self.authority.pem())?;
        for (name, issued) in [("client", &self.client), ("other", &self.other)] {
            fs::write(directory.join(format!("{name}.pem")), issued.certificate.pem())?;
            fs::write(directory.join(format!("{name}.key")), issued.key.serialize_pem())?;
        }
        Ok(())
    }
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
