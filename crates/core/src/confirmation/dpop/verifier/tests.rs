use std::{sync::Mutex, time::SystemTime};

use http::Method;
use serde_json::{Value, json};

use super::{target::PublicUrl, *};
use crate::{
    clock::SystemClock,
    crypto::tests::{BACKENDS, private_jwk, public_jwk, token},
    online::StoreError,
    request::Scheme,
};

const URL: &str = "https://api.example";

fn verifier() -> DpopVerifier {
    let url = PublicUrl::parse(URL).unwrap();
    DpopVerifier::new(Dpop::new(), PublicUrls::Named([url].into()), Arc::new(SystemClock))
}

/// The claims of a proof for the requests of [`check`], whose token has a digest of zeros.
fn claims() -> Value {
    let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({ "htm": "GET", "htu": URL, "ath": "A".repeat(43), "jti": "1", "iat": now })
}

fn proof(key_id: &str, algorithm: Algorithm) -> String {
    proof_with(key_id, algorithm, &public_jwk(key_id))
}

fn proof_with(key_id: &str, algorithm: Algorithm, jwk: &Value) -> String {
    token(key_id, &json!({ "typ": "dpop+jwt", "alg": algorithm.as_str(), "jwk": jwk }), &claims())
}

fn check(
    verifier: &DpopVerifier,
    proof: &str,
    bound_to: &Thumbprint,
    crypto: CryptoBackend,
) -> Result<GoodProof, Reason> {
    verifier.check(&evidence(proof, "/"), of_key(bound_to), crypto, &Trace::OFF).map_err(|error| error.reason())
}

/// A token with a digest of zeros, bound to this key.
fn of_key(key: &Thumbprint) -> BoundTo<'_> {
    BoundTo { key, token_digest: [0; 32] }
}

/// What a request for this path shows.
fn evidence(proof: &str, path: &str) -> Evidence {
    Evidence {
        scheme: Scheme::Dpop,
        method: Method::GET,
        resource: 0,
        target: path.parse().unwrap(),
        proof: ProofField::One(proof.try_into().unwrap()),
        token: None,
        certificate: Ok(None),
        earlier: None,
    }
}

/// The thumbprint of the key in a proof.
fn thumbprint(proof: &str, algorithm: Algorithm, crypto: CryptoBackend) -> Thumbprint {
    let mut buffers = ProofBuffers::new();
    let proof = DecodedProof::decode(proof.as_bytes(), &mut buffers, |_| None);
    let proof = proof.unwrap_or_else(|_| panic!("a proof"));
    proof.key(algorithm).unwrap_or_else(|_| panic!("a key")).thumbprint(crypto)
}

/// Flips a bit of the signature.
fn tampered(proof: &str) -> String {
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{input}.{first}{}", &signature[1..])
}

#[test]
fn dpop_7_the_keys_of_strangers_are_not_kept() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let algorithm = Algorithm::Es256;
        let (owner, stranger) = (proof("a-es256", algorithm), proof("b-es256", algorithm));
        let [owner_key, stranger_key] = [&owner, &stranger].map(|proof| thumbprint(proof, algorithm, crypto));
        let header = |proof: &str| proof.split('.').next().unwrap().to_owned();
        let is_known = |key, proof| verifier.known_keys.get(key, &header(proof)).is_some();

        assert!(matches!(check(&verifier, &stranger, &owner_key, crypto), Err(Reason::BindingMismatch)));
        assert!(matches!(check(&verifier, &tampered(&owner), &owner_key, crypto), Err(Reason::InvalidDpopProof)));
        assert!(!is_known(&stranger_key, &stranger) && !is_known(&owner_key, &owner));

        assert!(check(&verifier, &owner, &owner_key, crypto).is_ok());
        assert!(!is_known(&stranger_key, &stranger) && is_known(&owner_key, &owner));
    }
}

