//! The Redis that the replicas share: that of `REDIS_URL`, or one that this command starts, with switches to kill it and start it.

use std::{
    env,
    error::Error,
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use scopegate_axum::{
    clock::{Clock as _, SystemClock},
    dpop::{ReplayKey, ReplayStore as _, UsedProof},
};
use scopegate_redis::RedisStore;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::Mutex,
};

use crate::{
    child::{self, Child},
    replica,
};

const NOT_INSTALLED: &str = "there is no redis-server and no valkey-server: install one (Debian and Ubuntu: `apt install \
redis-server`; macOS: `brew install redis`), or set REDIS_URL to a Redis that runs elsewhere";

/// How far ahead of the clock a proof may be: one that is made now can have been used so much earlier.
const AHEAD: Duration = Duration::from_secs(10);

/// How long [`Redis::wait_until_ready`] waits between attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How many it makes: for 30 seconds.
const ATTEMPTS: u32 = 60;

pub(crate) struct Redis {
    url: String,
    store: RedisStore,
    /// The one that this command has started.
    own: Option<(Server, Mutex<Option<Child>>)>,
}

impl Redis {
    /// Takes the Redis of `REDIS_URL`, or starts one that keeps its files in this folder.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        if let Ok(url) = env::var("REDIS_URL") {
            let store = replica::store(&url).map_err(|error| format!("REDIS_URL: {error}"))?;
            return Ok(Self { url, store, own: None });
        }
        let program = installed().await.ok_or(NOT_INSTALLED)?;
        // Another process may take a free port before the server does.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let server =
                Server { program: program.into(), port: port.to_string(), folder: folder.display().to_string() };
            if let Some(child) = server.start().await? {
                let url = format!("redis://127.0.0.1:{port}/");
                println!("Redis is at {url}");
                let store = replica::store(&url)?;
                return Ok(Self { url, store, own: Some((server, Mutex::new(Some(child)))) });
            }
        }
        Err(format!("{program} does not start").into())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the switches are, if this Redis has some.
    pub(crate) fn switches(&self, url: &str) -> Option<String> {
        self.own.as_ref().map(|_| format!("{url}/redis"))
    }

    /// Waits until a proof that is made now can be accepted: a Redis that was just started does not know what was used before it.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), Box<dyn Error>> {
        for attempt in 1.. {
            // The time of a proof is in whole seconds.
            let made_at = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
            let acceptable_from = Duration::from_secs(made_at).saturating_sub(AHEAD);
            // No proof has this key, which is no digest.
            let proof = UsedProof::new(ReplayKey::from_bytes([0; 32]), acceptable_from, PAUSE);
            match self.store.insert_if_absent(proof).await {
                Err(error) if attempt == ATTEMPTS => return Err(format!("Redis: {error}").into()),
                Err(_) => SystemClock.sleep(PAUSE).await,
                Ok(_) => break,
            }
        }
        Ok(())
    }
}

/// The first that is installed.
async fn installed() -> Option<&'static str> {
    for program in ["redis-server", "valkey-server"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().await.is_ok() {
            return Some(program);
        }
    }
    None
}

/// A server that this command runs.
pub(crate) struct Server {
    program: String,
    port: String,
    folder: String,
}

impl Server {
    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        let [program, port, folder] = arguments else { return None };
        Some(Self { program: (*program).into(), port: (*port).into(), folder: (*folder).into() })
    }

    /// Starts it by a process of this command, with which it ends. `None` where the port is taken.
    async fn start(&self) -> std::io::Result<Option<Child>> {
        Child::start(&["redis", &self.program, &self.port, &self.folder], &[]).await
    }

    /// In that process: runs the server, and kills it once the command ends.
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let mut server = Command::new(&self.program)
            .args(["--port", &self.port, "--bind", "127.0.0.1", "--dir", &self.folder])
            .args(["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(server.stdout.take().ok_or("no pipe")?).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("Ready to accept connections") {
                println!("ready");
                // Whatever else it says is read, so that it does not wait for that.
                let ended = async { while let Ok(Some(_)) = lines.next_line().await {} };
                tokio::select! {
                    () = ended => {}
                    () = child::parent_ended() => {}
                }
                server.kill().await?;
                return Ok(());
            }
        }
        Err(format!("{} has ended", self.program).into())
    }
}

/// The switches, both of them `POST` and open to everyone who reaches the loopback interface. A real API has no such routes.
pub(crate) fn router(redis: Arc<Redis>) -> Router {
    Router::new().route("/redis/kill", post(kill)).route("/redis/start", post(start)).with_state(redis)
}

type Answer = (StatusCode, &'static str);

async fn kill(State(redis): State<Arc<Redis>>) -> Answer {
    let Some((_, child)) = &redis.own else { return NOT_OWN };
    let Some(child) = child.lock().await.take() else { return (StatusCode::OK, "Redis is not running.\n") };
    match child.end().await {
        Ok(()) => (StatusCode::OK, "Redis is killed.\n"),
        Err(_) => FAILED,
    }
}

async fn start(State(redis): State<Arc<Redis>>) -> Answer {
    let Some((server, child)) = &redis.own else { return NOT_OWN };
    let mut child = child.lock().await;
    if child.is_none() {
        let Ok(Some(started)) = server.start().await else { return FAILED };
        *child = Some(started);
    }
    match redis.wait_until_ready().await {
        Ok(()) => (
            StatusCode::OK,
            "Redis is back. It has forgotten which proofs were used, so the replicas have answered 503 until no proof was \
             acceptable any more that can have been used before.\n",
        ),
        Err(_) => FAILED,
    }
}

const NOT_OWN: Answer = (StatusCode::NOT_FOUND, "This Redis is that of REDIS_URL.\n");

const FAILED: Answer = (StatusCode::INTERNAL_SERVER_ERROR, "That did not work.\n");
