//! The file of the configuration.

use std::fs;

use crate::rig::{Folder, Issuer, run};

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_what_it_leads_to_stays() {
    use std::os::unix::fs::symlink;

    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-link");
    let target = folder.file("target", "precious");
    let (link, nowhere) = (folder.path("link.toml"), folder.path("nowhere.toml"));
    symlink(&target, &link).unwrap();
    symlink(folder.path("missing"), &nowhere).unwrap();
    let forced = run(&["doctor", issuer.identifier(), "--save", &link, "--force"]);
    assert_eq!((forced.status, forced.stderr.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&link).unwrap().contains(issuer.identifier()));

    let kept = run(&["doctor", issuer.identifier(), "--save", &nowhere]);
    assert!(kept.status == 2 && kept.stderr.contains("exists"), "{kept:?}");
    assert!(fs::symlink_metadata(&nowhere).unwrap().is_symlink());
    assert_eq!(
        fs::read_dir(std::path::Path::new(&link).parent().unwrap()).unwrap().count(),
        3,
        "nothing is left beside it"
    );
}

#[test]
fn the_file_of_the_secret_is_never_replaced() {
    let folder = Folder::new("doctor-secret");
    let secret = folder.file("secret", "s3cret");
    let other_name = folder.path("./secret");
    for file in [&secret, &other_name] {
        let ended = run(&[
            "doctor",
            "http://127.0.0.1:1",
            "--client-id",
            "a",
            "--client-secret-file",
            &secret,
            "--save",
            file,
            "--force",
        ]);
        assert!(ended.status == 2 && ended.stderr.contains("has the secret"), "{ended:?}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "s3cret");
}