#[test]
fn dpop_6_the_proofs_of_a_known_key_are_checked_all_the_same() {
    for &crypto in BACKENDS {
        for (key_id, algorithm) in
            [("a-es256", Algorithm::Es256), ("a-ed25519", Algorithm::Ed25519), ("a-rsa-noalg", Algorithm::Rs256)]
        {
            let verifier = verifier();
            let good = proof(key_id, algorithm);
            let key = thumbprint(&good, algorithm, crypto);
            for _ in 0..2 {
                assert!(check(&verifier, &good, &key, crypto).is_ok(), "{key_id}");
                let refused = |proof: &str, key: &Thumbprint| check(&verifier, proof, key, crypto).err();
                assert_eq!(refused(&tampered(&good), &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let with_private_key = proof_with(key_id, algorithm, &private_jwk(key_id));
                assert_eq!(refused(&with_private_key, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let mut for_encryption = public_jwk(key_id);
                for_encryption["use"] = "enc".into();
                let for_encryption = proof_with(key_id, algorithm, &for_encryption);
                assert_eq!(refused(&for_encryption, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                let by_another = proof_with("b-es256", Algorithm::Es256, &public_jwk(key_id));
                assert_eq!(refused(&by_another, &key), Some(Reason::InvalidDpopProof), "{key_id}");
                // Known, and not the key of this token.
                assert_eq!(refused(&good, &[7; 32]), Some(Reason::BindingMismatch), "{key_id}");
            }
        }
    }
}

#[test]
fn dpop_6_an_rsa_key_may_change_its_algorithm() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let key = thumbprint(&proof("a-rsa-noalg", Algorithm::Rs256), Algorithm::Rs256, crypto);
        let private = private_jwk("a-rsa-noalg");
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Rs256, Algorithm::Ps256] {
            assert!(check(&verifier, &proof("a-rsa-noalg", algorithm), &key, crypto).is_ok(), "{algorithm}");
            // By the same key, with a header that was not checked yet.
            let unsafe_header = proof_with("a-rsa-noalg", algorithm, &private);
            assert!(check(&verifier, &unsafe_header, &key, crypto).is_err(), "{algorithm}");
        }
    }
}

#[test]
fn dpop_3_what_the_claims_say_is_checked_for_a_known_header_too() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let key = thumbprint(&proof("a-es256", Algorithm::Es256), Algorithm::Es256, crypto);
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") });
        let bad =
            [("htm", json!("POST")), ("htu", json!("https://other.example/")), ("ath", json!("B")), ("jti", json!(""))];
        for _ in 0..2 {
            assert!(check(&verifier, &proof("a-es256", Algorithm::Es256), &key, crypto).is_ok());
            for (claim, value) in bad.clone().into_iter().chain([("iat", json!(0)), ("nonce", json!(1))]) {
                let mut claims = claims();
                claims[claim] = value;
                let proof = token("a-es256", &header, &claims);
                assert_eq!(check(&verifier, &proof, &key, crypto).err(), Some(Reason::InvalidDpopProof), "{claim}");
            }
        }
    }
}

#[test]
fn dpop_4_a_header_with_another_type_or_key_is_not_that_of_a_known_key() {
    for &crypto in BACKENDS {
        let verifier = verifier();
        let good = proof("a-es256", Algorithm::Es256);
        let key = thumbprint(&good, Algorithm::Es256, crypto);
        assert!(check(&verifier, &good, &key, crypto).is_ok());
        for (parameter, value) in [("typ", json!("JWT")), ("jwk", private_jwk("a-es256")), ("crit", json!(["x"]))] {
            let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") });
            header[parameter] = value;
            let proof = token("a-es256", &header, &claims());
            assert_eq!(check(&verifier, &proof, &key, crypto).err(), Some(Reason::InvalidDpopProof), "{parameter}");
        }
        assert!(check(&verifier, &good, &key, crypto).is_ok());
    }
}

/// A clock that a test sets.
#[derive(Debug)]
struct SetClock(std::sync::Mutex<SystemTime>);

/// When a [`SetClock`] begins, in seconds since 1970.
const START: u64 = 1_800_000_000;

impl Default for SetClock {
    fn default() -> Self {
        Self(std::sync::Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(START)))
    }
}

