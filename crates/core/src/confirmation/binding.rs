//! What a token is bound to.

use std::{fmt, sync::OnceLock};

use crate::{
    crypto::CryptoBackend,
    jose::{self, json::Value},
    refusal::{FailedCheck, Reason},
};

/// A SHA-256 digest of a key or of a certificate.
pub(crate) type Thumbprint = [u8; 32];

/// A method by which a client proves that a token is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfirmationMethod {
    /// The certificate of the client's TLS connection (RFC 8705 §3), `cnf["x5t#S256"]`.
    ClientCertificate,
    /// A proof that the client signs for each request (RFC 9449), `cnf.jkt`.
    Dpop,
}

impl ConfirmationMethod {
    pub(crate) const ALL: [Self; 2] = [Self::ClientCertificate, Self::Dpop];

    /// The member of `cnf` that names what the token is bound to.
    pub const fn member(self) -> &'static str {
        match self {
            Self::ClientCertificate => "x5t#S256",
            Self::Dpop => "jkt",
        }
    }
}

/// The methods by which the client of a request has proven that the token is its own: all that the token is bound by.
///
/// A bearer token, which any party in possession of it can use, has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Binding {
    certificate: bool,
    dpop: bool,
}

impl Binding {
    /// Whether nothing was proven: it is a bearer token.
    pub const fn is_none(self) -> bool {
        !self.certificate && !self.dpop
    }

    /// Whether the client has proven by this method that the token is its own.
    pub const fn is_by(self, method: ConfirmationMethod) -> bool {
        match method {
            ConfirmationMethod::ClientCertificate => self.certificate,
            ConfirmationMethod::Dpop => self.dpop,
        }
    }

    /// The methods, each once.
    pub fn methods(self) -> impl Iterator<Item = ConfirmationMethod> {
        ConfirmationMethod::ALL.into_iter().filter(move |method| self.is_by(*method))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.methods()).finish()
    }
}

/// The methods that a resource server can check.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkable {
    pub(crate) certificate: bool,
    pub(crate) dpop: bool,
}

impl Checkable {
    fn has(self, method: ConfirmationMethod) -> bool {
        match method {
            ConfirmationMethod::ClientCertificate => self.certificate,
            ConfirmationMethod::Dpop => self.dpop,
        }
    }

    const fn expected(self) -> &'static str {
        match (self.certificate, self.dpop) {
            (false, false) => "no confirmation, since none can be checked here",
            (true, false) => "the thumbprint of a certificate in x5t#S256, and no other method",
            (false, true) => "the thumbprint of a key in jkt, and no other method",
            (true, true) => "thumbprints in jkt or x5t#S256, and no other method",
        }
    }
}

/// What a token is bound to: everything in its `cnf`. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Confirmation {
    /// Of the key that the client proves by DPoP (RFC 9449 §6).
    pub(crate) key: Option<Thumbprint>,
    /// Of the certificate of the client's TLS connection (RFC 8705 §3.1).
    pub(crate) certificate: Option<Thumbprint>,
    /// The SHA-256 digest of the token's text, once a proof had to name it. It takes a quarter of what a proof costs beside its
    /// signature, and a verified token has one text: all caches know it by a digest of the whole.
    token_digest: OnceLock<Thumbprint>,
}

impl PartialEq for Confirmation {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.certificate) == (other.key, other.certificate)
    }
}

impl Confirmation {
    /// Reads the `cnf` of a token. One member that cannot be checked refuses the token (MTLS-5), and so does a `cnf` without any.
    pub(crate) fn read(cnf: Option<&Value<'_>>, checkable: Checkable) -> Result<Option<Box<Self>>, FailedCheck> {
        match cnf {
            None => Ok(None),
            Some(cnf) => match Self::of(cnf, checkable) {
                Some(confirmation) => Ok(Some(Box::new(confirmation))),
                None => Err(uncheckable(cnf, checkable)),
            },
        }
    }

    fn new(key: Option<Thumbprint>, certificate: Option<Thumbprint>) -> Self {
        Self { key, certificate, token_digest: OnceLock::new() }
    }

    /// The digest of the token's text.
    pub(super) fn token_digest(&self, token: &str, crypto: CryptoBackend) -> Thumbprint {
        *self.token_digest.get_or_init(|| crypto.sha256(&[token.as_bytes()]))
    }

    fn of(cnf: &Value<'_>, checkable: Checkable) -> Option<Self> {
        let Value::Object(members) = cnf else { return None };
        let mut confirmation = Self::new(None, None);
        for (name, value) in members {
            let method = ConfirmationMethod::ALL.into_iter().find(|method| method.member() == name)?;
            let Value::String(text) = value else { return None };
            let thumbprint = thumbprint(text).filter(|_| checkable.has(method))?;
            match method {
                ConfirmationMethod::ClientCertificate => confirmation.certificate = Some(thumbprint),
                ConfirmationMethod::Dpop => confirmation.key = Some(thumbprint),
            }
        }
        (!confirmation.binding().is_none()).then_some(confirmation)
    }

    /// By which methods, for the log.
    pub(crate) fn described(&self) -> &'static str {
        match (self.key.is_some(), self.certificate.is_some()) {
            (true, true) => "a key (jkt) and a certificate (x5t#S256)",
            (true, false) => "a key (jkt)",
            (false, _) => "a certificate (x5t#S256)",
        }
    }

    pub(crate) fn binding(&self) -> Binding {
        Binding { certificate: self.certificate.is_some(), dpop: self.key.is_some() }
    }

    /// Whether it names all that `other` does.
    pub(crate) fn has(&self, other: &Self) -> bool {
        let has = |own: Option<Thumbprint>, other: Option<Thumbprint>| other.is_none() || own == other;
        has(self.key, other.key) && has(self.certificate, other.certificate)
    }

    /// What a token is bound to of which one text says this and another says `other`; `None` where they contradict each other.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let both = |one: Option<Thumbprint>, other: Option<Thumbprint>| match (one, other) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => Some(one.or(other)),
        };
        Some(Self::new(both(self.key, other.key)?, both(self.certificate, other.certificate)?))
    }
}

