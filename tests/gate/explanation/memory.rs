//! An explanation uses nothing that is remembered, and nothing of it is remembered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use scopegate_axum::JwtCacheConfig;
use scopegate_core::{
    BoxFuture, CryptoBackend,
    jose::{Algorithm, JwkSet, KeySet},
    keys::{KeySource, KeysUnavailable, RefetchReason, Snapshot},
};
use scopegate_tests::clock;

/// Keys that count how often a signature was to be checked. A cached token asks for no keys.
#[derive(Debug)]
struct Counting(Arc<KeySet>, Arc<AtomicUsize>);

impl KeySource for Counting {
    fn snapshot(&self) -> Option<Snapshot> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(Snapshot::fixed(Arc::clone(&self.0)))
    }

    fn is_current(&self, _: &std::sync::Weak<KeySet>) -> bool {
        true
    }

    fn refetch(&self, _: RefetchReason<'_>) -> BoxFuture<'static, Result<Arc<KeySet>, KeysUnavailable>> {
        let keys = Arc::clone(&self.0);
        Box::pin(async move { Ok(keys) })
    }
}

#[tokio::test]
async fn a_token_that_is_remembered_is_explained_afresh() {
    let server = server().await;
    let text = mint().token().issue();
    assert!(server.authenticate(&request(&text)).await.is_ok());
    let explanation = server.explain(&request(&text)).await;
    assert_eq!(status(&explanation, Step::Signature), Status::Passed, "{explanation}");
}

/// With a JWT cache, whatever `JWT_CACHE` says.
#[tokio::test]
async fn a_token_that_was_explained_is_not_remembered() {
    let checked = Arc::new(AtomicUsize::new(0));
    let backend = CryptoBackend::compiled_in().expect("a backend is compiled in");
    let set = JwkSet::from_json(mint().jwks_json().as_bytes()).expect("a key set");
    let keys = Counting(Arc::new(set.prepare(Algorithm::DEFAULT, backend)), Arc::clone(&checked));
    let builder = ResourceServer::builder().audience(AUDIENCE).clock(clock()).jwt_cache(JwtCacheConfig::default());
    let server = builder.issuer(Issuer::with_key_source(ISSUER, keys)).build().await.expect("good settings");
    let request = request(&mint().token().issue());
    let checks = async || {
        let before = checked.load(Ordering::Relaxed);
        assert!(server.authenticate(&request).await.is_ok());
        checked.load(Ordering::Relaxed) - before
    };
    for _ in 0..5 {
        assert_eq!(server.explain(&request).await.verdict(), Verdict::Accepted);
    }
    assert_eq!(checks().await, 1, "the signature is checked, since nothing is remembered");
    for _ in 0..5 {
        checks().await;
    }
    assert_eq!(checks().await, 0, "what requests brought is remembered");
}
