use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::{
    jose::{Algorithm, Buffer, Compact, Header, KeySet, SignatureCheck},
    keys::{KeySource, RefetchReason},
    online::{Unavailable, UnavailableKind},
    token::claims::{
        ClaimNames, UnverifiedClaims,
        checks::{self, AllowedValues},
    },
};

/// How old a signed response may be, besides the leeway. The issuer signs it while this service waits, so this covers the
/// transfer.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Verifies signed introspection responses (RFC 9701).
pub(crate) struct SignedResponses {
    pub(crate) keys: Arc<dyn KeySource>,
    pub(crate) algorithms: Vec<Algorithm>,
    /// The accepted audiences besides the client identifier.
    pub(crate) audiences: AllowedValues,
    pub(crate) leeway: Duration,
}

/// The parts of a signed response. Nothing about it has been verified.
struct Opened<'a> {
    compact: Compact<'a>,
    algorithm: Algorithm,
    key_id: Option<String>,
    signature: Vec<u8>,
    payload: Vec<u8>,
}

impl SignedResponses {
    /// The introspection response inside of a signed one, if it is signed by the issuer, for this service, and current (RFC
    /// 9701 §5).
    ///
    /// A response that does not verify is an outage and says nothing about the token.
    pub(super) async fn open(
        &self,
        answer: &[u8],
        issuer: &str,
        client_id: Option<&str>,
        now: SystemTime,
    ) -> Result<Bytes, Unavailable> {
        let opened = self.parse(answer)?;
        let response = self.response(&opened.payload, issuer, client_id, now)?;
        self.verify(&opened).await?;
        Ok(response)
    }

    fn parse<'a>(&self, answer: &'a [u8]) -> Result<Opened<'a>, Unavailable> {
        let malformed = |_| invalid_response("is not a well-formed JWS");
        let text = std::str::from_utf8(answer).map_err(|_| invalid_response("is not text"))?.trim();
        let compact = Compact::parse(text).map_err(malformed)?;
        let mut buffer = Buffer::<512>::new();
        let header = Header::parse(compact.header(&mut buffer).map_err(malformed)?).map_err(malformed)?;
        let is_type = header.token_type.as_deref().is_some_and(|name| {
            let name = name.split_once('/').filter(|(kind, _)| kind.eq_ignore_ascii_case("application"));
            let whole = header.token_type.as_deref().unwrap_or_default();
            name.map_or(whole, |(_, rest)| rest).eq_ignore_ascii_case("token-introspection+jwt")
        });
        // IJWT-3: the type, and below the issuer, the audience, the age and the signature.
        if !is_type {
            return Err(invalid_response("is not of the type token-introspection+jwt"));
        }
        let algorithm = Algorithm::from_name(&header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| invalid_response("is signed with an algorithm that is not accepted"))?;
        // Copied, since the issuer's keys may have to be fetched first.
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
    ) -> Result<Bytes, Unavailable> {
        let claims = UnverifiedClaims::parse(payload, &ClaimNames::default())
            .map_err(|_| invalid_response("contains no JSON object"))?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();

        // IJWT-3: made by this issuer, for this service, and lately.
        if claims.string("iss", "iss").ok().flatten() != Some(issuer) {
            return Err(invalid_response("has another issuer"));
        }
        let audience = claims.audience().unwrap_or_default();
        let is_ours = |name: &str| client_id == Some(name) || self.audiences.iter().any(|ours| **ours == *name);
        if !audience.iter().any(is_ours) {
            return Err(invalid_response("has another audience"));
        }
        let made_at = checks::issued_at(&claims, Some(MAX_AGE), now, self.leeway);
        if made_at.is_err() || checks::expiry(&claims, now, self.leeway).is_err() {
            return Err(invalid_response("is not current"));
        }

        // RFC 9701 §5 (IJWT-4): only this member describes the token. Members beside it are ignored.
        let mut members: Map<String, Json> =
            serde_json::from_slice(payload).map_err(|_| invalid_response("contains no JSON object"))?;
        match members.remove("token_introspection") {
            Some(response @ Json::Object(_)) => Ok(response.to_string().into()),
            _ => Err(invalid_response("has no object `token_introspection`")),
        }
    }

    async fn verify(&self, opened: &Opened<'_>) -> Result<(), Unavailable> {
        let verify = |keys: &KeySet| {
            keys.verify(opened.algorithm, opened.key_id.as_deref(), opened.compact.signing_input(), &opened.signature)
        };
        let is_mismatch = match self.keys.snapshot().map(|snapshot| verify(&snapshot.keys)) {
            Some(SignatureCheck::Valid) => return Ok(()),
            Some(SignatureCheck::Invalid | SignatureCheck::WrongAlgorithm) => opened.key_id.is_some(),
            Some(SignatureCheck::UnknownKey) | None => false,
        };
        let keys = self.keys.refetch(RefetchReason::of_key(opened.key_id.as_deref(), is_mismatch)).await;
        match keys.map(|keys| (verify(&keys), keys)) {
            Ok((SignatureCheck::Valid, _)) => Ok(()),
            Ok((SignatureCheck::Invalid, _)) => Err(invalid_response("is not signed by a key of the issuer")),
            Ok((_, keys)) => {
                let refusal = keys.no_key(opened.algorithm, opened.key_id.as_deref());
                let failures: Vec<String> = refusal.failed_checks().iter().map(ToString::to_string).collect();
                Err(invalid_response(format!("is not signed by a key of the issuer: {}", failures.join("; "))))
            }
            Err(error) => Err(Unavailable::new(UnavailableKind::Upstream, error)),
        }
    }
}

