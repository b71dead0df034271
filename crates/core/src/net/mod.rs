//! The network as an input: fetching, HTTP caching, which URLs may be fetched, and issuers' metadata documents.

pub mod fetch;
pub(crate) mod http_caching;
pub(crate) mod https_url;
pub(crate) mod metadata;
