//! Fetches an issuer's keys: discovery, conditional requests, and files.

use std::{
    collections::HashSet,
    error::Error as StdError,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri,
    header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED},
};

use tokio::sync::oneshot;

use super::{KeyRefresh, freshness::Freshness};
use crate::{
    clock::timeout,
    crypto::CryptoBackend,
    jose::{Algorithm, JwkSet, JwkSetError, KeySet},
    net::{
        fetch::document::{DocumentError, Documents},
        http_caching,
        https_url::PlainHttp,
        metadata::{self, DiscoveryError, Wanted},
    },
    redact,
};

/// Where an issuer's keys are.
#[derive(Clone)]
pub(crate) enum Location {
    /// At this address.
    At(Uri),
    /// At the `jwks_uri` of its metadata document.
    Discovered,
    /// In this file.
    File(PathBuf),
}

/// Without the query of a URL, which may have a secret.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(url) => f
                .debug_tuple("At")
                .field(&url.authority().map(http::uri::Authority::as_str))
                .field(&url.path())
                .finish(),
            Self::Discovered => f.write_str("Discovered"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Gets the keys of one issuer.
#[derive(Clone)]
pub(crate) struct KeyFetcher {
    pub(crate) issuer: Arc<str>,
    pub(crate) location: Location,
    pub(crate) plain_http: PlainHttp,
    /// A header for the request for the keys, and for no other.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// The hosts that a metadata document may name for the keys; `None` allows any.
    pub(crate) hosts: Option<Arc<HashSet<String>>>,
    pub(crate) algorithms: Arc<[Algorithm]>,
    /// Whether a key without `alg` is used with every algorithm that fits it.
    pub(crate) several_algorithms_per_key: bool,
    pub(crate) backend: CryptoBackend,
    pub(crate) refresh: KeyRefresh,
    /// Whether keys may name their issuer, so that those of others are left out.
    pub(crate) keys_name_issuer: bool,
    pub(crate) documents: Documents,
    /// Whether the file is being read.
    pub(crate) reading: Arc<AtomicBool>,
    /// Which of the addresses of a metadata document is tried first: the one after those that never answered.
    pub(crate) first_form: Arc<AtomicUsize>,
    /// The address of the metadata document, where it does not follow from that of the issuer.
    pub(crate) metadata_url: Option<Uri>,
    /// Whether the log has the line that the keys are at another host than the issuer.
    pub(crate) told_of_host: Arc<AtomicBool>,
}

/// Keys that were fetched.
pub(super) struct Loaded {
    pub(super) keys: Arc<KeySet>,
    pub(super) freshness: Freshness,
    /// By how many seconds the clock of whoever answered was ahead; `None` where the answer did not say.
    pub(super) clock_offset: Option<i64>,
    validators: Validators,
}

/// The validators of an answer, for conditional requests (RFC 9110 §13.1).
#[derive(Clone, Default)]
struct Validators {
    /// The address of the answer: its validators mean nothing at another.
    url: Option<Uri>,
    entity_tag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

/// The address of the keys by discovery, and when to discover it again.
pub(super) struct Discovered {
    jwks_uri: Uri,
    until: SystemTime,
}

impl Loaded {
    /// Keys that were fetched at `now`, for tests.
    #[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
    pub(super) fn at(backend: CryptoBackend, json: &[u8], now: SystemTime) -> Self {
        let keys = Arc::new(JwkSet::from_json(json).unwrap().prepare(Algorithm::DEFAULT, backend));
        let freshness = Freshness::new(now, None, &KeyRefresh::default());
        Self { keys, freshness, clock_offset: None, validators: Validators::default() }
    }

    /// The same keys, by the `Arc` of the last ones if these are equal, so that tokens they verified stay cached.
    pub(super) fn unchanged_since(self, last: Option<&Self>) -> Self {
        match last.filter(|last| last.keys.is_same(&self.keys)) {
            Some(last) => Self { keys: Arc::clone(&last.keys), ..self },
            None => self,
        }
    }

    /// The same keys, fetched at `now` at the latest.
    pub(super) fn not_after(self, now: SystemTime) -> Self {
        Self { freshness: self.freshness.not_after(now), ..self }
    }

    /// The same keys with the same age after the clock was set back from `before` to `now`.
    pub(super) fn rebased(&self, before: SystemTime, now: SystemTime) -> Self {
        let freshness = self.freshness.rebased(before, now);
        // The difference was to a clock that has been changed.
        Self { keys: Arc::clone(&self.keys), freshness, clock_offset: None, validators: self.validators.clone() }
    }
}

impl KeyFetcher {
    /// Gets the keys, within the time limit of an attempt. `last` are those of the last one, for a conditional request.
    ///
    /// `discovered` is the result of discovery in an earlier attempt. A failure clears it: the keys may have moved.
    pub(super) async fn load(
        &self,
        last: Option<&Loaded>,
        discovered: &mut Option<Discovered>,
    ) -> Result<Loaded, FetchKeysError> {
        // KEY-13: the time that all documents may take together.
        let limit = 2 * self.refresh.timeout;
        let known = discovered.take();
        let attempt = async {
            match &self.location {
                Location::File(path) => self.read(path).await,
                Location::At(url) => self.fetch(url, last).await.map_err(|error| error.at(url)),
                Location::Discovered => {
                    let found = self.discover(known).await?;
                    let loaded = self.fetch(&found.jwks_uri, last).await.map_err(|error| error.at(&found.jwks_uri))?;
                    *discovered = Some(found);
                    Ok(loaded)
                }
            }
        };
        timeout(&*self.documents.clock, limit, attempt).await.unwrap_or(Err(FetchKeysError::TimedOut))
    }

    async fn discover(&self, known: Option<Discovered>) -> Result<Discovered, FetchKeysError> {
        let clock = &self.documents.clock;
        // A clock that was set back makes what is left longer than any lifetime: discover again.
        let is_current = |known: &Discovered| {
            known.until.duration_since(clock.now()).is_ok_and(|left| left <= self.refresh.max_interval)
        };
        if let Some(known) = known.filter(is_current) {
            return Ok(known);
        }
        let (plain_http, documents) = (&self.plain_http, &self.documents);
        let (jwks_uri, requested) = match &self.metadata_url {
            Some(url) => metadata::at(url, &self.issuer, Wanted::Keys, plain_http, documents).await?,
            None => metadata::discover(&self.issuer, Wanted::Keys, plain_http, documents, &self.first_form).await?,
        };
        let host = jwks_uri.host().unwrap_or_default().to_ascii_lowercase();
        if self.hosts.as_ref().is_some_and(|hosts| !hosts.contains(&host)) {
            return Err(FetchKeysError::ForeignHost(host.into()));
        }
        // META-6: a foreign host is allowed, and logged once.
        let is_foreign = !self.issuer_host().eq_ignore_ascii_case(&host);
        if is_foreign && self.hosts.is_none() && !self.told_of_host.swap(true, Ordering::Relaxed) {
            tracing::info!(issuer = %self.issuer, host, "the keys of an issuer are at another host");
        }
        // META-7: then the document is read again.
        let lifetime = requested.unwrap_or_default().clamp(self.refresh.min_interval, self.refresh.max_interval);
        Ok(Discovered { jwks_uri, until: clock.now() + lifetime })
    }

    fn issuer_host(&self) -> String {
        let url = self.issuer.parse::<Uri>().ok();
        url.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
    }

    async fn fetch(&self, url: &Uri, last: Option<&Loaded>) -> Result<Loaded, FetchKeysError> {
        let mut headers = self.documents.headers("application/jwk-set+json, application/json");
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
        let plain = headers.clone();
        // KEY-10: a conditional request, where the last answer had a validator.
        let comparable = last.filter(|last| last.validators.demand(url, &mut headers));
        let answer = self.documents.get(url, headers).await?;
        let now = self.documents.clock.now();
        let requested = http_caching::lifetime(url, &plain, answer.headers(), now);
        let freshness = Freshness::new(now, requested, &self.refresh);
        let (validators, clock_offset) =
            (Validators::of(url, &answer), http_caching::clock_offset(answer.headers(), now));
        if answer.status() == StatusCode::NOT_MODIFIED {
            let last = comparable.ok_or(FetchKeysError::NothingToCompare)?;
            // RFC 9111 §4.3.4: an answer about another representation confirms nothing. Fetch that one.
            if validators.entity_tag.is_some() && validators.entity_tag != last.validators.entity_tag {
                return Box::pin(self.fetch(url, None)).await;
            }
            // RFC 9111 §4.3.4: headers that the answer leaves out stay as they were.
            return Ok(Loaded {
                keys: Arc::clone(&last.keys),
                freshness: if requested.is_some() { freshness } else { last.freshness.renewed(now) },
                clock_offset,
                validators: validators.or(&last.validators),
            });
        }
        Ok(Loaded { keys: Arc::new(self.prepare(answer.body()).await?), freshness, clock_offset, validators })
    }

    async fn read(&self, path: &Path) -> Result<Loaded, FetchKeysError> {
        let (path, limit) = (path.to_owned(), self.refresh.max_document);
        // A read may hang, on a file system that is gone. It gets a thread that no runtime waits for, and only one at a time.
        if self.reading.swap(true, Ordering::Acquire) {
            return Err(FetchKeysError::TimedOut);
        }
        let (report, outcome) = oneshot::channel();
        let reading = Arc::clone(&self.reading);
        let thread = std::thread::Builder::new().name("scopegate-keys".into()).spawn(move || {
            let text = read_up_to(&path, limit);
            reading.store(false, Ordering::Release);
            let _ = report.send(text);
        });
        if let Err(error) = thread {
            self.reading.store(false, Ordering::Release);
            return Err(FetchKeysError::File(Arc::new(error)));
        }
        let text = outcome.await.map_err(|_| FetchKeysError::TaskEnded)?;
        let text = text.map_err(|error| FetchKeysError::File(Arc::new(error)))?;
        let keys = Arc::new(self.prepare(&text).await?);
        let freshness = Freshness::new(self.documents.clock.now(), None, &self.refresh);
        Ok(Loaded { keys, freshness, clock_offset: None, validators: Validators::default() })
    }

    async fn prepare(&self, json: &[u8]) -> Result<KeySet, FetchKeysError> {
        let mut set = JwkSet::from_json_up_to(json, self.refresh.max_keys).map_err(FetchKeysError::Set)?;
        // META-8: `{tenantid}` in a key stands for a tenant by the profile of that provider alone.
        if self.keys_name_issuer {
            set = set.of_issuer(&self.issuer);
        }
        if self.several_algorithms_per_key {
            set = set.dangerous_allow_several_algorithms_per_key();
        }
        let keys = set.examined().await.prepare(&self.algorithms, self.backend);
        // KEY-14: an empty set replaces none.
        if keys.is_empty() { Err(FetchKeysError::NoUsableKey) } else { Ok(keys) }
    }
}

fn read_up_to(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // A pipe or a device may never end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    let longest = u64::try_from(limit).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(longest.saturating_add(1)).read_to_end(&mut text)?;
    if text.len() > limit { Err(io::Error::other("it is longer than `max_document` allows")) } else { Ok(text) }
}

impl Validators {
    fn of(url: &Uri, answer: &Response<Bytes>) -> Self {
        let field = |name| answer.headers().get(name).cloned();
        Self { url: Some(url.clone()), entity_tag: field(ETAG), last_modified: field(LAST_MODIFIED) }
    }

    fn or(self, other: &Self) -> Self {
        Self {
            url: self.url,
            entity_tag: self.entity_tag.or_else(|| other.entity_tag.clone()),
            last_modified: self.last_modified.or_else(|| other.last_modified.clone()),
        }
    }

    /// Makes a request conditional, and returns whether there was a validator to do so.
    fn demand(&self, url: &Uri, headers: &mut HeaderMap) -> bool {
        if self.url.as_ref() != Some(url) {
            return false;
        }
        for (name, value) in [(IF_NONE_MATCH, &self.entity_tag), (IF_MODIFIED_SINCE, &self.last_modified)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        self.entity_tag.is_some() || self.last_modified.is_some()
    }
}

/// Why an attempt to get keys failed.
#[derive(Clone, Debug)]
pub(super) enum FetchKeysError {
    /// With the address that was asked.
    At(Box<str>, Box<Self>),
    Discovery(DiscoveryError),
    Document(DocumentError),
    File(Arc<io::Error>),
    ForeignHost(Box<str>),
    NoUsableKey,
    NothingToCompare,
    Set(JwkSetError),
    TaskEnded,
    TimedOut,
}

impl FetchKeysError {
    /// The same, of the keys at this address.
    fn at(self, url: &Uri) -> Self {
        Self::At(redact::url(&url.to_string()).into(), self.into())
    }

    /// The issuer's `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::At(_, error) => error.retry_after(),
            Self::Discovery(error) => error.retry_after(),
            Self::Document(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<DiscoveryError> for FetchKeysError {
    fn from(error: DiscoveryError) -> Self {
        Self::Discovery(error)
    }
}

impl From<DocumentError> for FetchKeysError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl fmt::Display for FetchKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(url, error) => write!(f, "{url}: {error}"),
            Self::Discovery(error) => error.fmt(f),
            Self::Document(error) => error.fmt(f),
            Self::File(_) => f.write_str("the file of the keys cannot be read"),
            Self::ForeignHost(host) => {
                write!(f, "the `jwks_uri` is at {host}, which is not among the allowed hosts of the issuer")
            }
            Self::NoUsableKey => f.write_str("the JWK Set has no key that can be used"),
            Self::NothingToCompare => {
                f.write_str("the answer has the status 304 Not Modified, which was not asked for")
            }
            Self::Set(error) => error.fmt(f),
            Self::TaskEnded => f.write_str("the task that fetches them ended early"),
            Self::TimedOut => f.write_str("the documents took longer than all of them may take together"),
        }
    }
}

impl StdError for FetchKeysError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::At(_, error) => error.source(),
            Self::Discovery(error) => error.source(),
            Self::Document(error) => error.source(),
            Self::File(error) => Some(&**error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit_and_not_beyond() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = directory.join("Cargo.toml");
        let length = fs::read(&file).unwrap().len();
        assert_eq!(read_up_to(&file, length).unwrap().len(), length);
        assert!(read_up_to(&file, length - 1).unwrap_err().to_string().contains("max_document"));
        assert!(read_up_to(directory, length).unwrap_err().to_string().contains("no regular file"));
    }
}
