use std::time::SystemTime;

use serde_json::{Value, json};

use super::*;
use crate::{
    BoxFuture,
    confirmation::Checkable,
    crypto::tests::{BACKENDS, jwks, token},
    jose::{Algorithm, JwkSet},
    jwt::Profile,
    keys::{KeysUnavailable, RefetchReason},
    refusal::ErrorKind,
    scope::ExactScopes,
    token::claims::ClaimNames,
};

const NOW: Duration = Duration::from_secs(1_700_000_000);

/// A source that has these keys or none, and must not be asked for others: that is for the caller to do.
#[derive(Debug)]
struct CachedKeys(Option<Snapshot>);

impl KeySource for CachedKeys {
    fn snapshot(&self) -> Option<Snapshot> {
        self.0.clone()
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        panic!("asked for newer keys")
    }
}

fn keys(key_ids: &[&str]) -> Arc<KeySet> {
    Arc::new(JwkSet::from_json(&jwks(key_ids)).unwrap().prepare(Algorithm::DEFAULT, BACKENDS[0]))
}

fn verifier(keys: Option<Arc<KeySet>>) -> Arc<JwtVerifier> {
    verifier_by(CachedKeys(keys.map(Snapshot::authoritative)))
}

fn verifier_by(keys: CachedKeys) -> Arc<JwtVerifier> {
    let validation = JwtValidation {
        issuer: "https://as.example".into(),
        audiences: ["api"].into_iter().collect(),
        audience_waived: false,
        authorized_parties: None,
        algorithms: Algorithm::DEFAULT.into(),
        profile: Profile::rfc9068(),
        grammar: Arc::new(ExactScopes),
        leeway: Duration::ZERO,
        max_age: None,
        confirmations: Checkable::default(),
    };
    Arc::new(JwtVerifier::new(validation, Arc::new(keys)))
}

fn header() -> Value {
    json!({ "alg": "ES256", "typ": "at+jwt", "kid": "a-es256" })
}

fn claims() -> Value {
    json!({
        "iss": "https://as.example",
        "aud": ["api", "other"],
        "sub": "alice",
        "client_id": "app",
        "iat": NOW.as_secs() - 10,
        "nbf": NOW.as_secs() - 9,
        "exp": NOW.as_secs() + 10,
        "jti": "1",
        "scope": "write read",
        "auth_time": NOW.as_secs() - 20,
        "acr": "high",
        "amr": ["pwd", "otp"],
        "name": "Alice",
    })
}

fn good_token() -> String {
    token("a-es256", &header(), &claims())
}

fn verify(
    verifier: &Arc<JwtVerifier>,
    token: &str,
    keys: Option<&Arc<KeySet>>,
) -> Result<Option<VerifiedToken>, Error> {
    Ok(match verdict(verifier, token, keys)? {
        JwtVerification::Valid(token) => Some(token),
        JwtVerification::KeyMissing { .. } => None,
    })
}

fn verdict(verifier: &Arc<JwtVerifier>, token: &str, keys: Option<&Arc<KeySet>>) -> Result<JwtVerification, Error> {
    let mut names = ClaimNames::default();
    names.add(verifier.validation.profile.claim_names());
    let (mut buffers, mut claims) = (JwtBuffers::new(), UnverifiedClaims::default());
    let jwt = DecodedJwt::decode(token, &mut buffers, &mut claims, &names)?;
    verifier.verify(&jwt, NOW, keys, IssuerIndex::Named(0), &Trace::OFF)
}

