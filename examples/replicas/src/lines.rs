//! The lines to try, with the status and the challenge to expect.

use std::{path::Path, time::Duration};

use scopegate_testing::{DpopClient, TestIssuer};

use crate::replica::PUBLIC_URL;

/// Prints the lines: with the switches of Redis, if there are some.
pub(crate) fn print(
    issuer: &TestIssuer,
    client: &DpopClient,
    key: &Path,
    [first, second]: [&str; 2],
    switches: Option<String>,
) {
    let token = issuer.token().audience(PUBLIC_URL).scope("message").bound_to(client);
    let token = token.expires_in(Duration::from_secs(60 * 60)).issue();
    let proof = format!(
        "PROOF=\"$(cargo run -q -p replicas -- proof GET '{PUBLIC_URL}/messages' --key '{}' --token '{token}')\"",
        key.display()
    );
    let curl = |url: &str| format!("curl -i -H 'Authorization: DPoP {token}' -H \"DPoP: $PROOF\" '{url}/messages'");
    let with_new_proof = |url| format!("{proof}\n{}", curl(url));
    let used = "401 invalid_dpop_proof: this replica has not seen the proof, and refuses it, since it was used";
    let challenge = format!(
        "\n#   www-authenticate: DPoP realm=\"{PUBLIC_URL}\", error=\"invalid_dpop_proof\", error_description=\"the DPoP proof \
         was used before\", scope=\"message\", algs=\"ES256 ES384 Ed25519 PS256 RS256\""
    );

    println!("Clients would reach both at {PUBLIC_URL}, and their proofs are for that URL.");
    println!("\n# 200: the first replica accepts a proof\n{}", with_new_proof(first));
    println!("\n# {used}{challenge}\n{}", curl(second));
    match switches {
        None => {
            println!("\nStop your Redis, and a new proof is answered 503; start it, and after 11 seconds it is 200.")
        }
        Some(url) => {
            println!("\n# 200: Redis is killed\ncurl -i -X POST '{url}/kill'");
            println!(
                "\n# 503: nobody can tell whether a proof was used\n#   retry-after: 5\n{}",
                with_new_proof(second)
            );
            println!("\n# 200: Redis is started, and this waits for 11 seconds\ncurl -i -X POST '{url}/start'");
            println!("\n# 200: the second replica accepts a proof\n{}", with_new_proof(second));
            println!("\n# {used}{challenge}\n{}", curl(first));
        }
    }
    println!();
}
