//! How a store connects: logins, TLS, sockets, settings.

use std::time::Duration;

use scopegate_core::dpop::ProofUse;
use scopegate_redis::RedisStore;

use crate::rig::{insert, proof, redis_or_skip};

#[cfg(all(feature = "tls", feature = "aws-lc-rs"))]
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/testdata/tls");

#[tokio::test]
async fn a_user_of_the_access_control_list_needs_the_rights_that_are_documented() {
    let documented = include_str!("../../src/lib.rs")
        .lines()
        .find_map(|line| line.strip_prefix("//! ACL SETUSER orders on >secret "))
        .expect("the documentation has the rights");
    let redis = redis_or_skip!();
    let () = redis.ask(&format!("ACL SETUSER orders on >se%cret {documented}"));
    let () = redis.ask("ACL SETUSER default off");
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}/", redis.port);
    let store = RedisStore::builder(at("orders:se%25cret@")).prefix("orders:").build().unwrap();
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::Repeated);
    let cache = store.cache([1; 32]);
    crate::places::put_get_invalidate(&cache).await;
    for login in ["", "orders:wrong@", "nobody:secret@"] {
        let store = RedisStore::builder(at(login)).prefix("orders:").build().unwrap();
        let error = insert(&store, proof(2)).await.unwrap_err().to_string();
        assert!(!error.contains("wrong") && !error.contains("secret"), "{error}");
    }
    let elsewhere = RedisStore::builder(at("orders:se%25cret@")).prefix("bills:").build().unwrap();
    assert!(insert(&elsewhere, proof(1)).await.is_err(), "another service's keys");
}

#[tokio::test]
async fn a_database_is_selected() {
    let redis = redis_or_skip!();
    let third = RedisStore::builder(format!("{}3", redis.url())).build().unwrap();
    assert_eq!(insert(&third, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&redis.store(), proof(1)).await.unwrap(), ProofUse::First);
    assert!(redis.ask::<String>("INFO keyspace").contains("db3:keys=2"));
}

#[tokio::test]
async fn the_third_protocol_is_spoken_too() {
    let redis = redis_or_skip!();
    let store = RedisStore::builder(format!("{}?protocol=resp3", redis.url())).build().unwrap();
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    crate::places::put_get_invalidate(&store.cache([1; 32])).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_used() {
    let redis = redis_or_skip!("--unixsocket", "redis.sock");
    let store = RedisStore::builder(format!("redis+unix://{}/redis.sock", redis.folder.display())).build().unwrap();
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&redis.store(), proof(1)).await.unwrap(), ProofUse::Repeated);
}

#[cfg(all(feature = "tls", feature = "aws-lc-rs"))]
#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given_and_no_other() {
    let file = |name: &str| format!("{FOLDER}/{name}.pem");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = redis_or_skip!(
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("server.crt"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.crt"),
        "--tls-auth-clients",
        "no",
    );
    let builder = || RedisStore::builder(format!("rediss://127.0.0.1:{port}/")).deadline(Duration::from_secs(5));
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let store = builder().ca_certificate_pem(read("ca.crt")).build().unwrap();
    assert_eq!(insert(&store, proof(1)).await.unwrap(), ProofUse::First);
    assert_eq!(insert(&redis.store(), proof(1)).await.unwrap(), ProofUse::Repeated, "the same server");

    let other = builder().ca_certificate_pem(read("client.crt")).build().unwrap();
    let error = insert(&other, proof(2)).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    if let Ok(public) = builder().build() {
        assert!(insert(&public, proof(2)).await.is_err(), "those of the operating system do not know it");
    }
    let name = RedisStore::builder(format!("rediss://localhost:{port}/")).ca_certificate_pem(read("ca.crt"));
    let error =
        insert(&name.deadline(Duration::from_secs(5)).build().unwrap(), proof(2)).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "the certificate is of the address: {error}");
    let plain = RedisStore::builder(format!("redis://127.0.0.1:{port}/")).build().unwrap();
    assert!(insert(&plain, proof(2)).await.is_err());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let builder = || RedisStore::builder("redis://127.0.0.1/");
    let none: [&str; 0] = [];
    let refused = [
        (RedisStore::builder("127.0.0.1"), "not of the form"),
        (builder().prefix(""), "the prefix"),
        (builder().prefix("a{b}"), "the prefix"),
        (builder().deadline(Duration::ZERO), "the deadline"),
        (builder().sentinel("main", none), "no sentinel"),
        (builder().sentinel("main", ["x"]), "not of the form"),
        (RedisStore::builder("redis://127.0.0.1/1").cluster(none), "no other database"),
        (builder().cluster(["x"]), "not of the form"),
        #[cfg(all(feature = "tls", feature = "aws-lc-rs"))]
        (RedisStore::builder("rediss://127.0.0.1/").ca_certificate_pem("no certificate"), "not one in PEM"),
        #[cfg(feature = "tls")]
        (builder().ca_certificate_pem("no certificate"), "no URL begins with rediss://"),
        #[cfg(not(feature = "tls"))]
        (RedisStore::builder("rediss://127.0.0.1/"), "`tls` is off"),
    ];
    for (builder, reason) in refused {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
