use std::{env, fs, io::ErrorKind, path::PathBuf};

use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestIssuer};
use serde_json::{Value, json};

use crate::{
    http::{ask, known},
    verify::is_signed,
};

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("scopegate-testing-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("keys.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn an_issuer_on_a_named_port_keeps_its_identifier() {
    let first = TestIssuer::start().await;
    let (port, identifier) = (first.address().port(), first.issuer().to_owned());
    let error = TestIssuer::builder().port(port).try_start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("127.0.0.1:{port} cannot be listened on: ")), "{error}");

    first.shutdown().await;
    let second = TestIssuer::builder().port(port).start().await;
    assert_eq!((second.issuer(), second.address().ip().is_loopback()), (identifier.as_str(), true));
}

#[tokio::test]
async fn keys_in_a_file_survive_a_restart_and_a_rotation() {
    let folder = Folder::new("survive");
    let start = || TestIssuer::builder().keys_file(folder.file()).try_start();
    let first = start().await.unwrap();
    let token = first.token().algorithm(SigningAlgorithm::EdDsa).issue();
    let second = start().await.unwrap();
    assert!(is_signed(&token, &second.jwks_json()));
    assert_eq!(first.jwks_json(), second.jwks_json());

    second.rotate().await;
    let third = start().await.unwrap();
    assert_eq!(third.jwks_json(), second.jwks_json());
    assert!(!is_signed(&token, &third.jwks_json()));
    ask(&third, known("/rotate"), "keep_old=true").await;
    assert_eq!(start().await.unwrap().jwks_json(), third.jwks_json());

    // Another process signs with the same keys, and the algorithms of the builder count for a new file alone.
    let mint = Mint::new("https://idp.example", SigningKeys::from_jwks_json(&read(&folder)).unwrap());
    assert_eq!(mint.jwks_json(), third.jwks_json());
    let other = TestIssuer::builder().algorithms([SigningAlgorithm::Es384]).keys_file(folder.file()).start().await;
    assert_eq!(other.jwks_json(), third.jwks_json());
}

fn read(folder: &Folder) -> String {
    fs::read_to_string(folder.file()).unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_and_write_the_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("mode");
    let issuer = TestIssuer::builder().keys_file(folder.file()).start().await;
    let mode = || fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // Left by a process that ended within a rotation.
    fs::write(folder.0.join("keys.json.new"), "{").unwrap();
    issuer.rotate().await;
    assert_eq!(mode(), 0o600);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_without_usable_keys_is_an_error_and_stays_as_it_is() {
    let folder = Folder::new("malformed");
    let encryption = SigningKey::generate(SigningAlgorithm::Es256).with_jwk_member("use", "enc");
    let public: Value = encryption.public_jwk();
    for (content, why) in [
        (String::new(), "not a JWK Set: a JSON object with an array `keys`"),
        ("[]".to_owned(), "not a JWK Set: a JSON object with an array `keys`"),
        (json!({ "keys": [] }).to_string(), "no key in it is for signatures"),
        (json!({ "keys": [public] }).to_string(), "the JWK has no usable `d`"),
    ] {
        fs::write(folder.file(), &content).unwrap();
        let error = TestIssuer::builder().keys_file(folder.file()).try_start().await.unwrap_err();
        let expected = format!("the file of keys {:?} is not a JWK Set of private keys: {why}", folder.file());
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidData, expected));
        assert_eq!(read(&folder), content);
    }
    let error = TestIssuer::builder().keys_file(&folder.0).try_start().await.unwrap_err();
    assert!(error.to_string().contains("cannot be read: "), "{error}");
    let error = TestIssuer::builder().keys_file(folder.0.join("no/keys.json")).try_start().await.unwrap_err();
    assert!(error.to_string().contains("cannot be created: "), "{error}");
}

#[tokio::test]
async fn a_rotation_that_cannot_be_written_changes_nothing() {
    let folder = Folder::new("unwritable");
    let issuer = TestIssuer::builder().keys_file(folder.file()).start().await;
    let before = issuer.jwks_json();
    // A folder in the place of the new file, which works for root, too.
    fs::create_dir(folder.0.join("keys.json.new")).unwrap();
    let answer = ask(&issuer, known("/rotate"), "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (500, &json!("server_error")));
    assert_eq!(issuer.jwks_json(), before);
}

#[tokio::test]
async fn no_file_is_created_where_the_port_is_taken() {
    let folder = Folder::new("taken");
    let first = TestIssuer::start().await;
    let second = TestIssuer::builder().port(first.address().port()).keys_file(folder.file());
    assert!(second.try_start().await.is_err());
    assert!(!folder.file().exists());
}
