//! The network as an input: HTTP requests, HTTP caching, the URLs that may be fetched, and issuers' metadata documents.

pub mod discovery;
pub mod fetch;
pub(crate) mod http_caching;
pub(crate) mod https_url;
pub(crate) mod metadata;
