//! A proof (RFC 9449 §4.2): what its client signed, and the checks of it that need no key.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::known_keys::KnownKey;
use crate::{
    confirmation::binding::{self, Thumbprint},
    jose::{
        Algorithm, Buffer, Compact, EmbeddedKey,
        json::{self, Place, Value},
    },
    refusal::{
        Error, FailedCheck, Reason, Step,
        failed_check::{Actual, Expected},
        trace::Trace,
    },
    token::claims::{NumericDate, checks::CheckResults, numeric_date},
};

/// The longest proof that is read, in bytes. One with a key of 4096 bits has less than 3 KiB.
const MAX_LENGTH: usize = 8 * 1024;

/// The memory that a proof is decoded to. Those with keys on curves fit without an allocation.
pub(super) struct ProofBuffers {
    header: Buffer<512>,
    payload: Buffer<512>,
    signature: Buffer<64>,
}

impl ProofBuffers {
    pub(super) const fn new() -> Self {
        Self { header: Buffer::new(), payload: Buffer::new(), signature: Buffer::new() }
    }
}

/// The parts of a proof, decoded. Nothing in it has been verified.
pub(super) struct DecodedProof<'p> {
    header: Header<'p>,
    encoded_header: &'p str,
    claims: ProofClaims<'p>,
    signing_input: &'p [u8],
    signature: &'p [u8],
}

enum Header<'p> {
    /// That of an earlier proof, which was good.
    Known(Arc<KnownKey>),
    New(ProofHeader<'p>),
}

/// The parameters of the header that matter. `kid`, `jku`, `x5c` and `x5u` are ignored: the key is in `jwk`.
struct ProofHeader<'p> {
    algorithm: Option<Value<'p>>,
    token_type: Option<Value<'p>>,
    key: Option<Value<'p>>,
}

impl<'p> ProofHeader<'p> {
    fn parse(text: &'p [u8]) -> Result<Self, FailedCheck> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("a header that is not UTF-8"))?;
        let mut parameters = [const { None }; 5];
        json::place_members(text, &mut parameters, |parameter| match parameter {
            "alg" => Place::Slot(0),
            "typ" => Place::Slot(1),
            "jwk" => Place::Slot(2),
            "crit" => Place::Slot(3),
            "b64" => Place::Slot(4),
            _ => Place::Nowhere,
        })
        .map_err(|_| malformed("a header that is no JSON object without duplicate members"))?;
        let [algorithm, token_type, key, crit, b64] = parameters;
        if crit.is_some() || !matches!(b64, None | Some(Value::Bool(true))) {
            return Err(failure("crit", "no extension, since none is implemented", Actual::Fixed("crit or b64")));
        }
        Ok(Self { algorithm, token_type, key })
    }

    /// Media types are compared without regard to case, and `application/` may be there (RFC 7515 §4.1.9).
    // DPOP-3: `typ` is `dpop+jwt`.
    fn check_type(&self) -> Result<(), FailedCheck> {
        let found = match &self.token_type {
            Some(Value::String(found)) => {
                let bare = match found.split_at_checked("application/".len()) {
                    Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
                    _ => found,
                };
                if bare.eq_ignore_ascii_case("dpop+jwt") {
                    return Ok(());
                }
                Actual::from(&**found)
            }
            other => kind(other.as_ref()),
        };
        Err(failure("typ", "dpop+jwt", found))
    }

    // DPOP-4: HMAC and `none` have no name that is known.
    fn algorithm(&self, demands: &ProofDemands<'_>) -> Result<Algorithm, FailedCheck> {
        let found = match &self.algorithm {
            Some(Value::String(name)) => {
                match Algorithm::from_name(name).filter(|algorithm| demands.algorithms.contains(algorithm)) {
                    Some(algorithm) => return Ok(algorithm),
                    None => Actual::from(&**name),
                }
            }
            other => kind(other.as_ref()),
        };
        Err(failure("alg", demands.expected_algorithms.clone(), found))
    }
}

/// The claims that matter (RFC 9449 §4.2).
struct ProofClaims<'p> {
    id: Option<Value<'p>>,
    method: Option<Value<'p>>,
    target: Option<Value<'p>>,
    issued_at: Option<Value<'p>>,
    token_digest: Option<Value<'p>>,
    nonce: Option<Value<'p>>,
}

