//! Random settings of DPoP, proofs and certificates.

use proptest::{
    prelude::{Just, Strategy},
    sample::select,
};

use super::{
    choice::{maybe, one_of, rarely, weighted},
    pooled, signature, token,
};
use crate::{
    binding::{PROOF_ALGORITHMS, PUBLIC_URLS, Proofs},
    mutation::Form,
    proof::{Proof, ProofEdit},
    request::Evidence,
    values::proof::{CLAIMS, HEADERS, KEY_MEMBERS},
};

/// Settings of DPoP.
pub(super) fn proofs() -> impl Strategy<Value = Proofs> {
    let lists = (one_of![2 => Just(0_usize), 1 => 0..PROOF_ALGORITHMS.len()], 0..PUBLIC_URLS.len());
    (lists, select(vec![60, 1, 300]), rarely(4), rarely(4), rarely(12)).prop_map(
        |((algorithms, public_urls), max_age, nonces, accept_repeated, store_is_down)| Proofs {
            algorithms,
            public_urls,
            max_age,
            nonces,
            // A store that is not asked cannot be down.
            accept_repeated: accept_repeated && !store_is_down,
            store_is_down,
        },
    )
}

/// What a request shows of the keys that its client has.
pub(super) fn evidence() -> impl Strategy<Value = Evidence> {
    let certificate = weighted(vec![(8, Some(0)), (1, Some(1)), (1, None)]);
    (maybe(0.95, proof()), certificate).prop_map(|(proof, certificate)| Evidence { proof, certificate })
}

fn proof() -> impl Strategy<Value = Proof> {
    let ages = vec![0, -1, 1, -9, -10, -11, 59, 60, 61, 299, 300, 301];
    // One second too old or too new, for each of the greatest ages.
    let edges = vec![2, 61, 301, -11];
    let age = one_of![5 => Just(0_i64), 1 => select(ages), 1 => select(edges)];
    let nonce_ages = vec![0, 100, -9, -10, -11, 299, 300, 301];
    let nonce_age = one_of![2 => Just(Some(0)), 1 => select(nonce_ages).prop_map(Some), 1 => Just(None)];
    let key = maybe(0.1, pooled());
    let edits = maybe(0.35, proof_edit()).prop_map(|edit| edit.into_iter().collect());
    (key, 0..16_u8, age, nonce_age, edits).prop_map(|(key, id, age, nonce_age, edits)| Proof {
        key,
        id,
        age,
        nonce_age,
        edits,
    })
}

fn proof_edit() -> impl Strategy<Value = ProofEdit> {
    let form = weighted(vec![(1, Form::Integer), (2, Form::Half), (1, Form::Exponent), (1, Form::Text)]);
    one_of![
        3 => select(HEADERS).prop_map(|(name, value)| ProofEdit::Header(name, value)),
        1 => select(vec!["typ", "alg", "jwk"]).prop_map(ProofEdit::NoHeader),
        8 => select(CLAIMS).prop_map(|(name, value)| ProofEdit::Claim(name, value)),
        2 => select(vec!["jti", "htm", "htu", "iat", "ath", "nonce"]).prop_map(ProofEdit::NoClaim),
        1 => select(CLAIMS).prop_map(|(name, value)| ProofEdit::ClaimTwice(name, value)),
        4 => select(KEY_MEMBERS).prop_map(|(name, value)| ProofEdit::KeyMember(name, value)),
        1 => pooled().prop_map(ProofEdit::Signer),
        1 => (-12..70_i64, form).prop_map(|(age, form)| ProofEdit::Age(age, form)),
        1 => signature().prop_map(ProofEdit::Signature),
        2 => token().prop_map(ProofEdit::Text),
        1 => select(vec![0, 2]).prop_map(ProofEdit::Lines),
    ]
}
