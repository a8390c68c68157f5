//! A rest for servers that do not answer: after some failures in a row an agent's requests to a server fail at once for a while, then one is let through to see.
//!
//! Each agent has its own view of each server, so that one that gives up early takes nothing away from others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which requests fail at once.
const FAILURES_MAX: u32 = 5;

/// How long they do.
const REST: Duration = Duration::from_secs(30);

/// Servers that are remembered; the one that was asked longest ago is forgotten first.
const SERVERS_MAX: usize = 2_000;

/// An agent, by its grants, and a server.
pub(super) type Key = (usize, String);

struct Server {
    failures: u32,
    rests_until: Option<Instant>,
    /// Whether a request is on its way that says how the server is.
    tried: bool,
    asked: Instant,
}

/// What is known of servers.
#[derive(Default)]
pub(super) struct Breaker {
    servers: Mutex<HashMap<Key, Server>>,
}

/// A request that may go. Dropped without a verdict it says nothing about the server.
pub(super) struct Trial<'b> {
    breaker: &'b Breaker,
    key: Key,
    decided: bool,
}

impl Breaker {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Key, Server>) -> T) -> T {
        look(&mut self.servers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a request go, or says how long the server still rests.
    pub(super) fn admit(&self, key: Key, now: Instant) -> Result<Trial<'_>, Duration> {
        self.with(|servers| {
            if servers.len() >= SERVERS_MAX && !servers.contains_key(&key) {
                let oldest = servers
                    .iter()
                    .min_by_key(|(_, server)| server.asked)
                    .map(|(key, _)| key.clone());
                if let Some(oldest) = oldest {
                    servers.remove(&oldest);
                }
            }
            let server = servers.entry(key.clone()).or_insert(Server {
                failures: 0,
                rests_until: None,
                tried: false,
                asked: now,
            });
            server.asked = now;
            if let Some(until) = server.rests_until {
                if now < until {
                    return Err(until - now);
                }
                if server.tried {
                    // Somebody is finding out.
                    return Err(Duration::from_secs(1));
                }
                server.tried = true;
            }
            Ok(())
        })?;
        Ok(Trial {
            breaker: self,
            key,
            decided: false,
        })
    }
}

impl Trial<'_> {
    /// The server answered.
    pub(super) fn succeeded(mut self) {
        self.decided = true;
        self.breaker.with(|servers| servers.remove(&self.key));
    }

    /// It did not.
    pub(super) fn failed(mut self, now: Instant) {
        self.decided = true;
        self.breaker.with(|servers| {
            if let Some(server) = servers.get_mut(&self.key) {
                server.failures += 1;
                server.tried = false;
                if server.failures >= FAILURES_MAX {
                    server.rests_until = Some(now + REST);
                }
            }
        });
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.decided {
            self.breaker.with(|servers| {
                if let Some(server) = servers.get_mut(&self.key) {
                    server.tried = false;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(agent: usize) -> Key {
        (agent, "x:443".to_owned())
    }

    fn admitted(breaker: &Breaker, key: Key, now: Instant) -> Trial<'_> {
        match breaker.admit(key, now) {
            Ok(trial) => trial,
            Err(rest) => panic!("rests for {rest:?}"),
        }
    }

    #[test]
    fn a_server_that_fails_rests_and_is_then_tried_once() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..FAILURES_MAX {
            admitted(&breaker, key(1), now).failed(now);
        }
        let rest = breaker.admit(key(1), now).err().expect("rests");
        assert!(rest <= REST && rest > Duration::from_secs(29));
        assert!(breaker.admit(key(2), now).is_ok(), "another agent's view");
        let later = now + REST;
        let trial = admitted(&breaker, key(1), later);
        assert!(breaker.admit(key(1), later).is_err(), "once");
        trial.failed(later);
        assert!(breaker.admit(key(1), later).is_err(), "rests again");
        let later = later + REST;
        drop(admitted(&breaker, key(1), later));
        let trial = admitted(&breaker, key(1), later);
        trial.succeeded();
        assert!(breaker.admit(key(1), later).is_ok());
    }

    #[test]
    fn an_answer_in_between_starts_anew_and_memory_is_bounded() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                admitted(&breaker, key(1), now).failed(now);
            }
            admitted(&breaker, key(1), now).succeeded();
        }
        for number in 0..SERVERS_MAX + 100 {
            let key = (1, number.to_string());
            admitted(&breaker, key, now).failed(now);
        }
        assert!(breaker.with(|servers| servers.len()) <= SERVERS_MAX);
    }
}
