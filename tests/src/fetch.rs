use bytes::Bytes;
use http::{Request, Response};
use scopegate_core::{
    BoxFuture,
    fetch::{Fetch, FetchError, FetchLimits},
};

use crate::wire::exchange;

/// A client for issuers on the same machine, so that tests of fetching run without TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopbackFetch;

impl Fetch for LoopbackFetch {
    fn fetch(
        &self,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        Box::pin(async move {
            let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let mut text =
                format!("{} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n", request.method());
            for (name, value) in request.headers() {
                text += &format!("{name}: {}\r\n", value.to_str().map_err(FetchError::failed)?);
            }
            text += &format!("Content-Length: {}\r\n\r\n", request.body().len());
            let raw =
                exchange(&authority, &[text.as_bytes(), request.body()].concat()).await.map_err(FetchError::failed)?;
            let (head, body) = raw.split_once("\r\n\r\n").ok_or_else(|| FetchError::failed("no response"))?;
            let status = head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse::<u16>().ok())
                .ok_or_else(|| FetchError::failed("no status"))?;
            if body.len() > limits.body {
                return Err(FetchError::body_too_large());
            }
            let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let response =
                fields.fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
            response.body(Bytes::from(body.to_owned())).map_err(FetchError::failed)
        })
    }
}