impl SetClock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    fn step_back(&self, by: Duration) {
        *self.0.lock().unwrap() -= by;
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn verifier_by(clock: &Arc<SetClock>, settings: Dpop) -> DpopVerifier {
    let url = PublicUrl::parse(URL).unwrap();
    DpopVerifier::new(settings, PublicUrls::Named([url].into()), clock.clone())
}

/// A proof that was made so many seconds after the start of the clock.
fn proof_at(id: &str, seconds: u64) -> String {
    let mut claims = claims();
    claims["jti"] = id.into();
    claims["iat"] = (START + seconds).into();
    token("a-es256", &json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") }), &claims)
}

/// The outcome of a proof that is used up.
fn use_up(verifier: &DpopVerifier, good: GoodProof) -> Result<(), Reason> {
    verifier.use_up(good.used).map(|asking| assert!(asking.is_none())).map_err(|error| error.reason())
}

/// All threads of the process stand still for two seconds while one is between its reading of the clock and the used proofs.
#[test]
fn a_pause_of_the_process_is_no_step_of_its_clock() {
    let crypto = BACKENDS[0];
    let clock = Arc::new(SetClock::default());
    let verifier = verifier_by(&clock, Dpop::new());
    let key = thumbprint(&proof_at("x", 0), Algorithm::Es256, crypto);
    let checked = |proof: &str| check(&verifier, proof, &key, crypto);

    assert_eq!(use_up(&verifier, checked(&proof_at("earlier", 0)).unwrap()), Ok(()));
    let paused = checked(&proof_at("paused", 0)).unwrap();
    clock.advance(Duration::from_secs(2));
    // Of a client whose clock is ten seconds ahead.
    let other = checked(&proof_at("other", 12)).unwrap();
    assert_eq!(use_up(&verifier, other), Ok(()));
    let mut outcomes = vec![use_up(&verifier, paused)];
    for second in 2..16 {
        let good = checked(&proof_at(&format!("later {second}"), second)).unwrap();
        outcomes.push(use_up(&verifier, good));
        clock.advance(Duration::from_secs(1));
    }
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// What a verifier that knows headers says is what one that knows none says.
#[test]
fn dpop_6_a_known_header_changes_no_verdict() {
    use crate::crypto::tests::sign;
    use Algorithm::{Ed25519, Es256, Es384, Ps256, Rs256};
    use base64_simd::URL_SAFE_NO_PAD;
    for &crypto in BACKENDS {
        let warm = verifier();
        let keys = [
            ("a-es256", vec![Es256]),
            ("b-es256", vec![Es256]),
            ("a-es384", vec![Es384]),
            ("a-ed25519", vec![Ed25519]),
            ("a-rsa-noalg", vec![Rs256, Ps256]),
        ];
        let thumbprints: Vec<_> =
            keys.iter().map(|(id, list)| thumbprint(&proof(id, list[0]), list[0], crypto)).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 20).unwrap() % most
        };
        let (mut passed, mut known) = (0, 0);
        for round in 0..1000 {
            let mostly = |draw: &mut dyn FnMut(usize) -> usize, usual: usize, most: usize| {
                if draw(4) > 0 { usual } else { draw(most) }
            };
            let signer = draw(keys.len());
            let (signer_id, algorithms) = &keys[signer];
            let by = algorithms[draw(algorithms.len())];
            let shown = mostly(&mut draw, signer, keys.len());
            let bound = mostly(&mut draw, signer, keys.len());
            let named = if draw(5) > 0 { by } else { [Es256, Es384, Ed25519, Rs256, Ps256][draw(5)] };
            let mut header = json!({ "typ": "dpop+jwt", "alg": named.as_str(), "jwk": public_jwk(keys[shown].0) });
            match draw(20) {
                0 => header["typ"] = "JWT".into(),
                1 => header["typ"] = "application/DPoP+JWT".into(),
                2 => header["crit"] = json!(["b64"]),
                3 => header["jwk"] = private_jwk(keys[shown].0),
                4 => header["jwk"]["use"] = "enc".into(),
                5 => header["jwk"]["key_ops"] = json!(["sign"]),
                6 => header["kid"] = "1".into(),
                7 => header["alg"] = "none".into(),
                8 => header["alg"] = "HS256".into(),
                9 => header["b64"] = false.into(),
                10 => header["jwk"]["x"] = json!("AA"),
                _ => {}
            }
            let mut claims = claims();
            match draw(20) {
                0 => claims["htm"] = "get".into(),
                1 => claims["iat"] = 1.into(),
                2 => claims["ath"] = "B".into(),
                3 => claims["nonce"] = json!(null),
                _ => {}
            }
            let mut encoded = URL_SAFE_NO_PAD.encode_to_string(header.to_string());
            match draw(30) {
                0 => encoded.push('='),
                1 => encoded = encoded.to_ascii_lowercase(),
                2 => encoded.truncate(encoded.len() - 1),
                3 => encoded.insert(0, ' '),
                _ => {}
            }
            let input = format!("{encoded}.{}", URL_SAFE_NO_PAD.encode_to_string(claims.to_string()));
            let mut signature = sign(signer_id, by, input.as_bytes());
            if draw(8) == 0 {
                let place = draw(signature.len());
                signature[place] ^= 1 << draw(8);
            }
            let text = format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature));
            known += usize::from(warm.known_keys.get(&thumbprints[bound], &encoded).is_some());
            let warm_verdict = check(&warm, &text, &thumbprints[bound], crypto).map(drop);
            let cold = check(&verifier(), &text, &thumbprints[bound], crypto).map(drop);
            assert_eq!(warm_verdict, cold, "{round}: {header} {claims} signer {signer_id} bound {}", keys[bound].0);
            passed += usize::from(cold.is_ok());
        }
        assert!(passed > 100 && known > 100, "{passed} {known}");
    }
}

