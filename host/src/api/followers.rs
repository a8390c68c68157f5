//! The places of clients that follow something as it happens: each holds a connection for as long as it likes.

use super::error::ApiError;
use super::server::Connection;
use http::StatusCode;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Followers at once: a quarter of all connections is enough for people and dashboards.
const FOLLOWERS_MAX: usize = 128;

/// Followers from one address, so that one client that forgets to hang up leaves places for others.
const FOLLOWERS_PER_CLIENT: usize = 64;

static FOLLOWERS: Mutex<BTreeMap<Option<IpAddr>, usize>> = Mutex::new(BTreeMap::new());

/// A follower's place, free again when it is dropped.
pub(super) struct Place(Option<IpAddr>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut followers = FOLLOWERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = followers.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                followers.remove(&self.0);
            }
        }
    }
}

/// A place for the client of a connection.
///
/// # Errors
/// `too_many_followers`.
pub(super) fn take(connection: Option<&Connection>) -> Result<Place, ApiError> {
    let client = connection.and_then(|connection| Some(connection.peer?.ip()));
    let mut followers = FOLLOWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let all: usize = followers.values().sum();
    let own = followers.get(&client).copied().unwrap_or(0);
    if all >= FOLLOWERS_MAX || own >= FOLLOWERS_PER_CLIENT {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_followers",
            format!(
                "{own} streams are followed from this address and {all} in all; {FOLLOWERS_PER_CLIENT} and {FOLLOWERS_MAX} may be; read in parts instead, or let go of one"
            ),
        )
        .retry_later());
    }
    *followers.entry(client).or_default() += 1;
    Ok(Place(client))
}
