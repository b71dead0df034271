//! RFC 6750 section 2, RFC 9110 section 11: where credentials are looked for, and what they may look like.

use scopegate_tests::{Api, Ask, mint};

#[tokio::test]
async fn bearer_1_the_authorization_header_is_read() {
    let api = Api::new().await;
    Ask::get("/me").bearer(mint().token().sign()).of(&api.router).await.assert_pass();
    assert_eq!(api.calls(), 1);
}
