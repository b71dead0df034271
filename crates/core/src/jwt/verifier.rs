use std::{
    ptr,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::{Profile, checks::CheckedClaims};
use crate::{
    jose::{Algorithm, Buffer, Compact, Header, KeySet, SignatureCheck},
    keys::{KeySource, Snapshot},
    refusal::{Error, FailedCheck, Reason},
    request::credentials,
    scope::ScopeGrammar,
    token::{
        VerifiedToken,
        claims::{UnverifiedClaims, checks::AllowedValues},
        verified::{IssuerContext, TokenParts},
    },
};

/// What an issuer's tokens are held to.
#[derive(Debug)]
pub(crate) struct JwtValidation {
    pub(crate) issuer: Arc<str>,
    /// Never empty.
    pub(crate) audiences: AllowedValues,
    /// Whether a token may name no audience. Then there is a list of authorized parties.
    pub(crate) audience_waived: bool,
    pub(crate) authorized_parties: Option<AllowedValues>,
    pub(crate) algorithms: Arc<[Algorithm]>,
    pub(crate) profile: Profile,
    pub(crate) grammar: Arc<dyn ScopeGrammar>,
    pub(crate) leeway: Duration,
    pub(crate) max_age: Option<Duration>,
}

/// A JWT, taken apart and decoded. Nothing about it has been verified.
pub(crate) struct Unverified<'t> {
    compact: Compact<'t>,
    header: &'t [u8],
    payload: &'t [u8],
}

/// Where the header and the claims of a JWT are decoded to. Those of most tokens fit in.
pub(crate) struct Decoded {
    header: Buffer<512>,
    payload: Buffer<2048>,
}

impl Decoded {
    pub(crate) const fn new() -> Self {
        Self { header: Buffer::new(), payload: Buffer::new() }
    }
}

impl<'t> Unverified<'t> {
    /// Splits and decodes a compact JWS.
    pub(crate) fn decode(token: &'t str, decoded: &'t mut Decoded) -> Result<Self, Reason> {
        let compact = Compact::parse(token)?;
        let (header, payload) = (compact.header(&mut decoded.header)?, compact.payload(&mut decoded.payload)?);
        Ok(Self { compact, header, payload })
    }

    pub(crate) fn header(&self) -> Result<Header<'t>, Reason> {
        Header::parse(self.header)
    }

    pub(crate) fn payload(&self) -> &'t [u8] {
        self.payload
    }

    /// Refuses what no verifier would take, whatever its keys: a token that says of itself that it is unsigned, in any
    /// spelling, and one whose signature is not the one encoding of some bytes. For those whose issuer checks the rest.
    pub(crate) fn check_form(&self, header: &Header<'_>) -> Result<(), Error> {
        if header.algorithm.eq_ignore_ascii_case("none") {
            return Err(FailedCheck::new(Reason::AlgorithmNotAllowed, "alg", "a signature", &*header.algorithm).into());
        }
        self.signature(&mut Buffer::new()).map(drop)
    }

    fn signature<'b>(&self, buffer: &'b mut Buffer<SIGNATURE>) -> Result<&'b [u8], Error> {
        self.compact
            .signature(buffer)
            .map_err(|reason| if self.compact.is_padded() { credentials::padded(reason) } else { reason.into() })
    }
}

/// The length of an RSA signature by a key of 4096 bits. Longer ones take memory of their own.
const SIGNATURE: usize = 512;

/// Judges the JWT access tokens of one issuer.
#[derive(Debug)]
pub(crate) struct JwtVerifier {
    pub(crate) validation: JwtValidation,
    pub(crate) keys: Arc<dyn KeySource>,
    /// That of the tokens that the newest keys verified.
    issuer_context: ArcSwapOption<IssuerContext>,
}

/// Where an issuer is found among those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IssuerIndex {
    /// It was named by itself, and has this number.
    Named(usize),
    /// It is one of the tenants of the group of this number.
    Tenant(usize),
}

