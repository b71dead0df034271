//! `iat`: when a proof was made.

use scopegate_axum::Reason;
use serde_json::json;

use super::*;

#[tokio::test]
async fn dpop_10_d_04_a_proof_is_at_most_a_minute_old_and_ten_seconds_ahead() {
    let rig = Rig::new().await;
    for (age, is_good) in [(0, true), (59, true), (60, true), (61, false), (600, false), (-10, true), (-11, false)] {
        let proof = rig.proof().claim("iat", i64::try_from(NOW).expect("a time") - age);
        let answer = rig.send(proof.issue()).await;
        if is_good {
            answer.assert_pass();
        } else {
            answer.assert_401_dpop(Reason::InvalidDpopProof);
        }
    }
}

#[tokio::test]
async fn dpop_10_d_04_a_time_is_a_number_and_may_have_a_fraction() {
    let rig = Rig::new().await;
    let whole = i64::try_from(NOW).expect("a time");
    for good in
        [format!("{whole}.5"), format!("{}.001", whole - 60), format!("{}.0", whole + 10), "1.7672256e9".to_owned()]
    {
        let payload = with_iat(&rig, &good);
        rig.send(rig.proof().raw_payload(payload).issue()).await.assert_pass();
    }
    for bad in [
        format!("{}.999", whole - 61),
        format!("{}.001", whole + 10),
        "-1".to_owned(),
        "0".to_owned(),
        "-0.0".to_owned(),
        format!("-{whole}"),
        "9223372036854775808".to_owned(),
        "18446744073709551616".to_owned(),
        "1e400".to_owned(),
        "1e19".to_owned(),
        format!("{}", whole * 1000),
        format!("\"{whole}\""),
        format!("[{whole}]"),
        "null".to_owned(),
        "true".to_owned(),
        "0x1".to_owned(),
        "NaN".to_owned(),
    ] {
        let answer = rig.send(rig.proof().raw_payload(with_iat(&rig, &bad)).issue()).await;
        assert_eq!(answer.reason, Some(Reason::InvalidDpopProof), "{bad}");
        answer.assert_401_dpop(Reason::InvalidDpopProof);
    }
}

/// The claims of a good proof with this text as `iat`.
fn with_iat(rig: &Rig, iat: &str) -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);

    let proof = rig.proof().jti(NUMBER.fetch_add(1, Ordering::Relaxed).to_string()).claim("iat", "IAT").issue();
    let claims = URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).expect("a payload")).expect("base64url");
    String::from_utf8(claims).expect("UTF-8").replace("\"IAT\"", iat)
}

#[tokio::test]
async fn dpop_10_the_age_can_be_set_up_to_five_minutes() {
    for (age, is_good) in [(0, false), (1, true), (300, true), (301, false)] {
        let builder = resource_server().issuer(issuer()).dpop(dpop().max_proof_age(age * SECOND));
        assert_eq!(builder.build().await.is_ok(), is_good, "{age}");
    }
    let rig = Rig::of(dpop().max_proof_age(300 * SECOND)).await;
    rig.send(rig.proof().issued_ago(300 * SECOND).issue()).await.assert_pass();
    rig.send(rig.proof().issued_ago(301 * SECOND).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    let rig = Rig::of(dpop().max_proof_age(5 * SECOND)).await;
    rig.send(rig.proof().issued_ago(6 * SECOND).issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
    // It says nothing of the time ahead.
    rig.send(rig.proof().issued_ahead(10 * SECOND).issue()).await.assert_pass();
}

#[tokio::test]
async fn dpop_10_a_proof_goes_stale_with_the_clock() {
    let rig = Rig::new().await;
    let proofs: Vec<String> = (0..2).map(|_| rig.proof().issue()).collect();
    rig.clock.advance(60 * SECOND);
    rig.send(&proofs[0]).await.assert_pass();
    rig.clock.advance(SECOND);
    rig.send(&proofs[1]).await.assert_401_dpop(Reason::InvalidDpopProof);
}

#[tokio::test]
async fn d_04_exp_of_a_proof_does_not_extend_or_end_it() {
    let rig = Rig::new().await;
    rig.send(rig.proof().claim("exp", 0).issue()).await.assert_pass();
    let old = rig.proof().issued_ago(61 * SECOND).claim("exp", json!(NOW + 3600));
    rig.send(old.issue()).await.assert_401_dpop(Reason::InvalidDpopProof);
}
