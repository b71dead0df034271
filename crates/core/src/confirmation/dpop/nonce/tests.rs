use super::*;
use crate::crypto::tests::BACKENDS;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const SECRET: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_valid(nonces: &DpopNonces, nonce: &str, now: Duration) -> bool {
    matches!(nonces.check(BACKENDS[0], nonce, now), NonceCheck::Valid { .. })
}

#[test]
fn dpop_17_a_nonce_is_accepted_by_each_replica_with_the_secret() {
    for giver in BACKENDS {
        for taker in BACKENDS {
            let nonce = DpopNonces::from_secret(SECRET).issue(*giver, NOW);
            let valid = NonceCheck::Valid { issued_at: NOW, renew: false, valid_until: NOW + seconds(300) };
            assert_eq!(DpopNonces::from_secret(&SECRET[..]).check(*taker, &nonce, NOW), valid);
            assert_eq!(DpopNonces::from_secret(OTHER).check(*taker, &nonce, NOW), NonceCheck::Unknown);
            assert_eq!(DpopNonces::of_this_process().check(*taker, &nonce, NOW), NonceCheck::Unknown);
        }
    }
}

#[test]
fn dpop_17_a_nonce_has_32_characters_that_need_no_escapes() {
    for nonces in [DpopNonces::from_secret(SECRET), DpopNonces::of_this_process()] {
        for second in 0..1000 {
            let nonce = nonces.issue(BACKENDS[0], NOW + seconds(second));
            assert_eq!(nonce.len(), 32);
            assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{nonce}");
        }
    }
}

/// HMAC-SHA256 with 32 bytes 07 over the domain and the time, by Python's hmac.
#[test]
fn dpop_17_its_form_does_not_change_between_versions() {
    for backend in BACKENDS {
        assert_eq!(DpopNonces::from_secret(SECRET).issue(*backend, NOW), "AAAAAGtJ0gCIHceQi4nae6bygoShKIUk");
    }
}

#[test]
fn d_16_a_nonce_expires_to_the_second() {
    let nonces = DpopNonces::from_secret(SECRET).lifetime(seconds(160));
    let nonce = nonces.issue(BACKENDS[0], NOW);
    for (after, renew) in [(0, false), (79, false), (80, true), (159, true)] {
        let expected = NonceCheck::Valid { issued_at: NOW, renew, valid_until: NOW + seconds(160) };
        assert_eq!(nonces.check(BACKENDS[0], &nonce, NOW + seconds(after)), expected, "{after}");
    }
    assert!(is_valid(&nonces, &nonce, NOW + Duration::from_millis(159_999)));
    for after in [160, 161, 1_000_000_000] {
        assert_eq!(nonces.check(BACKENDS[0], &nonce, NOW + seconds(after)), NonceCheck::Expired, "{after}");
    }
    assert_eq!(nonces.check(BACKENDS[0], &nonce, Duration::MAX), NonceCheck::Expired);
}

#[test]
fn d_16_a_nonce_of_a_clock_that_is_ahead_by_ten_seconds_is_accepted() {
    let nonces = DpopNonces::from_secret(SECRET);
    let nonce = nonces.issue(BACKENDS[0], NOW);
    assert!(is_valid(&nonces, &nonce, NOW - seconds(10)));
    for before in [Duration::from_millis(10_001), seconds(11), NOW] {
        assert_eq!(nonces.check(BACKENDS[0], &nonce, NOW - before), NonceCheck::Unknown, "{before:?}");
    }
    let last = nonces.issue(BACKENDS[0], Duration::MAX);
    assert_eq!(nonces.check(BACKENDS[0], &last, NOW), NonceCheck::Unknown);
}

#[test]
fn dpop_18_a_nonce_is_of_a_second_and_fresh_when_it_is_given() {
    for lifetime in [10, 31, 160, 3600] {
        let nonces = DpopNonces::from_secret(SECRET).lifetime(seconds(lifetime));
        let issue = |time| nonces.issue(BACKENDS[0], time);
        assert_eq!(issue(NOW), issue(NOW + Duration::from_millis(999)), "{lifetime}");
        assert_ne!(issue(NOW), issue(NOW + seconds(1)), "{lifetime}");
        let NonceCheck::Valid { renew, valid_until, .. } = nonces.check(BACKENDS[0], &issue(NOW), NOW) else {
            panic!("{lifetime}")
        };
        assert_eq!((renew, valid_until), (false, NOW + seconds(lifetime)), "{lifetime}");
    }
}

