//! The network, as far as the gate sees one.

use bytes::Bytes;
use http::{Request, Response};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};

/// The JWK Set of each issuer, or `None` for an outage.
#[derive(Clone, Debug)]
pub struct Network(pub Vec<Option<String>>);

impl Network {
    /// Where the set of an issuer is.
    pub fn url(issuer: usize) -> String {
        format!("https://keys.example/{issuer}")
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let set = (0..).zip(&self.0).find(|(index, _)| request.uri() == Self::url(*index).as_str());
        let answer = match set.and_then(|(_, set)| set.clone()) {
            Some(set) => Ok(Response::new(Bytes::from(set))),
            None => Err(FetchError::failed("there is an outage")),
        };
        Box::pin(async { answer })
    }
}