impl<'p> ProofClaims<'p> {
    fn parse(text: &'p [u8]) -> Result<Self, FailedCheck> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("claims that are not UTF-8"))?;
        let mut claims = [const { None }; 6];
        json::place_members(text, &mut claims, |claim| match claim {
            "jti" => Place::Slot(0),
            "htm" => Place::Slot(1),
            "htu" => Place::Slot(2),
            "iat" => Place::Slot(3),
            "ath" => Place::Slot(4),
            "nonce" => Place::Slot(5),
            _ => Place::Nowhere,
        })
        .map_err(|_| malformed("claims that are no JSON object without duplicate members"))?;
        let [id, method, target, issued_at, token_digest, nonce] = claims;
        Ok(Self { id, method, target, issued_at, token_digest, nonce })
    }
}

/// What a proof has to say.
pub(super) struct ProofDemands<'d> {
    pub(super) algorithms: &'d [Algorithm],
    pub(super) expected_algorithms: &'d Expected,
    pub(super) method: &'d str,
    pub(super) token_digest: Thumbprint,
}

/// A proof that says what it has to, so far as that can be told without a key. Its signature has not been checked.
pub(super) struct CheckedProof<'p> {
    pub(super) algorithm: Algorithm,
    pub(super) id: &'p str,
    /// The target, as it was normalised.
    pub(super) target: Cow<'p, str>,
    pub(super) issued_at: NumericDate,
    pub(super) nonce: Option<&'p str>,
}

impl<'p> DecodedProof<'p> {
    /// Decodes a compact JWS (RFC 9449 §4.3, number 2), whose header is not read where it is `known`.
    pub(super) fn decode(
        text: &'p [u8],
        buffers: &'p mut ProofBuffers,
        known: impl FnOnce(&str) -> Option<Arc<KnownKey>>,
    ) -> Result<Self, FailedCheck> {
        // DPOP-3: at most 8 KiB, and one compact JWS.
        if text.len() > MAX_LENGTH {
            return Err(malformed("more than 8 KiB"));
        }
        let text = std::str::from_utf8(text).map_err(|_| malformed("bytes that are not ASCII"))?;
        let compact = Compact::parse(text).map_err(|_| malformed("a text that has not three parts"))?;
        let not_base64url = |_| malformed("a part that is not base64url without padding");
        let header = match known(compact.encoded_header()) {
            Some(key) => Header::Known(key),
            None => {
                let header = compact.header(&mut buffers.header).map_err(not_base64url)?;
                Header::New(ProofHeader::parse(header)?)
            }
        };
        Ok(Self {
            header,
            encoded_header: compact.encoded_header(),
            claims: ProofClaims::parse(compact.payload(&mut buffers.payload).map_err(not_base64url)?)?,
            signing_input: compact.signing_input(),
            signature: compact.signature(&mut buffers.signature).map_err(not_base64url)?,
        })
    }