#[test]
fn a_good_token_is_vouched_for_with_all_that_it_says() {
    let token = verify(&verifier(Some(keys(&["a-es256"]))), &good_token(), None).unwrap().unwrap();
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(token.issuer(), "https://as.example");
    assert_eq!((token.subject(), token.client_id(), token.token_id()), (Some("alice"), Some("app"), Some("1")));
    assert_eq!(token.audience().collect::<Vec<_>>(), ["api", "other"]);
    assert_eq!(token.scope().to_string(), "read write");
    assert_eq!(token.expires_at(), Some(at(NOW.as_secs() + 10)));
    assert_eq!(token.not_before(), Some(at(NOW.as_secs() - 9)));
    assert_eq!(token.issued_at(), Some(at(NOW.as_secs() - 10)));
    assert_eq!(token.authentication_time(), Some(at(NOW.as_secs() - 20)));
    assert_eq!(token.authentication_context(), Some("high"));
    assert_eq!(token.authentication_methods().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(token.claims_as::<Value>().unwrap()["name"], "Alice");
}

#[test]
fn a_token_is_judged_by_the_keys_it_is_to_be_judged_by() {
    let verifier = verifier(Some(keys(&["b-es256"])));
    let newer = keys(&["a-es256"]);
    assert!(verify(&verifier, &good_token(), None).unwrap().is_none(), "the key is not at hand");
    assert!(verify(&verifier, &good_token(), Some(&newer)).unwrap().is_some());
    let error = verify(&verifier, &good_token(), Some(&keys(&["b-es256"]))).unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownKey, "there are no newer keys");
}

#[test]
fn alg_3_a_key_cached_for_another_algorithm_is_one_that_may_have_been_replaced() {
    let mut header = header();
    header["alg"] = json!("RS256");
    let token = token("a-rs256", &header, &claims());
    let keys = || keys(&["a-es256", "a-es384"]);
    let tentative = verifier_by(CachedKeys(Some(Snapshot::tentative(keys()))));
    assert!(matches!(verdict(&tentative, &token, None), Ok(JwtVerification::KeyMissing { is_mismatch: true })));
    for (verifier, newer) in [(tentative, Some(keys())), (verifier(Some(keys())), None)] {
        assert_eq!(verdict(&verifier, &token, newer.as_ref()).err().unwrap().reason(), Reason::AlgorithmNotAllowed);
    }
}

#[test]
fn where_there_will_be_no_other_keys_none_are_asked_for() {
    let fixed = |keys| verifier_by(CachedKeys(Some(Snapshot::fixed(keys))));
    assert!(verify(&fixed(keys(&["a-es256"])), &good_token(), None).unwrap().is_some());
    let error = verify(&fixed(keys(&["b-es256"])), &good_token(), None).unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownKey);
}

#[test]
fn without_any_keys_cached_nothing_is_decided() {
    assert!(verify(&verifier(None), &good_token(), None).unwrap().is_none());
}

#[test]
fn a_signature_that_the_named_key_did_not_make_is_refused() {
    let token = token("b-es256", &header(), &claims());
    for newer in [None, Some(keys(&["a-es256"]))] {
        let error = verify(&verifier(Some(keys(&["a-es256"]))), &token, newer.as_ref()).unwrap_err();
        assert_eq!((error.reason(), error.kind()), (Reason::InvalidSignature, ErrorKind::InvalidToken));
    }
}

#[test]
fn changed_claims_are_refused() {
    let mut root = claims();
    root["sub"] = json!("root");
    let (good, root) = (good_token(), token("a-es256", &header(), &root));
    let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let forged = format!("{header}.{}.{signature}", root.split('.').nth(1).unwrap());
    let error = verify(&verifier(Some(keys(&["a-es256"]))), &forged, None).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidSignature);
}

#[test]
fn bad_claims_are_refused_whether_or_not_the_key_is_known() {
    let mut expired = claims();
    expired["exp"] = json!(NOW.as_secs());
    let token = token("a-es256", &header(), &expired);
    for cached in [None, Some(keys(&["a-es256"])), Some(keys(&["b-es256"]))] {
        assert_eq!(verify(&verifier(cached), &token, None).unwrap_err().reason(), Reason::Expired);
    }
}

#[test]
fn a_signature_that_is_not_base64url_is_malformed_whether_or_not_there_are_keys() {
    let token = format!("{}=", good_token());
    for cached in [None, Some(keys(&["a-es256"]))] {
        assert_eq!(verify(&verifier(cached), &token, None).unwrap_err().reason(), Reason::MalformedToken);
    }
}
