//! What befalls the issuers, the clock and the process.

use std::time::Duration;

use scopegate_core::clock::Clock as _;
use scopegate_tests::{INTROSPECTION_URL, JWKS_URL, METADATA_URL};

use super::{
    World,
    site::{PublishedKey, lock},
};
use crate::{faults::Fault, social::SOCIAL_URL, tokens::Token};

impl World {
    /// Lets a few things happen, or none.
    pub(super) async fn happen(&mut self) {
        for url in [METADATA_URL, JWKS_URL, INTROSPECTION_URL, SOCIAL_URL] {
            let is_of_keys = matches!(url, METADATA_URL | JWKS_URL);
            let fault = lock(&self.site).faults.get(url).copied();
            match fault {
                Some(fault) if self.random.once_in(25) => {
                    let mut site = lock(&self.site);
                    site.faults.remove(url);
                    let elapsed = site.elapsed;
                    site.recovered.insert(url, elapsed);
                    drop(site);
                    self.note("an endpoint works again", &format!(": {url} after {}", fault.name()));
                }
                None if self.random.once_in(if is_of_keys { 150 } else { 60 }) => {
                    let fault = match self.next_fault() {
                        // A panic of the application's own verifier is a 500, and no outage.
                        Fault::Breaks if url == SOCIAL_URL => {
                            self.faults.push(Fault::Breaks);
                            Fault::Refused
                        }
                        fault => fault,
                    };
                    lock(&self.site).faults.insert(url, fault);
                    self.report.fault(fault);
                    self.note("an endpoint fails", &format!(": {url} by {}", fault.name()));
                }
                _ => {}
            }
        }
        if self.random.once_in(60) {
            self.rotate();
        }
        if self.random.once_in(10) {
            self.revoke();
        }
        if self.random.once_in(200) {
            let ahead = self.random.between(60, 6 * 3600);
            self.clock_sets += 1;
            self.note("the clock is set ahead", &format!(" by {ahead} s"));
            // Time that passes at once.
            self.pass(Duration::from_secs(ahead)).await;
            // What recovers by requests has had none.
            let mut site = lock(&self.site);
            let elapsed = site.elapsed;
            for url in [METADATA_URL, JWKS_URL, INTROSPECTION_URL, SOCIAL_URL] {
                site.recovered.insert(url, elapsed);
            }
        }
        if self.random.once_in(200) {
            let longest = if self.random.once_in(4) { 7200 } else { 120 };
            let back = self.random.between(2, longest);
            self.clock_sets += 1;
            self.stepped_back = Some(self.elapsed);
            self.latest = self.latest.max(self.unix());
            self.clock.set(self.clock.now() - Duration::from_secs(back));
            self.note("the clock is set back", &format!(" by {back} s"));
        }
        if self.random.once_in(500) {
            self.open.drain(..).for_each(|open| open.response.abort());
            self.start().await;
            self.note("the process restarts", "");
        }
    }

    /// Each kind of fault comes once before one comes again.
    fn next_fault(&mut self) -> Fault {
        if self.faults.is_empty() {
            self.faults.extend(Fault::ALL);
        }
        let next = self.random.below(self.faults.len() as u64) as usize;
        self.faults.swap_remove(next)
    }

    /// Revokes a token whose issuer is asked about it.
    fn revoke(&mut self) {
        let (elapsed, clock) = (self.elapsed, self.unix());
        let is_revocable = |token: &Token| token.key_id.is_none() && token.revoked_at.is_none();
        let Some(token) = self.any_token(is_revocable) else { return };
        (token.revoked_at, token.revoked_clock) = (Some(elapsed), clock);
        let text = token.text.clone();
        self.deactivate(&text);
        self.report.event("a token is revoked");
    }

    /// The issuer that is asked about this token does not know it any more, also where it is asked right now.
    pub(super) fn deactivate(&mut self, text: &str) {
        lock(&self.site).active.remove(text);
        let (elapsed, clock) = (self.elapsed, self.unix());
        for open in self.open.iter_mut().filter(|open| open.token.text == text && open.token.revoked_at.is_none()) {
            (open.token.revoked_at, open.token.revoked_clock) = (Some(elapsed), clock);
        }
    }

    /// Publishes a key that signs from now on, or withdraws the oldest.
    fn rotate(&mut self) {
        let count = lock(&self.site).keys.len();
        if count > 1 && self.random.once_in(2) || count > 4 {
            let withdrawn = lock(&self.site).keys.remove(0);
            self.note("a key is withdrawn", &format!(": {}", withdrawn.id));
        } else {
            let key = PublishedKey::generate(self.minted, self.elapsed);
            self.minted += 1;
            self.note("a key is published", &format!(": {}", key.id));
            lock(&self.site).keys.push(key);
        }
    }
}
