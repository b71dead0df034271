//! `POST /playground/proof`: proofs of DPoP, by the client whose key tokens are bound to.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{Extension, Json, extract::State};
use scopegate_testing::{DpopClient, SigningAlgorithm};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    AppState,
    body::{Body, Documented},
    guard::LocalHost,
    token::Fault,
};

/// How many tokens are remembered whose proofs have a fault.
const CAPACITY: usize = 500;

/// The tokens whose proofs are to have a fault.
#[derive(Default)]
pub(crate) struct FaultyProofs {
    tokens: Mutex<VecDeque<(String, Fault)>>,
}

impl FaultyProofs {
    pub(crate) fn remember(&self, token: &str, fault: Fault) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.truncate(CAPACITY - 1);
        tokens.push_front((token.to_owned(), fault));
    }

    fn of(&self, token: &str) -> Option<Fault> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().find(|(own, _)| own == token).map(|(_, fault)| *fault)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    method: String,
    path: String,
    token: String,
}

impl Documented for Wanted {
    const REMEDY: &'static str =
        r#"send the request that the proof is for: {"method": "GET", "path": "/messages", "token": "..."}"#;
}

/// A proof for one request to this host. A token that was made with a fault of its proofs gets such a proof.
pub(crate) async fn proof(
    State(shared): AppState,
    Extension(LocalHost(host)): Extension<LocalHost>,
    Body(wanted): Body<Wanted>,
) -> Json<Value> {
    let url = format!("http://{host}{}", wanted.path);
    let fault = shared.faulty_proofs.of(&wanted.token);
    let client = match fault {
        Some(Fault::ProofByAnotherKey) => DpopClient::generate(SigningAlgorithm::Es256),
        _ => shared.client.clone(),
    };
    let proof = client.proof(&wanted.method, url).for_token(&wanted.token);
    let proof = match fault {
        Some(Fault::ProofForAnotherMethod) => proof.method("DELETE"),
        Some(Fault::ProofTooOld) => proof.issued_ago(Duration::from_secs(10 * 60)),
        _ => proof,
    };
    Json(json!({ "proof": proof.issue() }))
}