    /// Makes every check that needs no key (RFC 9449 §4.3, numbers 3 to 5, 8, 9 and 12). `target` normalises an `htu` that is
    /// the target of the request.
    pub(super) fn check<'c>(
        &'c self,
        demands: &ProofDemands<'_>,
        target: impl FnOnce(&'c str) -> Option<Cow<'c, str>>,
        expected_target: impl FnOnce() -> Expected,
        trace: &Trace,
    ) -> Result<CheckedProof<'c>, Error> {
        let claims = &self.claims;
        let mut results = CheckResults::new(trace);
        let algorithm = match &self.header {
            Header::Known(key) => Some(key.algorithm),
            Header::New(header) => {
                results.record(header.check_type());
                results.record(header.algorithm(demands))
            }
        };
        let id = results.record(text("jti", claims.id.as_ref()).and_then(not_empty));
        let method = text("htm", claims.method.as_ref()).and_then(|method| {
            // DPOP-7: equal, letter by letter.
            let is_it = method == demands.method;
            if is_it { Ok(method) } else { Err(failure("htm", demands.method.to_owned(), method)) }
        });
        results.explained((Step::Binding, "htm"), method, |method| {
            (demands.method.to_owned().into(), Actual::from(*method))
        });
        let target = text("htu", claims.target.as_ref())
            .and_then(|found| target(found).ok_or_else(|| failure("htu", expected_target(), found)));
        let target = results.explained((Step::Binding, "htu"), target, |target| {
            (Expected::Fixed("the URL of the request"), Actual::from(&**target))
        });
        // DPOP-6: each of them has to be there, with its type.
        let issued_at = results.record(date("iat", claims.issued_at.as_ref()));
        let digest = text("ath", claims.token_digest.as_ref()).and_then(|found| {
            // DPOP-12: the digest of this very token.
            let is_it = binding::thumbprint(found) == Some(demands.token_digest);
            if is_it { Ok(found) } else { Err(failure("ath", "the digest of the token in base64url", found)) }
        });
        results.explained((Step::Binding, "ath"), digest, |found| {
            (Expected::Fixed("the digest of the token in base64url"), Actual::from(*found))
        });
        let nonce = results.record(claims.nonce.as_ref().map(|nonce| text("nonce", Some(nonce))).transpose()).flatten();
        match (results.error(), algorithm, id, target, issued_at) {
            (None, Some(algorithm), Some(id), Some(target), Some(issued_at)) => {
                Ok(CheckedProof { algorithm, id, target, issued_at, nonce })
            }
            (error, ..) => Err(error.unwrap_or_else(|| Reason::InvalidDpopProof.into())),
        }
    }

    /// The key, prepared, and its header checked, by an earlier proof.
    pub(super) fn known_key(&self) -> Option<&KnownKey> {
        match &self.header {
            Header::Known(key) => Some(key),
            Header::New(_) => None,
        }
    }

    /// The key that the proof brings along, within the bounds of keys in a set (RFC 9449 §4.3, number 7). Not for a known one.
    pub(super) fn key(&self, algorithm: Algorithm) -> Result<EmbeddedKey<'_>, FailedCheck> {
        let key = match &self.header {
            Header::Known(_) => None,
            Header::New(header) => header.key.as_ref(),
        };
        // DPOP-5: the proof brings its public key, and no other key is used.
        let key = key.ok_or_else(|| failure("jwk", "a public key", Actual::NONE))?;
        let key = EmbeddedKey::read(key).map_err(|fault| failure("jwk", "a public key", fault.into_owned()))?;
        if !key.fits(algorithm) {
            return Err(failure("jwk", "a key that fits alg", Actual::Fixed("a key of another type")));
        }
        Ok(key)
    }

    pub(super) fn encoded_header(&self) -> &str {
        self.encoded_header
    }

    pub(super) fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.signature
    }
}

fn text<'v>(name: &'static str, found: Option<&'v Value<'_>>) -> Result<&'v str, FailedCheck> {
    match found {
        Some(Value::String(text)) => Ok(text),
        other => Err(failure(name, "a string", kind(other))),
    }
}

fn date(name: &'static str, found: Option<&Value<'_>>) -> Result<NumericDate, FailedCheck> {
    let date = match found {
        Some(Value::Number(number)) => numeric_date(*number),
        _ => None,
    };
    date.ok_or_else(|| failure(name, "a time in seconds since 1970", kind(found)))
}

fn not_empty(id: &str) -> Result<&str, FailedCheck> {
    if id.is_empty() { Err(failure("jti", "an identifier", Actual::Fixed("an empty string"))) } else { Ok(id) }
}

/// What is there where something of another type should be.
fn kind(found: Option<&Value<'_>>) -> Actual {
    found.map_or(Actual::NONE, |value| Actual::Fixed(value.type_name()))
}

fn malformed(found: &'static str) -> FailedCheck {
    failure("DPoP", "one compact JWS", Actual::Fixed(found))
}

pub(super) fn failure(field: &'static str, expected: impl Into<Expected>, found: impl Into<Actual>) -> FailedCheck {
    FailedCheck::new(Reason::InvalidDpopProof, field, expected, found)
}

/// How old a proof may be, and how far ahead of this service's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) max_age: Duration,
    pub(super) ahead: Duration,
}
