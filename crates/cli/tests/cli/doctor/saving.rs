//! The file of the configuration.

use std::fs;

use crate::rig::{Folder, Issuer, ended, run, scopegate};

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

#[test]
fn a_file_is_replaced_by_force_alone_and_written_only_with_a_configuration() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-save");
    let file = folder.file("kept.toml", "mine");
    let base = ["doctor", issuer.identifier(), "--save", &file];
    let kept = run(&base);
    assert_eq!((kept.status, kept.stdout.as_str(), fs::read_to_string(&file).unwrap().as_str()), (2, "", "mine"));
    assert!(kept.stderr.contains("exists") && kept.stderr.contains("`--force`"), "{}", kept.stderr);
    let replaced = run(&[&base[..], &["--force"]].concat());
    assert!(
        replaced.status == 0 && replaced.stdout.contains(&format!("\nConfiguration, saved to {file}\n")),
        "{replaced:?}"
    );
    assert!(fs::read_to_string(&file).unwrap().contains(issuer.identifier()));

    let new = folder.path("new.toml");
    let ended = run(&["doctor", "http://127.0.0.1:1", "--save", &new]);
    assert!(ended.status == 1 && ended.stderr.contains("is not written") && fs::read(&new).is_err(), "{ended:?}");
    for wrong in [
        &["--force"][..],
        &["--profile", "keykloak"],
        &["--client-id", "a"],
        &["--client-secret-file", "a"],
        &["--audience", " a"],
    ] {
        assert_eq!(run(&[&["doctor", "https://as.example"], wrong].concat()).status, 2, "{wrong:?}");
    }
}

#[test]
fn the_file_of_a_secret_is_found_from_every_folder() {
    let issuer = Issuer::start(&[]);
    let folder = Folder::new("doctor-relative");
    let secret = folder.file("secret", "test-secret\n");
    let client = ["--client-id", "test-client", "--client-secret-file", "secret"];
    let mut command = scopegate(&[&["doctor", "--json", issuer.identifier()], &client[..]].concat());
    let json = ended(command.current_dir(folder.path(""))).json();
    let configuration = json["configuration"].as_str().unwrap();
    assert!(configuration.contains(&format!("client_secret_file = {secret:?}\n")), "{configuration}");
}
