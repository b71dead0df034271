//! A proof (RFC 9449 §4.2): what its client signed, and the checks of it that need no key.

use std::{borrow::Cow, time::Duration};

use crate::{
    confirmation::binding::{self, Thumbprint},
    jose::{
        Algorithm, Buffer, Compact, EmbeddedKey,
        json::{self, Place, Value},
    },
    refusal::{
        Error, FailedCheck, Reason,
        failed_check::{Actual, Expected},
    },
    token::claims::{ClaimNames, NumericDate, UnverifiedClaims, checks::CheckResults},
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
    header: ProofHeader<'p>,
    claims: UnverifiedClaims<'p>,
    signing_input: &'p [u8],
    signature: &'p [u8],
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
    /// Decodes a compact JWS (RFC 9449 §4.3, number 2).
    pub(super) fn decode(
        text: &'p [u8],
        buffers: &'p mut ProofBuffers,
        names: &ClaimNames,
    ) -> Result<Self, FailedCheck> {
        if text.len() > MAX_LENGTH {
            return Err(malformed("more than 8 KiB"));
        }
        let text = std::str::from_utf8(text).map_err(|_| malformed("bytes that are not ASCII"))?;
        let compact = Compact::parse(text).map_err(|_| malformed("a text that has not three parts"))?;
        let not_base64url = |_| malformed("a part that is not base64url without padding");
        let header = compact.header(&mut buffers.header).map_err(not_base64url)?;
        let payload = compact.payload(&mut buffers.payload).map_err(not_base64url)?;
        let signature = compact.signature(&mut buffers.signature).map_err(not_base64url)?;
        let header = ProofHeader::parse(header)?;
        let claims = UnverifiedClaims::parse(payload, names)
            .map_err(|_| malformed("claims that are no JSON object without duplicate members"))?;
        Ok(Self { header, claims, signing_input: compact.signing_input(), signature })
    }

    /// Makes every check that needs no key (RFC 9449 §4.3, numbers 3 to 5, 8, 9 and 12). `target` normalises an `htu` that is
    /// the target of the request.
    pub(super) fn check<'c>(
        &'c self,
        demands: &ProofDemands<'_>,
        target: impl FnOnce(&'c str) -> Option<Cow<'c, str>>,
        expected_target: impl FnOnce() -> Expected,
    ) -> Result<CheckedProof<'c>, Error> {
        let mut results = CheckResults::default();
        results.record(self.check_type());
        let algorithm = results.record(self.algorithm(demands));
        let id = results.record(self.text("jti").and_then(not_empty));
        results.record(self.text("htm").and_then(|method| {
            let is_it = method == demands.method;
            if is_it { Ok(()) } else { Err(failure("htm", demands.method.to_owned(), method)) }
        }));
        let target = results.record(
            self.text("htu").and_then(|found| target(found).ok_or_else(|| failure("htu", expected_target(), found))),
        );
        let issued_at = results.record(self.issued_at());
        results.record(self.text("ath").and_then(|found| {
            let is_it = binding::thumbprint(found) == Some(demands.token_digest);
            if is_it { Ok(()) } else { Err(failure("ath", "the digest of the token in base64url", found)) }
        }));
        let nonce = results.record(self.nonce()).flatten();
        match (results.error(), algorithm, id, target, issued_at) {
            (None, Some(algorithm), Some(id), Some(target), Some(issued_at)) => {
                Ok(CheckedProof { algorithm, id, target, issued_at, nonce })
            }
            (error, ..) => Err(error.unwrap_or_else(|| Reason::InvalidDpopProof.into())),
        }
    }

    /// The key that the proof brings along, within the bounds of keys in a set (RFC 9449 §4.3, number 7).
    pub(super) fn key(&self, algorithm: Algorithm) -> Result<EmbeddedKey<'_>, FailedCheck> {
        let key = self.header.key.as_ref().ok_or_else(|| failure("jwk", "a public key", Actual::NONE))?;
        let key = EmbeddedKey::read(key).map_err(|fault| failure("jwk", "a public key", fault.into_owned()))?;
        if !key.fits(algorithm) {
            return Err(failure("jwk", "a key that fits alg", Actual::Fixed("a key of another type")));
        }
        Ok(key)
    }

    pub(super) fn signing_input(&self) -> &[u8] {
        self.signing_input
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.signature
    }

    /// Media types are compared without regard to case, and `application/` may be there (RFC 7515 §4.1.9).
    fn check_type(&self) -> Result<(), FailedCheck> {
        let found = match &self.header.token_type {
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

    fn algorithm(&self, demands: &ProofDemands<'_>) -> Result<Algorithm, FailedCheck> {
        let found = match &self.header.algorithm {
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

    fn text(&self, name: &'static str) -> Result<&str, FailedCheck> {
        match self.claims.get(name) {
            Some(Value::String(text)) => Ok(text),
            other => Err(failure(name, "a string", kind(other))),
        }
    }

    fn nonce(&self) -> Result<Option<&str>, FailedCheck> {
        if self.claims.get("nonce").is_some() { self.text("nonce").map(Some) } else { Ok(None) }
    }

    fn issued_at(&self) -> Result<NumericDate, FailedCheck> {
        let expected = "a time in seconds since 1970";
        let found = || kind(self.claims.get("iat"));
        self.claims.date("iat").ok().flatten().ok_or_else(|| failure("iat", expected, found()))
    }
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
