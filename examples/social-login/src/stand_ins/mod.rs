//! Stand-ins for the providers: one server each on the loopback interface, with a few tokens and an outage switch.

pub(crate) mod github;
pub(crate) mod qq;
pub(crate) mod wechat;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use tokio::net::TcpListener;

/// The URLs of the stand-ins.
pub(crate) struct StandIns {
    pub(crate) github: String,
    pub(crate) qq: String,
    pub(crate) wechat: String,
}

impl StandIns {
    /// Starts all of them. They run for as long as the program does.
    pub(crate) async fn start() -> io::Result<Self> {
        Ok(Self {
            github: start(github::router()).await?,
            qq: start(qq::router()).await?,
            wechat: start(wechat::router()).await?,
        })
    }
}

/// Serves a provider, and two switches with it: `POST /outage` and `POST /recover`.
async fn start(provider: Router) -> io::Result<String> {
    let is_down = Arc::new(AtomicBool::new(false));
    let switch = |down: bool, text: &'static str| {
        let is_down = Arc::clone(&is_down);
        post(move || async move {
            is_down.store(down, Ordering::Relaxed);
            text
        })
    };
    let app = provider
        .layer(middleware::from_fn_with_state(Arc::clone(&is_down), unless_down))
        .route("/outage", switch(true, "The provider answers 503 to everything.\n"))
        .route("/recover", switch(false, "The provider is back.\n"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn unless_down(State(is_down): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    if is_down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}
