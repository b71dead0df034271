//! `scopegate rotate`.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    Failure, Output, Verdict,
    issuer_client::{self, DEFAULT_PORT},
    printable::printable,
};

/// Give the running issuer new keys
///
/// It signs with them from now on. A service fetches them when a token names one: at most once a second with the
/// variables that the issuer prints, and once in 30 seconds by default.
#[derive(Args)]
pub(crate) struct Rotate {
    /// The port of the issuer
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Stop publishing the old keys at once, as after a compromise
    #[arg(long)]
    drop_old: bool,
}

impl Rotate {
    pub(crate) async fn run(self, output: &Output) -> Result<Verdict, Failure> {
        let keep_old = if self.drop_old { "false" } else { "true" };
        let keys = issuer_client::post(self.port, "/rotate", &[("keep_old", keep_old)]).await?;
        // Whatever answers at the port may say more, and anything.
        let keys: Vec<[String; 2]> = keys["keys"].as_array().into_iter().flatten().map(described).collect();
        let published: String = keys.iter().map(|[algorithm, id]| format!("{algorithm:<8}{id}\n")).collect();
        let json: Vec<Value> = keys.iter().map(|[algorithm, id]| json!({ "alg": algorithm, "kid": id })).collect();
        let issuer = issuer_client::identifier(self.port);
        output.result(
            &format!("The keys of {issuer}, the one that signs first:\n{published}"),
            &json!({ "keys": json }),
        )?;
        Ok(Verdict::Good)
    }
}

/// Algorithm and id.
fn described(key: &Value) -> [String; 2] {
    ["alg", "kid"].map(|name| printable(key[name].as_str().unwrap_or("-")))
}