/// A SHA-256 digest in base64url.
pub(crate) fn thumbprint(text: &str) -> Option<Thumbprint> {
    jose::Buffer::<32>::new().decode(text)?.try_into().ok()
}

fn uncheckable(cnf: &Value<'_>, checkable: Checkable) -> FailedCheck {
    let Value::Object(members) = cnf else {
        return failure(checkable, cnf.type_name().to_owned());
    };
    let names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    let off =
        ConfirmationMethod::ALL.into_iter().find(|method| !checkable.has(*method) && names.contains(&method.member()));
    let hint = match off {
        Some(ConfirmationMethod::Dpop) => {
            Some("the token works with DPoP alone, which ResourceServerBuilder::dpop switches on")
        }
        Some(ConfirmationMethod::ClientCertificate) => Some(
            "the token works with a client certificate alone, which ResourceServerBuilder::certificate_binding has checked",
        ),
        None => None,
    };
    failure(checkable, format!("the methods [{}]", names.join(", "))).with_hint(hint)
}

fn failure(checkable: Checkable, found: String) -> FailedCheck {
    FailedCheck::new(Reason::UnverifiableConfirmation, "cnf", checkable.expected(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Checkable = Checkable { certificate: true, dpop: true };

    /// The thumbprint of RFC 7638 §3.1.
    const TEXT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    fn read(members: &[(&'static str, &str)], checkable: Checkable) -> Result<Option<Box<Confirmation>>, Reason> {
        let members = members.iter().map(|(name, text)| ((*name).into(), Value::String((*text).to_owned().into())));
        Confirmation::read(Some(&Value::Object(members.collect())), checkable).map_err(|failure| failure.reason())
    }

    #[test]
    fn mtls_5_what_cannot_be_checked_refuses() {
        assert_eq!(Confirmation::read(None, Checkable::default()), Ok(None));
        for cnf in [Value::Null, Value::String("x".into()), Value::Object(vec![]), Value::Array(vec![])] {
            let failure = Confirmation::read(Some(&cnf), ALL).unwrap_err();
            assert_eq!(failure.reason(), Reason::UnverifiableConfirmation, "{cnf:?}");
        }
        let refused = Err(Reason::UnverifiableConfirmation);
        let (certificate, dpop) = (Checkable { dpop: false, ..ALL }, Checkable { certificate: false, ..ALL });
        for checkable in [Checkable::default(), certificate] {
            assert_eq!(read(&[("jkt", TEXT)], checkable), refused);
        }
        for checkable in [Checkable::default(), dpop] {
            assert_eq!(read(&[("x5t#S256", TEXT)], checkable), refused);
        }
        for more in ["kid", "jwk", "jku", "x5t", "new"] {
            assert_eq!(read(&[("jkt", TEXT), (more, TEXT)], ALL), refused, "{more}");
        }
        for other in ["", "x", &TEXT[1..], &format!("{TEXT}="), &TEXT.replace('-', "+"), &TEXT.replace("Xs", "Xt")] {
            assert_eq!(read(&[("jkt", other)], ALL), refused, "{other}");
        }
        let number = Value::Object(vec![("jkt".into(), Value::Bool(true))]);
        assert!(Confirmation::read(Some(&number), ALL).is_err());
    }

    #[test]
    fn both_members_are_read() {
        let digest = thumbprint(TEXT);
        assert!(digest.is_some());
        let both = read(&[("x5t#S256", TEXT), ("jkt", TEXT)], ALL).unwrap().unwrap();
        assert_eq!((both.key, both.certificate), (digest, digest));
        assert_eq!(both.binding().methods().count(), 2);
        let key = read(&[("jkt", TEXT)], ALL).unwrap().unwrap().binding();
        assert_eq!(format!("{key:?}"), "{Dpop}");
        assert!(key.is_by(ConfirmationMethod::Dpop) && !key.is_by(ConfirmationMethod::ClientCertificate));
        assert!(!key.is_none() && Binding::default().is_none());
    }

    #[test]
    fn two_texts_about_one_token_bind_it_to_all_that_either_names() {
        let (one, other) = (Some([1; 32]), Some([2; 32]));
        let of = Confirmation::new;
        assert_eq!(of(one, None).and(&of(None, other)), Some(of(one, other)));
        assert_eq!(of(one, other).and(&of(one, None)), Some(of(one, other)));
        assert_eq!(of(one, None).and(&of(other, None)), None);
        assert_eq!(of(None, one).and(&of(None, other)), None);
    }

    #[test]
    fn a_method_that_is_switched_off_is_named() {
        let members = vec![("jkt".into(), Value::String(TEXT.into()))];
        let failure = Confirmation::read(Some(&Value::Object(members)), Checkable::default()).unwrap_err();
        assert!(failure.hint().is_some_and(|hint| hint.contains("::dpop ")), "{failure}");
        assert!(failure.found().contains("jkt"), "{failure}");
        for (checkable, expected) in [
            (Checkable::default(), "no confirmation, since"),
            (Checkable { dpop: false, ..ALL }, "in x5t#S256, and"),
            (Checkable { certificate: false, ..ALL }, "in jkt, and"),
            (ALL, "in jkt or x5t#S256, and"),
        ] {
            let failure = Confirmation::read(Some(&Value::Null), checkable).unwrap_err();
            assert!(failure.expected().contains(expected), "{failure}");
        }
    }
}
