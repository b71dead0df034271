//! A Redis server in a process of its own, and what is asked of it and of stores.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use redis::{Connection, FromRedisValue, Value};
use scopegate_core::{
    clock::{Clock as _, SystemClock},
    dpop::{ProofUse, ReplayKey, ReplayStore as _, UsedProof},
    online::StoreError,
};
use scopegate_redis::{RedisStore, RedisStoreBuilder};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A server on a port and in a folder of its own. It ends with this value.
pub(crate) struct Redis {
    process: Child,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    arguments: Vec<String>,
}

/// Starts a server, or returns from the test where it is not installed.
macro_rules! redis_or_skip {
    ($($argument:expr),* $(,)?) => {
        match $crate::rig::Redis::start(&[$($argument),*]) {
            Some(redis) => redis,
            None => return,
        }
    };
}
pub(crate) use redis_or_skip;

impl Redis {
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        if !is_installed() {
            assert!(env::var("SCOPEGATE_REQUIRE_REDIS").as_deref() != Ok("1"), "redis-server is not installed");
            println!("skipped, no Redis: install redis-server");
            return None;
        }
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Another process may take a free port before the server does.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = env::temp_dir().join(format!("scopegate-redis-{}-{port}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            if let Some(process) = spawn(port, &folder, &arguments) {
                return Some(Self { process, port, folder, arguments });
            }
            fs::remove_dir_all(&folder).unwrap();
        }
        panic!("redis-server does not start");
    }

    /// Starts a Sentinel with this configuration, which it rewrites.
    pub(crate) fn start_sentinel(configuration: &Path) -> Option<Self> {
        Self::start(&[configuration.to_str().unwrap(), "--sentinel"])
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A store whose clock, and whose server's, are those of this host.
    pub(crate) fn builder(&self) -> RedisStoreBuilder {
        RedisStore::builder(self.url()).max_clock_difference(Duration::ZERO)
    }

    pub(crate) fn store(&self) -> RedisStore {
        self.builder().build().unwrap()
    }

    /// Ends it as a crash would, by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it once more, where it was, with what it has saved.
    pub(crate) fn restart(&mut self) {
        self.kill();
        for _ in 0..50 {
            if let Some(process) = spawn(self.port, &self.folder, &self.arguments) {
                self.process = process;
                return;
            }
        }
        panic!("redis-server does not start again");
    }

    pub(crate) fn connection(&self) -> Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        for word in words {
            asked.arg(word);
        }
        asked.query(&mut self.connection()).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// All keys, and what is under each, as Redis dumps it.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let keys: Vec<String> = self.ask("KEYS *");
        keys.into_iter()
            .map(|key| {
                let value = match self.ask::<String>(&format!("TYPE {key}")).as_str() {
                    "hash" => flattened(self.ask(&format!("HGETALL {key}"))),
                    _ => flattened(self.ask(&format!("GET {key}"))),
                };
                (key, value)
            })
            .collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn flattened(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::Array(values) => values.into_iter().flat_map(flattened).collect(),
        Value::Map(values) => values.into_iter().flat_map(|(a, b)| [flattened(a), flattened(b)].concat()).collect(),
        other => format!("{other:?}").into_bytes(),
    }
}

fn is_installed() -> bool {
    static IS_INSTALLED: OnceLock<bool> = OnceLock::new();
    *IS_INSTALLED.get_or_init(|| Command::new("redis-server").arg("--version").output().is_ok())
}

/// The server, once it accepts connections.
fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Option<Child> {
    let is_sentinel = arguments.last().is_some_and(|last| last == "--sentinel");
    let mut command = Command::new("redis-server");
    // The file of a configuration comes first.
    let (file, arguments) = arguments.split_at(usize::from(is_sentinel));
    command.args(file).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder);
    if !is_sentinel {
        command.args(["--save", "", "--appendonly", "no"]);
    }
    let mut process = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let is_up = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains(if is_sentinel { "Sentinel ID is" } else { "Ready to accept connections" }));
    if !is_up {
        drop(process.wait());
        return None;
    }
    // It must not wait for a reader of what else it says.
    std::thread::spawn(move || lines.for_each(drop));
    Some(process)
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

pub(crate) async fn wait(time: Duration) {
    SystemClock.sleep(time).await;
}

pub(crate) fn digest(number: u64) -> [u8; 32] {
    let mut digest = [0xd1; 32];
    digest[24..].copy_from_slice(&number.to_be_bytes());
    digest
}

/// A proof that was made after Redis was started, by far.
pub(crate) fn proof(number: u64) -> UsedProof {
    proof_from(number, now() + MINUTE)
}

pub(crate) fn proof_from(number: u64, acceptable_from: Duration) -> UsedProof {
    UsedProof::new(ReplayKey::from_bytes(digest(number)), acceptable_from, 2 * MINUTE)
}

pub(crate) async fn insert(store: &RedisStore, proof: UsedProof) -> Result<ProofUse, StoreError> {
    store.insert_if_absent(proof).await
}

/// What was logged with this text in it, by any thread.
pub(crate) fn logged(part: &str) -> usize {
    let log = log().0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&log).lines().filter(|line| line.contains(part)).count()
}

/// Begins to record, once for all tests.
pub(crate) fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        log
    })
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