/// (r, n − s) is a signature of the same text as (r, s).
#[test]
fn dpop_11_another_encoding_of_the_signature_makes_no_other_proof() {
    use base64_simd::URL_SAFE_NO_PAD;
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    for &crypto in BACKENDS {
        let verifier = verifier();
        let good = proof("a-es256", Algorithm::Es256);
        let key = thumbprint(&good, Algorithm::Es256, crypto);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
        let mut borrow = 0_i32;
        for place in (0..32).rev() {
            let difference = i32::from(ORDER[place]) - i32::from(bytes[32 + place]) - borrow;
            borrow = i32::from(difference < 0);
            bytes[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        let other = format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(bytes));
        assert_eq!(use_up(&verifier, check(&verifier, &good, &key, crypto).unwrap()), Ok(()));
        let outcome = check(&verifier, &other, &key, crypto).and_then(|good| use_up(&verifier, good));
        assert_eq!(outcome, Err(Reason::RepeatedDpopProof));
    }
}

/// A store that remembers each proof for its lifetime, by the same clock.
#[derive(Debug)]
struct Forgetful(Arc<SetClock>, std::sync::Mutex<std::collections::HashMap<ReplayKey, SystemTime>>);

impl ReplayStore for Forgetful {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, crate::online::StoreError>> {
        let (now, mut until) = (self.0.now(), self.1.lock().unwrap());
        let known = until.get(&proof.key).is_some_and(|until| *until > now);
        if !known {
            until.insert(proof.key, now + proof.lifetime);
        }
        Box::pin(std::future::ready(Ok(if known { ProofUse::Repeated } else { ProofUse::First })))
    }
}

/// The process stands still between the check of a repeated proof and the question whether it was used.
#[tokio::test]
async fn dpop_11_a_proof_that_expires_while_the_process_stands_still_is_not_accepted() {
    let crypto = BACKENDS[0];
    let clock = Arc::new(SetClock::default());
    let verifier = verifier_by(&clock, Dpop::new().replay_store(Forgetful(clock.clone(), std::sync::Mutex::default())));
    let proof = proof_at("1", 0);
    let key = thumbprint(&proof, Algorithm::Es256, crypto);
    let first = check(&verifier, &proof, &key, crypto).unwrap();
    assert!(verifier.use_up(first.used).unwrap().unwrap().await.is_ok());
    let repeated = check(&verifier, &proof, &key, crypto).unwrap();
    clock.advance(Duration::from_secs(75));
    let outcome = verifier.use_up(repeated.used).map(drop).map_err(|error| error.reason());
    assert_eq!(outcome, Err(Reason::ReplayCheckUnavailable));
}

/// The process stands still while the store is asked.
#[tokio::test]
async fn dpop_11_an_answer_of_a_store_that_comes_too_late_is_none() {
    let crypto = BACKENDS[0];
    let clock = Arc::new(SetClock::default());
    let verifier = verifier_by(&clock, Dpop::new().replay_store(Forgetful(clock.clone(), std::sync::Mutex::default())));
    let key = thumbprint(&proof_at("1", 0), Algorithm::Es256, crypto);
    for (made_at, pause, reason) in [(0, 60, None), (60, 61, Some(Reason::ReplayCheckUnavailable))] {
        let proof = proof_at(&pause.to_string(), made_at);
        let good = check(&verifier, &proof, &key, crypto).unwrap();
        let asking = verifier.use_up(good.used).unwrap().unwrap();
        clock.advance(Duration::from_secs(pause));
        assert_eq!(asking.await.err().map(|error| error.reason()), reason, "{pause}");
    }
}

/// The process stands still until the store has forgotten the proof, and its clock is set back meanwhile.
#[tokio::test]
async fn d_18_an_answer_of_a_store_after_a_step_back_is_none() {
    let (crypto, clock) = (BACKENDS[0], Arc::new(SetClock::default()));
    let by_right_time = Arc::new(SetClock::default());
    let store = Forgetful(by_right_time.clone(), std::sync::Mutex::default());
    let verifier = verifier_by(&clock, Dpop::new().replay_store(store));
    let proof = proof_at("1", 0);
    let key = thumbprint(&proof, Algorithm::Es256, crypto);
    let first = check(&verifier, &proof, &key, crypto).unwrap();
    assert!(verifier.use_up(first.used).unwrap().unwrap().await.is_ok());

    clock.advance(Duration::from_secs(30));
    let repeated = check(&verifier, &proof, &key, crypto).unwrap();
    by_right_time.advance(Duration::from_secs(100));
    let asking = verifier.use_up(repeated.used).unwrap().unwrap();
    clock.step_back(Duration::from_secs(20));
    assert_eq!(asking.await.map_err(|error| error.reason()), Err(Reason::ReplayCheckUnavailable));
}

/// The RSA modulus has a factor of 3, so that others can sign with it. It signed with Python's `pow`.
#[test]
fn dpop_5_a_key_by_which_others_can_sign_is_refused() {
    let proof = include_str!("../../../../testdata/weak_rsa_proof.jwt").trim_end();
    for &crypto in BACKENDS {
        let clock = SetClock(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
        let verifier =
            DpopVerifier::new(Dpop::new(), PublicUrls::Named([PublicUrl::parse(URL).unwrap()].into()), Arc::new(clock));
        let key = thumbprint(proof, Algorithm::Rs256, crypto);
        // The signature is good, and so the key is asked about.
        assert_eq!(check(&verifier, proof, &[7; 32], crypto).err(), Some(Reason::BindingMismatch));
        for _ in 0..2 {
            assert_eq!(check(&verifier, proof, &key, crypto).err(), Some(Reason::InvalidDpopProof));
        }
    }
}

#[test]
fn dpop_3_a_proof_has_8_kib_at_most() {
    let decodes = |length: usize| {
        let proof = format!("e30.e30.{}", "A".repeat(length - 8));
        assert_eq!(proof.len(), length);
        DecodedProof::decode(proof.as_bytes(), &mut ProofBuffers::new(), |_| None).is_ok()
    };
    assert!(decodes(8 * 1024) && !decodes(8 * 1024 + 1));
}

#[test]
fn its_debug_output_names_the_urls() {
    let shown = format!("{:?}", verifier());
    assert!(shown.starts_with("DpopVerifier { urls: Named([https://api.example]), algorithms: ["), "{shown}");
}

/// Accepts whatever it is asked about, and keeps the last.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Option<UsedProof>>>);

impl ReplayStore for Recording {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        *self.0.lock().unwrap() = Some(proof);
        Box::pin(std::future::ready(Ok(ProofUse::First)))
    }
}

/// Replicas whose clocks are ten seconds behind accept a proof for longer, and those whose are ahead accepted it earlier.
#[tokio::test]
async fn dpop_11_a_proof_is_remembered_for_longer_than_it_can_be_used() {
    let (crypto, store) = (BACKENDS[0], Recording::default());
    let second = |seconds: u64| Duration::from_secs(seconds);
    let use_up = async |dpop: Dpop, claims: Value, now: Duration| {
        let clock = SetClock(Mutex::new(SystemTime::UNIX_EPOCH + now));
        let urls = PublicUrls::Named([PublicUrl::parse(URL).unwrap()].into());
        let verifier = DpopVerifier::new(dpop.replay_store(store.clone()), urls, Arc::new(clock));
        let jwk = public_jwk("a-es256");
        let proof = token("a-es256", &json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }), &claims);
        let key = thumbprint(&proof, Algorithm::Es256, crypto);
        let good = check(&verifier, &proof, &key, crypto).unwrap_or_else(|reason| panic!("{reason:?}"));
        verifier.use_up(good.used).unwrap_or_else(|error| panic!("{error}")).unwrap().await.unwrap();
        let used = store.0.lock().unwrap().take().unwrap();
        (used.acceptable_from, used.lifetime)
    };
    let now = second(1_800_000_000);
    let mut claims = claims();
    claims["iat"] = (now - second(20)).as_secs().into();
    assert_eq!(use_up(Dpop::new(), claims.clone(), now).await, (now - second(30), second(40 + 10)));
    // By the nonce's time, where there is one.
    let nonces = DpopNonces::from_secret([7; 32]).lifetime(second(100));
    claims["nonce"] = nonces.issue(crypto, now - second(25)).into();
    assert_eq!(use_up(Dpop::new().nonces(nonces), claims, now).await, (now - second(25), second(75 + 10)));
}