/// What a signature was verified by, and what has to stay as it was for the verdict to stand.
///
/// A token has these for as long as a handler keeps it, so they keep no verifier alive: its keys would be fetched long after
/// the configuration was replaced. Nor do they keep keys that were replaced.
pub(crate) struct VerifiedBy {
    pub(crate) keys: Weak<KeySet>,
    pub(crate) issuer_index: IssuerIndex,
    pub(crate) verifier: Weak<JwtVerifier>,
}

/// What a verifier says of a token that is not bad.
pub(crate) enum JwtVerification {
    Valid(VerifiedToken),
    /// Nothing is wrong with it, but the key that would tell is not at hand.
    KeyMissing {
        /// Whether a key of the name that the token gives is, and may have been replaced.
        is_mismatch: bool,
    },
}

impl JwtVerifier {
    pub(crate) fn new(validation: JwtValidation, keys: Arc<dyn KeySource>) -> Self {
        Self { validation, keys, issuer_context: ArcSwapOption::empty() }
    }

    /// Judges `token`: first everything that costs little, then the signature.
    ///
    /// `keys` are the keys to go by; without them, those at hand are asked for. `issuer_index` is where the issuer was found.
    pub(crate) fn verify(
        self: &Arc<Self>,
        token: &Unverified<'_>,
        header: &Header<'_>,
        claims: &UnverifiedClaims<'_>,
        now: Duration,
        keys: Option<&Arc<KeySet>>,
        issuer_index: IssuerIndex,
    ) -> Result<JwtVerification, Error> {
        let claims_checked = self.validation.check(header, claims, now)?;
        let mut signature = Buffer::<SIGNATURE>::new();
        let signature = token.signature(&mut signature)?;
        let snapshot = if keys.is_none() { self.keys.snapshot() } else { None };
        let (keys, is_final) = match (keys, &snapshot) {
            (Some(keys), _) => (keys, true),
            (None, Some(Snapshot { keys, is_authoritative, .. })) => (keys, *is_authoritative),
            (None, None) => return Ok(JwtVerification::KeyMissing { is_mismatch: false }),
        };
        let key_id = header.key_id.as_deref();
        match keys.verify(claims_checked.algorithm, key_id, token.compact.signing_input(), signature) {
            SignatureCheck::Valid => {
                let issuer_context = self.issuer_context(keys, issuer_index);
                Ok(JwtVerification::Valid(vouch(issuer_context, claims_checked, claims.text())))
            }
            SignatureCheck::Invalid if is_final => Err(Reason::InvalidSignature.into()),
            SignatureCheck::WrongAlgorithm if is_final => Err(keys.no_key(claims_checked.algorithm, key_id)),
            SignatureCheck::Invalid | SignatureCheck::WrongAlgorithm => {
                Ok(JwtVerification::KeyMissing { is_mismatch: key_id.is_some() })
            }
            SignatureCheck::UnknownKey if snapshot.as_ref().is_some_and(|snapshot| !snapshot.is_final) => {
                Ok(JwtVerification::KeyMissing { is_mismatch: false })
            }
            SignatureCheck::UnknownKey => Err(keys.no_key(claims_checked.algorithm, key_id)),
        }
    }

    /// The issuer_context of the tokens that these keys verify.
    fn issuer_context(self: &Arc<Self>, keys: &Arc<KeySet>, issuer_index: IssuerIndex) -> Arc<IssuerContext> {
        let newest = self.issuer_context.load();
        let is_of = |issuer_context: &&Arc<IssuerContext>| {
            issuer_context.verified_by.as_ref().is_some_and(|verified_by| {
                ptr::eq(verified_by.keys.as_ptr(), Arc::as_ptr(keys)) && verified_by.issuer_index == issuer_index
            })
        };
        if let Some(issuer_context) = newest.as_ref().filter(is_of) {
            return Arc::clone(issuer_context);
        }
        let JwtValidation { leeway, max_age, .. } = self.validation;
        let verified_by = VerifiedBy { keys: Arc::downgrade(keys), issuer_index, verifier: Arc::downgrade(self) };
        let (issuer, grammar) = (Arc::clone(&self.validation.issuer), Arc::clone(&self.validation.grammar));
        let issuer_context =
            Arc::new(IssuerContext { issuer, grammar, leeway, max_age, verified_by: Some(verified_by) });
        self.issuer_context.store(Some(Arc::clone(&issuer_context)));
        issuer_context
    }
}