fn invalid_response(fault: impl Into<Cow<'static, str>>) -> Unavailable {
    Unavailable::new(UnavailableKind::Upstream, format!("the signed response {}", fault.into()))
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        BoxFuture,
        crypto::tests::{BACKENDS, jwks, token},
        jose::JwkSet,
        keys::{KeysUnavailable, Snapshot},
    };

    const ISSUER: &str = "https://as.example";
    const NOW: u64 = 1_700_000_000;

    /// The current keys, those that a refetch adds, and the recorded refetches.
    #[derive(Debug)]
    struct Keys {
        current: Option<Arc<KeySet>>,
        later: Result<Arc<KeySet>, KeysUnavailable>,
        asked: Mutex<Vec<(Option<String>, bool)>>,
    }

    impl KeySource for Keys {
        fn snapshot(&self) -> Option<Snapshot> {
            self.current.clone().map(Snapshot::authoritative)
        }

        fn refetch(&self, reason: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
            self.asked
                .lock()
                .unwrap()
                .push((reason.key_id().map(str::to_owned), matches!(reason, RefetchReason::SignatureMismatch(_))));
            let later = self.later.clone();
            Box::pin(async move { later })
        }
    }

    fn set(key_ids: &[&str]) -> Arc<KeySet> {
        Arc::new(JwkSet::from_json(&jwks(key_ids)).unwrap().prepare(Algorithm::DEFAULT, BACKENDS[0]))
    }

    fn keys(current: &[&str], later: &[&str]) -> Arc<Keys> {
        let current = Some(set(current)).filter(|_| !current.is_empty());
        Arc::new(Keys { current, later: Ok(set(later)), asked: Mutex::default() })
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "typ": "token-introspection+jwt", "kid": "a-es256" })
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": ["other", "client"], "iat": NOW,
            "token_introspection": { "active": true, "sub": "alice" },
        })
    }

    /// `value` with members changed; null removes one.
    fn with(mut value: Value, changes: Value) -> Value {
        for (name, change) in changes.as_object().unwrap() {
            match change {
                Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
                change => value[name] = change.clone(),
            }
        }
        value
    }

    /// The response inside of the signed one, or the error.
    async fn opened(keys: &Arc<Keys>, answer: &str) -> Result<Value, String> {
        let answers = SignedResponses {
            keys: Arc::clone(keys) as Arc<dyn KeySource>,
            algorithms: vec![Algorithm::Es256],
            audiences: ["https://api.example"].into_iter().collect(),
            leeway: Duration::from_secs(5),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        match answers.open(answer.as_bytes(), ISSUER, Some("client"), now).await {
            Ok(response) => Ok(serde_json::from_slice(&response).unwrap()),
            Err(unavailable) => {
                assert!(format!("{unavailable:?}").contains("Upstream"), "{unavailable:?}");
                Err(unavailable.to_string())
            }
        }
    }

    async fn signed(header: Value, claims: Value) -> Result<Value, String> {
        let keys = keys(&["a-es256", "a-es384"], &["a-es256"]);
        let opened = opened(&keys, &token("a-es256", &header, &claims)).await;
        assert!(keys.asked.lock().unwrap().is_empty(), "its key is cached");
        opened
    }

    #[tokio::test]
    async fn ijwt_4_the_response_is_the_member_and_nothing_beside_it() {
        let response = json!({ "active": true, "sub": "alice" });
        let beside = with(claims(), json!({ "active": false, "sub": "bob" }));
        assert_eq!(signed(header(), beside).await, Ok(response));
        for none in [json!(null), json!("x"), json!([{ "active": true }]), json!(true)] {
            let found = signed(header(), with(claims(), json!({ "token_introspection": none }))).await;
            assert_eq!(found, Err("the signed response has no object `token_introspection`".to_owned()));
        }
    }

    #[tokio::test]
    async fn ijwt_3_each_part_of_a_signed_answer_is_checked() {
        let type_fault = "is not of the type token-introspection+jwt";
        for typ in [json!(null), json!("JWT"), json!("at+jwt"), json!("jwt/token-introspection+jwt"), json!("")] {
            let found = signed(with(header(), json!({ "typ": typ })), claims()).await;
            assert_eq!(found, Err(format!("the signed response {type_fault}")), "{typ}");
        }
        for typ in
            ["Token-Introspection+JWT", "application/token-introspection+jwt", "APPLICATION/token-introspection+jwt"]
        {
            assert!(signed(with(header(), json!({ "typ": typ })), claims()).await.is_ok(), "{typ}");
        }
        for (changes, fault) in [
            (json!({ "iss": "https://as.example/" }), "has another issuer"),
            (json!({ "iss": null }), "has another issuer"),
            (json!({ "iss": [ISSUER] }), "has another issuer"),
            (json!({ "aud": "other" }), "has another audience"),
            (json!({ "aud": null }), "has another audience"),
            (json!({ "aud": [] }), "has another audience"),
            (json!({ "aud": 1 }), "has another audience"),
            (json!({ "iat": null }), "is not current"),
            (json!({ "iat": NOW - 66 }), "is not current"),
            (json!({ "iat": NOW + 6 }), "is not current"),
            (json!({ "exp": NOW - 5 }), "is not current"),
        ] {
            let found = signed(header(), with(claims(), changes.clone())).await;
            assert_eq!(found, Err(format!("the signed response {fault}")), "{changes}");
        }
        for changes in [
            json!({ "aud": "client" }),
            json!({ "aud": "https://api.example" }),
            json!({ "iat": NOW - 65 }),
            json!({ "iat": NOW + 5 }),
            json!({ "exp": NOW - 4 }),
        ] {
            assert!(signed(header(), with(claims(), changes.clone())).await.is_ok(), "{changes}");
        }
    }

    #[tokio::test]
    async fn ijwt_3_an_algorithm_that_is_not_accepted_is_not_run() {
        let keys = keys(&["a-es384"], &["a-es384"]);
        let by_es384 = with(header(), json!({ "alg": "ES384", "kid": "a-es384" }));
        let found = opened(&keys, &token("a-es384", &by_es384, &claims())).await;
        assert_eq!(found, Err("the signed response is signed with an algorithm that is not accepted".to_owned()));
        assert!(keys.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn ijwt_3_what_is_no_jws_is_invalid_response() {
        let keys = keys(&["a-es256"], &["a-es256"]);
        let good = token("a-es256", &header(), &claims());
        assert!(opened(&keys, &format!("\n{good} ")).await.is_ok(), "whitespace around it is accepted");
        for malformed in ["", "x", "a.b", "e30.e30.e30", &good[..good.len() - 1], &format!("{good}.")] {
            let found = opened(&keys, malformed).await.expect_err("it is not a JWS");
            assert!(found.starts_with("the signed response is not "), "{malformed}: {found}");
        }
        assert!(keys.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_missing_key_is_fetched_once_and_named() {
        let good = token("a-es256", &header(), &claims());
        let unnamed = token("a-es256", &with(header(), json!({ "kid": null })), &claims());
        let foreign = "the signed response is not signed by a key of the issuer";
        let named = || Some("a-es256".to_owned());
        // A response signed by a foreign key, in the issuer's name.
        let forged = token("b-es256", &header(), &claims());
        for (current, later, answer, is_good, asked) in [
            (&[][..], &["a-es256"][..], &good, true, (named(), false)),
            (&["a-es384"], &["a-es256"], &good, true, (named(), false)),
            (&["a-es384"], &["a-es384"], &good, false, (named(), false)),
            (&["a-es256"], &["a-es256"], &forged, false, (named(), true)),
            (&["b-es256"], &["a-es256"], &unnamed, true, (None, false)),
        ] {
            let keys = keys(current, later);
            let found = opened(&keys, answer).await;
            assert!(found.as_ref().err().is_none_or(|fault| fault.starts_with(foreign)), "{current:?}: {found:?}");
            assert_eq!(found.is_ok(), is_good, "{current:?}: {found:?}");
            assert_eq!(*keys.asked.lock().unwrap(), [asked], "{current:?}");
        }
        let gone = Keys { current: None, later: Err(KeysUnavailable::new("refused")), asked: Mutex::default() };
        assert_eq!(opened(&Arc::new(gone), &good).await, Err("the issuer's keys cannot be had".to_owned()));
    }
}
