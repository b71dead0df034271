use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::sync::Mutex;

use super::{
    Authenticator, SignedAnswers,
    answer::{self, JSON, SIGNED},
};
use crate::{
    clock::Clock,
    fetch::{Fetch, FetchLimits, document::Documents},
    https_url::PlainHttp,
    inquiry::{CannotTell, Fault, Told},
    metadata::{self, Wanted},
};

/// For how long a discovered endpoint is relied on: as long as its document says, within these.
const LIFETIME: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));

/// Asks an issuer about a token: one request, and what was answered.
pub(crate) struct Asker {
    pub(crate) issuer: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Authenticator,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) token_type_hint: bool,
    /// Where answers have to be signed: how.
    pub(crate) signed: Option<SignedAnswers>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: FetchLimits,
}

impl Asker {
    /// What the issuer says of the token.
    pub(crate) async fn ask(&self, token: &str) -> Result<Told, CannotTell> {
        let endpoint = self.endpoint.url(&self.issuer).await?;
        let mut retried = false;
        let answer = loop {
            let request = self.request(&endpoint, token)?;
            match self.fetch.fetch(request, self.limits).await {
                Ok(answer) => break answer,
                // The connection may have been closed while it was idle. Asking twice does no harm (RFC 7662 §2.1), but
                // waiting twice would.
                Err(error) if error.may_be_tried_again() && !retried => retried = true,
                Err(error) => return Err(CannotTell::new(Fault::Theirs, error)),
            }
        };
        match &self.signed {
            None => answer::told(&answer::body(answer, JSON, self.limits.body)?),
            Some(signed) => {
                let jwt = answer::body(answer, SIGNED, self.limits.body)?;
                answer::told(&signed.open(&jwt, &self.issuer, self.client.client_id(), self.clock.now()).await?)
            }
        }
    }

    /// RFC 7662 §2.1: a POST with a form, since a URL would be logged. An assertion is good for one request, so each has
    /// its own.
    fn request(&self, endpoint: &Uri, token: &str) -> Result<Request<Bytes>, CannotTell> {
        let accept = if self.signed.is_some() { SIGNED } else { JSON };
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static(accept)),
        ]);
        let mut form: Vec<(&'static str, Cow<'_, str>)> = vec![("token", token.into())];
        if self.token_type_hint {
            form.push(("token_type_hint", "access_token".into()));
        }
        self.client
            .authenticate(&self.issuer, self.clock.now(), &mut headers, &mut form)
            .map_err(|fault| CannotTell::new(Fault::Ours, fault))?;
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(form).extend_pairs(&self.parameters).finish();

        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker")
            .field("issuer", &self.issuer)
            .field("signed", &self.signed.is_some())
            .finish_non_exhaustive()
    }
}

/// Where to ask.
pub(crate) enum Endpoint {
    At(Uri),
    Discovered(Box<Discovery>),
}

/// An endpoint that the issuer's metadata document names.
pub(crate) struct Discovery {
    documents: Documents,
    metadata_url: Option<Uri>,
    plain_http: PlainHttp,
    wanted: Wanted,
    found: ArcSwapOption<Discovered>,
    first_form: AtomicUsize,
    /// One looks at a time, and the others wait for what is found.
    looking: Mutex<()>,
}

struct Discovered {
    url: Uri,
    since: SystemTime,
    lifetime: Duration,
}

impl Discovered {
    fn is_current(&self, now: SystemTime) -> bool {
        now.duration_since(self.since).is_ok_and(|age| age < self.lifetime)
    }
}

impl Endpoint {
    pub(crate) fn discovered(
        documents: Documents,
        metadata_url: Option<Uri>,
        plain_http: PlainHttp,
        by_certificate: bool,
    ) -> Self {
        Self::Discovered(Box::new(Discovery {
            documents,
            metadata_url,
            plain_http,
            wanted: Wanted::Introspection { by_certificate },
            found: ArcSwapOption::empty(),
            first_form: AtomicUsize::new(0),
            looking: Mutex::default(),
        }))
    }

    /// The endpoint as it is configured, to tell one from another.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::At(url) => url.to_string(),
            Self::Discovered(_) => "discovered".to_owned(),
        }
    }

    async fn url(&self, issuer: &str) -> Result<Uri, CannotTell> {
        match self {
            Self::At(url) => Ok(url.clone()),
            Self::Discovered(discovery) => discovery.url(issuer).await,
        }
    }
}

impl Discovery {
    async fn url(&self, issuer: &str) -> Result<Uri, CannotTell> {
        let current = || self.found.load_full().filter(|found| found.is_current(self.documents.clock.now()));
        if let Some(found) = current() {
            return Ok(found.url.clone());
        }
        let _looking = self.looking.lock().await;
        if let Some(found) = current() {
            return Ok(found.url.clone());
        }
        let since = self.documents.clock.now();
        let (plain_http, documents) = (self.plain_http, &self.documents);
        let found = match &self.metadata_url {
            Some(url) => metadata::at(url, issuer, self.wanted, plain_http, documents).await,
            None => metadata::discover(issuer, self.wanted, plain_http, documents, &self.first_form).await,
        };
        match (found, self.found.load_full()) {
            (Ok((url, wish)), _) => {
                let lifetime = wish.unwrap_or_default().clamp(LIFETIME.0, LIFETIME.1);
                self.found.store(Some(Arc::new(Discovered { url: url.clone(), since, lifetime })));
                Ok(url)
            }
            // Where it was will do, until the document can be had again.
            (Err(_), Some(last)) => Ok(last.url.clone()),
            (Err(error), None) => Err(CannotTell::new(Fault::Theirs, error)),
        }
    }
}
