use super::*;
use crate::crypto::{CryptoBackend, PublicKey};

fn known(thumbprint: Thumbprint, algorithm: Algorithm) -> KnownKey {
    // RFC 8037 appendix A.1.
    let x = crate::jose::Buffer::<32>::new().decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap().to_vec();
    let backend = CryptoBackend::compiled_in().unwrap();
    let key = VerifyingKey::new(backend, Algorithm::Ed25519, &PublicKey::Ed25519 { x }).unwrap();
    KnownKey { thumbprint, algorithm, key }
}

fn thumbprint(number: usize) -> Thumbprint {
    let mut thumbprint = [7; 32];
    thumbprint[..8].copy_from_slice(&(number as u64).to_le_bytes());
    thumbprint
}

#[test]
fn dpop_6_a_key_is_known_by_its_whole_thumbprint_and_for_one_algorithm() {
    let keys = KnownKeys::default();
    keys.insert(known(thumbprint(1), Algorithm::Rs256));
    assert!(keys.get(&thumbprint(1), Algorithm::Rs256).is_some());
    assert!(keys.get(&thumbprint(1), Algorithm::Ps256).is_none());
    // In the same slot.
    assert!(keys.get(&thumbprint(1 + SLOTS), Algorithm::Rs256).is_none());
    let mut last_byte_differs = thumbprint(1);
    last_byte_differs[31] = 0;
    assert!(keys.get(&last_byte_differs, Algorithm::Rs256).is_none());
}

#[test]
fn the_newest_key_of_a_slot_stays() {
    let keys = KnownKeys::default();
    for number in 0..2 * SLOTS {
        keys.insert(known(thumbprint(number), Algorithm::Ed25519));
    }
    let found = |number: &usize| keys.get(&thumbprint(*number), Algorithm::Ed25519).is_some();
    assert_eq!((0..2 * SLOTS).filter(found).collect::<Vec<_>>(), (SLOTS..2 * SLOTS).collect::<Vec<_>>());
}
