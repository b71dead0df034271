//! Two processes of one API that share used DPoP proofs through Redis, in one command: `cargo run -p replicas`.
//!
//! Starts a Redis, an issuer and both processes on the loopback interface, and prints `curl` lines to try: a proof that one replica
//! has accepted is refused by the other, and without Redis none is accepted.
#![forbid(unsafe_code)]

mod child;
#[path = "../../command.rs"]
mod command;
mod lines;
#[path = "../../proof.rs"]
mod proof;
mod redis;
mod replica;

use std::{env, error::Error, fs, path::Path, process::ExitCode, sync::Arc};

use scopegate_testing::TestIssuer;
use tokio::net::TcpListener;

use crate::{child::Child, redis::Redis};

const HELP: &str = "\
Two processes of one API, /messages (scope message), that share used DPoP proofs through Redis.

Usage: cargo run -p replicas
       cargo run -p replicas -- proof METHOD URL --key FILE --token TOKEN

  proof  print a proof for one request, for the header DPoP; FILE is the client's key, which the command has written

Environment:
  PORT       the port on 127.0.0.1 to listen on, for the switches of Redis; 0 picks a free one (default 3000)
  REDIS_URL  use this Redis or Valkey, in place of a redis-server or valkey-server that the command starts
";

/// What the command is run for. It runs itself for the last two.
enum Arguments {
    Serve,
    Proof(proof::Arguments),
    Replica { issuer: String },
    Redis(redis::Server),
}

#[tokio::main]
async fn main() -> ExitCode {
    command::main_with("replicas", HELP, parse, run).await
}

fn parse(arguments: &[&str]) -> Option<Arguments> {
    match *arguments {
        [] => Some(Arguments::Serve),
        ["proof", ref arguments @ ..] => proof::Arguments::parse(arguments).map(Arguments::Proof),
        ["replica", issuer] => Some(Arguments::Replica { issuer: issuer.to_owned() }),
        ["redis", ref arguments @ ..] => redis::Server::parse(arguments).map(Arguments::Redis),
        _ => None,
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    match arguments {
        Arguments::Serve => serve().await,
        Arguments::Proof(arguments) => proof::print(&arguments),
        Arguments::Replica { issuer } => replica::run(issuer).await,
        Arguments::Redis(server) => server.run().await,
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let listener = command::listen().await?;
    let folder = env::temp_dir().join(format!("scopegate-replicas-{}", listener.local_addr()?.port()));
    fs::create_dir_all(&folder)?;
    let served = serve_from(listener, &folder).await;
    fs::remove_dir_all(folder)?;
    served
}

async fn serve_from(listener: TcpListener, folder: &Path) -> Result<(), Box<dyn Error>> {
    let key = folder.join("client.jwk");
    let client = proof::new_client(&key)?;
    println!("The client's key is in {}.", folder.display());

    let redis = Arc::new(Redis::start(folder).await?);
    let issuer = TestIssuer::start().await;
    let replicas = [start_replica(&issuer, &redis).await?, start_replica(&issuer, &redis).await?];
    println!("The replicas are at {} and {}.", replicas[0].line(), replicas[1].line());
    println!("Waiting until Redis has remembered proofs for 11 seconds: it cannot tell whether an older one was used.");
    redis.wait_until_ready().await?;

    let switches = redis.switches(&format!("http://{}", listener.local_addr()?));
    lines::print(&issuer, &client, &key, replicas.each_ref().map(Child::line), switches);
    axum::serve(listener, redis::router(redis)).with_graceful_shutdown(command::interrupted()).await?;
    Ok(())
}

async fn start_replica(issuer: &TestIssuer, redis: &Redis) -> Result<Child, Box<dyn Error>> {
    let child = Child::start(&["replica", issuer.issuer()], &[("REDIS_URL", redis.url())]).await?;
    Ok(child.ok_or("a replica has ended; its log says why")?)
}
