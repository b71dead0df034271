use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::{
    claims::{
        ClaimNames, UnverifiedClaims,
        checks::{self, OneOf},
    },
    inquiry::{CannotTell, Fault},
    jwks::{KeySource, MissingKey},
    jws::{Algorithm, Buffer, Compact, Header, KeySet, Verification},
};

/// How old a signed answer may be, besides the leeway. It is made while we wait for it.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Opens signed answers (RFC 9701).
pub(crate) struct SignedAnswers {
    pub(crate) keys: Arc<dyn KeySource>,
    pub(crate) algorithms: Vec<Algorithm>,
    /// What we are called besides our client identifier.
    pub(crate) audiences: OneOf,
    pub(crate) leeway: Duration,
}

/// The parts of a signed answer. Nothing about it has been verified.
struct Opened<'a> {
    compact: Compact<'a>,
    algorithm: Algorithm,
    key_id: Option<String>,
    signature: Vec<u8>,
    payload: Vec<u8>,
}

impl SignedAnswers {
    /// The introspection response inside of a signed answer that is the issuer's, for us, and of now (RFC 9701 §5).
    ///
    /// What does not verify is no answer, and says nothing about the token.
    pub(super) async fn open(
        &self,
        answer: &[u8],
        issuer: &str,
        client_id: Option<&str>,
        now: SystemTime,
    ) -> Result<Bytes, CannotTell> {
        let opened = self.parse(answer)?;
        let response = self.response(&opened.payload, issuer, client_id, now)?;
        self.verify(&opened).await?;
        Ok(response)
    }

    fn parse<'a>(&self, answer: &'a [u8]) -> Result<Opened<'a>, CannotTell> {
        let malformed = |_| no_answer("is not a well-formed JWS");
        let text = std::str::from_utf8(answer).map_err(|_| no_answer("is not text"))?.trim();
        let compact = Compact::parse(text).map_err(malformed)?;
        let mut buffer = Buffer::<512>::new();
        let header = Header::parse(compact.header(&mut buffer).map_err(malformed)?).map_err(malformed)?;
        let is_type = header.token_type.as_deref().is_some_and(|name| {
            let name = name.split_once('/').filter(|(kind, _)| kind.eq_ignore_ascii_case("application"));
            let whole = header.token_type.as_deref().unwrap_or_default();
            name.map_or(whole, |(_, rest)| rest).eq_ignore_ascii_case("token-introspection+jwt")
        });
        if !is_type {
            return Err(no_answer("is not of the type token-introspection+jwt"));
        }
        let algorithm = Algorithm::from_name(&header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| no_answer("is signed with an algorithm that is not accepted"))?;
        // An answer is kept while its issuer's keys are fetched.
        let payload = compact.payload(&mut Buffer::<0>::new()).map_err(malformed)?.to_vec();
        let signature = compact.signature(&mut Buffer::<512>::new()).map_err(malformed)?.to_vec();
        let key_id = header.key_id.as_deref().map(str::to_owned);
        Ok(Opened { compact, algorithm, key_id, signature, payload })
    }

    fn response(
        &self,
        payload: &[u8],
        issuer: &str,
        client_id: Option<&str>,
        now: SystemTime,
    ) -> Result<Bytes, CannotTell> {
        let claims = UnverifiedClaims::parse(payload, &ClaimNames::default())
            .map_err(|_| no_answer("has no JSON object inside"))?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();

        if claims.string("iss", "iss").ok().flatten() != Some(issuer) {
            return Err(no_answer("is not by the issuer that was asked"));
        }
        let audience = claims.audience().unwrap_or_default();
        let is_ours = |name: &str| client_id == Some(name) || self.audiences.iter().any(|ours| **ours == *name);
        if !audience.iter().any(is_ours) {
            return Err(no_answer("is not for us"));
        }
        let made_at = checks::issued_at(&claims, Some(MAX_AGE), now, self.leeway);
        if made_at.is_err() || checks::expiry(&claims, now, self.leeway).is_err() {
            return Err(no_answer("is not of now"));
        }

        // RFC 9701 §5: what is said of the token is in this member, and whatever lies beside it is not looked at.
        let mut members: Map<String, Json> =
            serde_json::from_slice(payload).map_err(|_| no_answer("has no JSON object inside"))?;
        match members.remove("token_introspection") {
            Some(response @ Json::Object(_)) => Ok(response.to_string().into()),
            _ => Err(no_answer("has no object `token_introspection`")),
        }
    }

    async fn verify(&self, opened: &Opened<'_>) -> Result<(), CannotTell> {
        let verify = |keys: &KeySet| {
            keys.verify(opened.algorithm, opened.key_id.as_deref(), opened.compact.signing_input(), &opened.signature)
        };
        let is_held = match self.keys.snapshot().map(|snapshot| verify(&snapshot.keys)) {
            Some(Verification::Valid) => return Ok(()),
            Some(Verification::Invalid | Verification::WrongAlgorithm) => opened.key_id.is_some(),
            Some(Verification::UnknownKey) | None => false,
        };
        let keys = self.keys.refetch(MissingKey::new(opened.key_id.as_deref(), is_held)).await;
        match keys.map(|keys| (verify(&keys), keys)) {
            Ok((Verification::Valid, _)) => Ok(()),
            Ok((Verification::Invalid, _)) => Err(no_answer("is not signed by a key of the issuer")),
            Ok((_, keys)) => {
                let refusal = keys.no_key(opened.algorithm, opened.key_id.as_deref());
                let failures: Vec<String> = refusal.failures().iter().map(ToString::to_string).collect();
                Err(no_answer(format!("is not signed by a key of the issuer: {}", failures.join("; "))))
            }
            Err(error) => Err(CannotTell::new(Fault::Theirs, error)),
        }
    }
}

fn no_answer(fault: impl Into<Cow<'static, str>>) -> CannotTell {
    CannotTell::new(Fault::Theirs, format!("the signed answer {}", fault.into()))
}
