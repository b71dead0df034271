//! Which proofs were used.

use std::time::Duration;

use redis::from_redis_value;
use scopegate_core::{
    BoxFuture,
    dpop::{ProofUse, ReplayStore, UsedProof},
    online::StoreError,
};

use crate::{
    RedisStore,
    error::CallError,
    store::{Inner, store_error},
};

/// Remembers a proof unless it is known.
///
/// The first key holds since when proofs have been remembered, by the server's clock, and in which run of the server. In another
/// run what was written last may be lost, so that it begins anew, as it does where the key is missing.
const INSERT: &str = r"
local since, run
local marker = redis.call('GET', KEYS[1])
if marker then
  since, run = string.match(marker, '^(%d+) (%w+)$')
end
if run ~= ARGV[1] then
  local now = redis.call('TIME')
  since = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  redis.call('SET', KEYS[1], since .. ' ' .. ARGV[1])
end
if tonumber(ARGV[2]) <= tonumber(since) then
  return -1
end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then
  return 1
end
return 0";

impl ReplayStore for RedisStore {
    fn insert_if_absent(&self, proof: UsedProof) -> BoxFuture<'static, Result<ProofUse, StoreError>> {
        let inner = self.0.clone();
        Box::pin(async move {
            match insert(&inner, proof).await {
                Err(CallError::Unreachable(error)) if inner.allows_proofs_when_unreachable => {
                    if inner.unseen_log.is_due() {
                        tracing::warn!(
                            prefix = inner.prefix,
                            %error,
                            "Redis cannot be reached: DPoP proofs are accepted without knowing whether they were used before"
                        );
                    }
                    Ok(ProofUse::First)
                }
                outcome => outcome.map_err(store_error),
            }
        })
    }
}

async fn insert(inner: &Inner, proof: UsedProof) -> Result<ProofUse, CallError> {
    let (marker, key) = (format!("{}since", inner.prefix), format!("{}proof:{}", inner.prefix, proof.key));
    // The marker is by the server's clock and this by the service's: if the service's is ahead, the time looks later than it is.
    let acceptable_from = proof.acceptable_from.saturating_sub(inner.clock_difference);
    // The server's clock may be set forward by as much.
    let lifetime = proof.lifetime.saturating_add(inner.clock_difference);
    let answer = inner
        .run(INSERT, &[&marker, &key], |command| {
            command.arg(milliseconds(acceptable_from)).arg(milliseconds(lifetime).max(1));
        })
        .await?;
    match from_redis_value::<i64>(answer).map_err(CallError::unusable)? {
        1 => Ok(ProofUse::First),
        0 => Ok(ProofUse::Repeated),
        _ => Err(CallError::unusable(
            "it has remembered proofs for less long than this one may have been used; a later one will be accepted",
        )),
    }
}

/// In whole milliseconds, as far as Lua's numbers are exact.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 52)
}