fn vouch(issuer_context: Arc<IssuerContext>, token: CheckedClaims<'_>, claims: &str) -> VerifiedToken {
    VerifiedToken::from_checked(TokenParts {
        issuer_context,
        subject: token.subject,
        client_id: token.client_id,
        audience: token.audience,
        scope: token.scope.read(),
        expires_at: Some(token.expires_at),
        not_before: token.not_before,
        issued_at: token.issued_at,
        token_id: token.token_id,
        authentication_time: token.authentication_time,
        authentication_context: token.authentication_context,
        authentication_methods: token.authentication_methods,
        claims,
    })
}

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        BoxFuture,
        crypto::tests::{BACKENDS, jwks, token},
        jose::JwkSet,
        keys::{KeysUnavailable, RefetchReason},
        refusal::ErrorKind,
        scope::ExactScopes,
        token::claims::ClaimNames,
    };

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    /// A source that has these keys or none, and must not be asked for others: that is for the caller to do.
    #[derive(Debug)]
    struct AtHand(Option<Snapshot>);

    impl KeySource for AtHand {
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
        verifier_by(AtHand(keys.map(Snapshot::authoritative)))
    }

    fn verifier_by(keys: AtHand) -> Arc<JwtVerifier> {
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
        let mut decoded = Decoded::new();
        let unverified = Unverified::decode(token, &mut decoded)?;
        let (header, claims) = (unverified.header()?, UnverifiedClaims::parse(unverified.payload(), &names)?);
        verifier.verify(&unverified, &header, &claims, NOW, keys, IssuerIndex::Named(0))
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
    fn alg_3_a_key_at_hand_for_another_algorithm_is_one_that_may_have_been_replaced() {
        let mut header = header();
        header["alg"] = json!("RS256");
        let token = token("a-rs256", &header, &claims());
        let keys = || keys(&["a-es256", "a-es384"]);
        let tentative = verifier_by(AtHand(Some(Snapshot::tentative(keys()))));
        assert!(matches!(verdict(&tentative, &token, None), Ok(JwtVerification::KeyMissing { is_mismatch: true })));
        for (verifier, newer) in [(tentative, Some(keys())), (verifier(Some(keys())), None)] {
            assert_eq!(verdict(&verifier, &token, newer.as_ref()).err().unwrap().reason(), Reason::AlgorithmNotAllowed);
        }
    }

    #[test]
    fn where_there_will_be_no_other_keys_none_are_asked_for() {
        let fixed = |keys| verifier_by(AtHand(Some(Snapshot::fixed(keys))));
        assert!(verify(&fixed(keys(&["a-es256"])), &good_token(), None).unwrap().is_some());
        let error = verify(&fixed(keys(&["b-es256"])), &good_token(), None).unwrap_err();
        assert_eq!(error.reason(), Reason::UnknownKey);
    }

    #[test]
    fn without_any_keys_at_hand_nothing_is_decided() {
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
        for at_hand in [None, Some(keys(&["a-es256"])), Some(keys(&["b-es256"]))] {
            assert_eq!(verify(&verifier(at_hand), &token, None).unwrap_err().reason(), Reason::Expired);
        }
    }

    #[test]
    fn a_signature_that_is_not_base64url_is_malformed_whether_or_not_there_are_keys() {
        let token = format!("{}=", good_token());
        for at_hand in [None, Some(keys(&["a-es256"]))] {
            assert_eq!(verify(&verifier(at_hand), &token, None).unwrap_err().reason(), Reason::MalformedToken);
        }
    }
}
