//! Runs the example as a user would, and each line that it prints.

#[path = "../../printed_lines.rs"]
mod printed_lines;

use std::{fs, process::Command, sync::Arc};

use printed_lines::{Running, answer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

/// The number of printed lines.
const LINES: usize = 6;

fn example() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-api"));
    command.env("PORT", "0");
    command
}

#[test]
fn every_printed_line_gets_its_printed_result() {
    let running = Running::start(&mut example(), LINES);
    let answers = running.run_lines_by(curl);
    assert!(answer(&answers, "bound to the certificate").ends_with("For the holder of the certificate alone.\n"));
    let directory = running.introduction[0].rsplit_once(" in ").unwrap().1.trim_end_matches('.');
    fs::remove_dir_all(directory).unwrap();
}

/// Does what `curl -i --cacert 'FILE' [--cert 'FILE' --key 'FILE'] [-H 'HEADER']... 'URL'` does, so that the test needs no curl.
fn curl(line: &str) -> String {
    let quoted: Vec<&str> = line.split('\'').collect();
    let values = |option: &str| -> Vec<&str> {
        quoted.windows(2).filter(|pair| pair[0].ends_with(&format!("{option} "))).map(|pair| pair[1]).collect()
    };
    let (authority, path) = quoted[quoted.len() - 2].strip_prefix("https://").unwrap().split_once('/').unwrap();
    let headers: String = values("-H").iter().map(|header| format!("{header}\r\n")).collect();
    let certificate = |file: &&str| CertificateDer::from_pem_file(file).unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(certificate(&values("--cacert")[0])).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match (&values("--cert")[..], &values("--key")[..]) {
        ([file], [key]) => {
            config.with_client_auth_cert(vec![certificate(file)], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
        _ => config.with_no_client_auth(),
    };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(authority).await.unwrap();
        let name = ServerName::try_from(authority.split(':').next().unwrap().to_owned()).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    })
}

#[test]
fn a_wrong_environment_is_explained() {
    let output = example().env("PORT", "https").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("it has to be a number from 0 to 65535"), "{errors}");
}

#[test]
fn help_names_the_environment() {
    let output = example().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("PORT"), "{help}");
}