#[test]
fn dpop_11_the_end_of_a_target_is_not_the_beginning_of_an_identifier() {
    let (verifier, crypto) = (verifier(), BACKENDS[0]);
    let used = |path: &str, id: &str| {
        let mut claims = claims();
        (claims["htu"], claims["jti"]) = (format!("{URL}{path}").into(), id.into());
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk("a-es256") });
        let proof = token("a-es256", &header, &claims);
        let key = thumbprint(&proof, Algorithm::Es256, crypto);
        verifier
            .check(&evidence(&proof, path), of_key(&key), crypto, &Trace::OFF)
            .unwrap_or_else(|error| panic!("{error}"))
            .used
            .key
    };
    assert_eq!(used("/r", "12"), used("/r", "12"));
    assert_ne!(used("/r", "12"), used("/r1", "2"));
}

#[test]
fn dpop_3_no_other_prefix_of_the_same_length_is_taken_off_typ() {
    let (verifier, crypto, jwk) = (verifier(), BACKENDS[0], public_jwk("a-es256"));
    let key = thumbprint(&proof("a-es256", Algorithm::Es256), Algorithm::Es256, crypto);
    for (typ, is_good) in [("application/dpop+jwt", true), ("application.dpop+jwt", false)] {
        let proof = token("a-es256", &json!({ "typ": typ, "alg": "ES256", "jwk": jwk }), &claims());
        assert_eq!(check(&verifier, &proof, &key, crypto).is_ok(), is_good, "{typ}");
    }
}
