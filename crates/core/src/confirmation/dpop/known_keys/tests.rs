use super::*;
use crate::crypto::{CryptoBackend, PublicKey};

const HEADER: &str = "eyJ9";

fn known(thumbprint: Thumbprint, header: &str) -> KnownKey {
    // RFC 8037 appendix A.1.
    let x = crate::jose::Buffer::<32>::new().decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap().to_vec();
    let backend = CryptoBackend::compiled_in().unwrap();
    let key = VerifyingKey::new(backend, Algorithm::Ed25519, &PublicKey::Ed25519 { x }).unwrap();
    KnownKey { thumbprint, header: header.into(), algorithm: Algorithm::Ed25519, key }
}

fn thumbprint(number: usize) -> Thumbprint {
    let mut thumbprint = [7; 32];
    thumbprint[..8].copy_from_slice(&(number as u64).to_le_bytes());
    thumbprint
}

#[test]
fn dpop_6_a_key_is_known_by_its_whole_thumbprint_and_the_whole_header_of_its_proofs() {
    let keys = KnownKeys::default();
    keys.insert(known(thumbprint(1), HEADER));
    assert!(keys.get(&thumbprint(1), HEADER).is_some());
    for other in ["", "eyJ", "eyJ9e", "eyJ8", "fyJ9"] {
        assert!(keys.get(&thumbprint(1), other).is_none(), "{other}");
    }
    // In the same slot.
    assert!(keys.get(&thumbprint(1 + SLOTS), HEADER).is_none());
    let mut last_byte_differs = thumbprint(1);
    last_byte_differs[31] = 0;
    assert!(keys.get(&last_byte_differs, HEADER).is_none());
}

#[test]
fn the_newest_key_of_a_slot_stays() {
    let keys = KnownKeys::default();
    for number in 0..2 * SLOTS {
        keys.insert(known(thumbprint(number), HEADER));
    }
    let found = |number: &usize| keys.get(&thumbprint(*number), HEADER).is_some();
    assert_eq!((0..2 * SLOTS).filter(found).collect::<Vec<_>>(), (SLOTS..2 * SLOTS).collect::<Vec<_>>());
}

#[test]
fn a_long_header_is_not_kept() {
    let keys = KnownKeys::default();
    let longest = "A".repeat(MAX_HEADER);
    keys.insert(known(thumbprint(1), &longest));
    assert!(keys.get(&thumbprint(1), &longest).is_some());
    let too_long = "A".repeat(MAX_HEADER + 1);
    keys.insert(known(thumbprint(2), &too_long));
    assert!(keys.get(&thumbprint(2), &too_long).is_none());
}
