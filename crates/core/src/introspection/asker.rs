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

/// How long after an attempt that failed the document is asked for again.
const RETRY: Duration = Duration::from_secs(30);

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
        let endpoint = self.endpoint.url().await?;
        let mut retried = false;
        let answer = loop {
            let request = self.request(&endpoint, token)?;
            match self.fetch.fetch(request, self.limits).await {
                Ok(answer) => break answer,
                // The connection may have been closed while it was idle. Asking twice does no harm (RFC 7662 §2.1), but
                // waiting twice would.
                Err(error) if error.may_be_tried_again() && !retried => retried = true,
                Err(error) if error.is_about_answer() => {
                    return Err(CannotTell::new(Fault::Theirs, error).about_token());
                }
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
    Discovered(Arc<Discovery>),
}

/// An endpoint that the issuer's metadata document names.
pub(crate) struct Discovery {
    pub(crate) issuer: Arc<str>,
    pub(crate) documents: Documents,
    pub(crate) metadata_url: Option<Uri>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) by_certificate: bool,
    /// Where the endpoint may be besides the issuer's own host: our credentials and every opaque token go there.
    pub(crate) hosts: Vec<String>,
    pub(crate) found: ArcSwapOption<Discovered>,
    pub(crate) first_form: AtomicUsize,
    /// One looks at a time, and the others wait for what is found.
    pub(crate) looking: Mutex<()>,
}

pub(crate) struct Discovered {
    url: Uri,
    /// When it is looked for again.
    due: SystemTime,
    since: SystemTime,
}

impl Discovered {
    fn is_current(&self, now: SystemTime) -> bool {
        self.since <= now && now < self.due
    }
}

impl Endpoint {
    /// The endpoint as it is configured, to tell one from another.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::At(url) => url.to_string(),
            Self::Discovered(_) => "discovered".to_owned(),
        }
    }

    async fn url(&self) -> Result<Uri, CannotTell> {
        match self {
            Self::At(url) => Ok(url.clone()),
            Self::Discovered(discovery) => discovery.url().await,
        }
    }
}

impl Discovery {
    /// Where it was will do until it is known whether it is somewhere else: nobody waits for that but the first.
    async fn url(self: &Arc<Self>) -> Result<Uri, CannotTell> {
        let now = || self.documents.clock.now();
        if let Some(found) = self.found.load_full() {
            if !found.is_current(now()) {
                // Not before a while has passed, whatever comes of it.
                let due = now() + RETRY;
                self.found.store(Some(Arc::new(Discovered { url: found.url.clone(), due, since: now() })));
                let discovery = Arc::clone(self);
                tokio::spawn(async move { discovery.look().await.ok() });
            }
            return Ok(found.url.clone());
        }
        let _looking = self.looking.lock().await;
        match self.found.load_full() {
            Some(found) => Ok(found.url.clone()),
            None => self.look().await,
        }
    }

    async fn look(&self) -> Result<Uri, CannotTell> {
        let since = self.documents.clock.now();
        let wanted = Wanted::Introspection { by_certificate: self.by_certificate };
        let (issuer, plain_http, documents) = (&*self.issuer, &self.plain_http, &self.documents);
        let found = match &self.metadata_url {
            Some(url) => metadata::at(url, issuer, wanted, plain_http, documents).await,
            None => metadata::discover(issuer, wanted, plain_http, documents, &self.first_form).await,
        };
        let (url, wish) = found.map_err(|error| CannotTell::new(Fault::Theirs, error))?;
        if !self.allows(&url) {
            let host = url.host().unwrap_or_default();
            let fault = format!(
                "the metadata document names an introspection endpoint at another host, {host}, which our credentials would go \
                 to; allow that with `Introspection::endpoint_hosts`, or name the endpoint with `Introspection::at`"
            );
            return Err(CannotTell::new(Fault::Ours, fault));
        }
        let due = since + wish.unwrap_or_default().clamp(LIFETIME.0, LIFETIME.1);
        self.found.store(Some(Arc::new(Discovered { url: url.clone(), due, since })));
        Ok(url)
    }

    fn allows(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default();
        let issuer = self.issuer.parse::<Uri>().ok();
        issuer.as_ref().and_then(Uri::host).is_some_and(|own| own.eq_ignore_ascii_case(host))
            || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}