#[test]
fn dpop_18_a_secret_is_replaced_in_three_steps() {
    let old = DpopNonces::from_secret(OTHER);
    let prepared = DpopNonces::from_secret(OTHER).previous_secret(SECRET);
    let swapped = DpopNonces::from_secret(SECRET).previous_secret(OTHER);
    let new = DpopNonces::from_secret(SECRET);
    let accepts = |taker: &DpopNonces, giver: &DpopNonces| is_valid(taker, &giver.issue(BACKENDS[0], NOW), NOW);
    for (one, other) in [(&old, &prepared), (&prepared, &swapped), (&swapped, &new)] {
        assert!(accepts(one, other) && accepts(other, one), "{one:?} {other:?}");
    }
    assert!(!accepts(&new, &old) && !accepts(&new, &prepared));
    assert_eq!(swapped.issue(BACKENDS[0], NOW), new.issue(BACKENDS[0], NOW));
}

#[test]
fn d_16_whatever_else_is_unknown() {
    let nonces = DpopNonces::from_secret(SECRET);
    let nonce = nonces.issue(BACKENDS[0], NOW);
    assert!(is_valid(&nonces, &nonce, NOW));
    // Each bit counts: there is no second spelling.
    for place in 0..nonce.len() {
        for byte in (0..=0x7f).filter(|byte| *byte != nonce.as_bytes()[place]) {
            let mut changed = nonce.clone().into_bytes();
            changed[place] = byte;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(nonces.check(BACKENDS[0], &changed, NOW), NonceCheck::Unknown, "{changed:?}");
        }
    }
    let mac = BACKENDS[0].hmac_sha256(&SECRET, &NOW.as_secs().to_be_bytes());
    let without_domain = [&NOW.as_secs().to_be_bytes(), &mac[..16]].concat();
    for bad in [
        String::new(),
        nonce[..31].to_owned(),
        nonce[..28].to_owned(),
        format!("{nonce}="),
        format!("{nonce}A"),
        format!("{nonce}{nonce}"),
        format!(" {}", &nonce[1..]),
        "A".repeat(32),
        "=".repeat(32),
        "\u{e9}".repeat(16),
        "nonce".to_owned(),
        URL_SAFE_NO_PAD.encode_to_string(without_domain),
    ] {
        assert_eq!(nonces.check(BACKENDS[0], &bad, NOW), NonceCheck::Unknown, "{bad:?}");
    }
}

#[test]
fn of_this_process_means_that_no_other_knows_the_secret() {
    let (one, other) = (DpopNonces::of_this_process(), DpopNonces::of_this_process());
    let nonce = one.issue(BACKENDS[0], NOW);
    assert!(is_valid(&one, &nonce, NOW) && is_valid(&one.clone(), &nonce, NOW));
    assert_eq!(other.check(BACKENDS[0], &nonce, NOW), NonceCheck::Unknown);
    assert_eq!(one.faults().count(), 0);
    // Without randomness nothing is accepted, not even what it gives.
    let none = DpopNonces { secrets: Vec::new(), lifetime: DEFAULT_LIFETIME };
    assert_eq!(none.check(BACKENDS[0], &none.issue(BACKENDS[0], NOW), NOW), NonceCheck::Unknown);
    assert!(none.faults().next().unwrap().1.contains("random"));
}

#[test]
fn each_fault_is_reported() {
    let faults = |nonces: &DpopNonces| nonces.faults().map(|(_, fault)| fault).collect::<Vec<_>>();
    let good = DpopNonces::from_secret(SECRET);
    assert_eq!(faults(&good), [""; 0]);
    for lifetime in [seconds(10), seconds(3600)] {
        assert_eq!(faults(&good.clone().lifetime(lifetime)), [""; 0], "{lifetime:?}");
    }
    for lifetime in [Duration::ZERO, Duration::from_millis(9_999), Duration::from_millis(3_600_001), Duration::MAX] {
        let nonces = good.clone().lifetime(lifetime);
        assert!(faults(&nonces)[0].contains("lifetime"), "{lifetime:?}");
        // They cannot be used, but do no harm.
        let nonce = nonces.issue(BACKENDS[0], NOW);
        let _any = nonces.check(BACKENDS[0], &nonce, NOW);
    }
    for short in ["", "secret", &"x".repeat(31)] {
        assert!(faults(&DpopNonces::from_secret(short))[0].contains("32 bytes"), "{short}");
        assert!(faults(&good.clone().previous_secret(short))[0].contains("32 bytes"), "{short}");
        assert_eq!(faults(&DpopNonces::from_secret(short).lifetime(seconds(1))).len(), 2);
    }
}

#[test]
fn its_secrets_are_not_printed() {
    let nonces = DpopNonces::from_secret("a secret of some length, never printed").previous_secret(OTHER);
    let expected = r#"DpopNonces { secrets: ["[redacted]", "[redacted]"], lifetime: 300s }"#;
    assert_eq!(format!("{nonces:?}"), expected);
}
