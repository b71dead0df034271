//! The bodies of requests.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use crate::Failure;

/// A body with the members that an endpoint documents, and no others.
///
/// Not axum's `Json`, whose rejections quote the request.
pub(crate) struct Body<T>(pub(crate) T);

/// What an endpoint's body is like.
pub(crate) trait Documented: DeserializeOwned {
    /// Said to those who send another one.
    const REMEDY: &'static str;
}

impl<T: Documented, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await;
        let body =
            body.map_err(|_| Failure::bad_request("the body is longer than 64 KiB, or broke off; send it anew"))?;
        serde_json::from_slice(&body).map(Self).map_err(|_| Failure::bad_request(T::REMEDY))
    }
}
