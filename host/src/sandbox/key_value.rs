//! `wasi:keyvalue`: the agent's own space on the host's store. There is one bucket, the agent's; it is opened by the empty name, `default` or the agent's name.

use super::contract::agent::wasi::keyvalue::{atomics, batch, store};
use super::state::RunState;
use crate::model::Limit;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasmtime::component::Resource;

/// Keys that one `list-keys` answers with.
const LIST_KEYS: u32 = 1_000;

/// What the sandbox needs of a key-value store. Spaces are apart by the agent's name.
#[async_trait]
pub trait KeyValue: Send + Sync {
    /// The value of a key.
    async fn get(&self, agent: &str, key: &str) -> Result<Option<Vec<u8>>, KeyValueError>;
    /// Sets all of the pairs or none.
    async fn set_many(
        &self,
        agent: &str,
        pairs: Vec<(String, Vec<u8>)>,
        quota: KeyValueQuota,
    ) -> Result<(), KeyValueError>;
    /// Removes keys; those that are not there are passed over.
    async fn delete_many(&self, agent: &str, keys: Vec<String>) -> Result<(), KeyValueError>;
    /// At most `limit` keys in order, after the `offset` first ones.
    async fn list(
        &self,
        agent: &str,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<String>, KeyValueError>;
    /// Adds to a decimal counter.
    async fn increment(
        &self,
        agent: &str,
        key: &str,
        delta: u64,
        quota: KeyValueQuota,
    ) -> Result<u64, KeyValueError>;
}

/// How much an agent may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValueQuota {
    /// Keys and values, in bytes.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// Why a key-value call failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyValueError {
    /// The space is full.
    #[error("{0}")]
    Quota(String),
    /// The key or value cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] anyhow::Error),
}

/// A space that nobody else has: what is set in it is its own, everything else is that of the space below, which never changes.
pub struct Layered {
    below: Arc<dyn KeyValue>,
    /// What was set, and what was deleted.
    own: tokio::sync::Mutex<BTreeMap<String, Option<Vec<u8>>>>,
}

impl Layered {
    /// Over another.
    #[must_use]
    pub fn over(below: Arc<dyn KeyValue>) -> Self {
        Self {
            below,
            own: tokio::sync::Mutex::default(),
        }
    }
}

/// Sets pairs, as long as what was set fits.
fn layer(
    own: &mut BTreeMap<String, Option<Vec<u8>>>,
    pairs: Vec<(String, Vec<u8>)>,
    quota: KeyValueQuota,
) -> Result<(), KeyValueError> {
    let size = |key: &str, value: Option<&[u8]>| (key.len() + value.map_or(0, <[u8]>::len)) as u64;
    let set: u64 = own
        .iter()
        .map(|(key, value)| size(key, value.as_deref()))
        .sum();
    let more: u64 = pairs
        .iter()
        .map(|(key, value)| size(key, Some(value)))
        .sum();
    if set + more > quota.bytes || (own.len() + pairs.len()) as u64 > quota.keys {
        return Err(KeyValueError::Quota("the key-value space is full".into()));
    }
    own.extend(pairs.into_iter().map(|(key, value)| (key, Some(value))));
    Ok(())
}

#[async_trait]
impl KeyValue for Layered {
    async fn get(&self, agent: &str, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        match self.own.lock().await.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.below.get(agent, key).await,
        }
    }

    async fn set_many(
        &self,
        _: &str,
        pairs: Vec<(String, Vec<u8>)>,
        quota: KeyValueQuota,
    ) -> Result<(), KeyValueError> {
        layer(&mut *self.own.lock().await, pairs, quota)
    }

    async fn delete_many(&self, agent: &str, keys: Vec<String>) -> Result<(), KeyValueError> {
        let mut own = self.own.lock().await;
        for key in keys {
            // Only what is below has to be remembered as gone, and that has a bound.
            if self.below.get(agent, &key).await?.is_some() {
                own.insert(key, None);
            } else {
                own.remove(&key);
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        agent: &str,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<String>, KeyValueError> {
        let own = self.own.lock().await;
        let mut keys = BTreeSet::new();
        let mut at = 0;
        loop {
            let page = self.below.list(agent, at, LIST_KEYS).await?;
            let last = page.len() < LIST_KEYS as usize;
            at += u64::from(LIST_KEYS);
            keys.extend(page);
            if last {
                break;
            }
        }
        for (key, value) in own.iter() {
            match value {
                Some(_) => keys.insert(key.clone()),
                None => keys.remove(key),
            };
        }
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(keys.into_iter().skip(skip).take(limit as usize).collect())
    }

    async fn increment(
        &self,
        agent: &str,
        key: &str,
        delta: u64,
        quota: KeyValueQuota,
    ) -> Result<u64, KeyValueError> {
        let mut own = self.own.lock().await;
        let before = match own.get(key) {
            Some(value) => value.clone(),
            None => self.below.get(agent, key).await?,
        };
        let text = before.map(|value| String::from_utf8_lossy(&value).into_owned());
        let number = text.map_or(Ok(0), |text| text.parse::<u64>());
        let sum = number.ok().and_then(|number| number.checked_add(delta));
        let sum = sum.ok_or_else(|| {
            KeyValueError::Invalid("the value is no decimal number, or becomes too large".into())
        })?;
        let pair = (key.to_owned(), sum.to_string().into_bytes());
        layer(&mut own, vec![pair], quota)?;
        Ok(sum)
    }
}

/// The handle a guest holds; the space is known by the run.
pub struct Bucket;

impl RunState {
    fn space(&self) -> Result<std::sync::Arc<dyn KeyValue>, store::Error> {
        self.meter.reach("key_value", "");
        self.capabilities
            .key_value
            .clone()
            .ok_or(store::Error::NoSuchStore)
    }

    fn quota(&self) -> KeyValueQuota {
        KeyValueQuota {
            bytes: self.meter.budget.key_value_bytes,
            keys: self.meter.budget.key_value_keys,
        }
    }

    fn told(&self, error: KeyValueError) -> store::Error {
        match error {
            KeyValueError::Quota(message) => {
                self.meter.refuse(Limit::KeyValue, message.clone());
                store::Error::Other(message)
            }
            KeyValueError::Invalid(message) => store::Error::Other(message),
            KeyValueError::Store(cause) => {
                tracing::error!(agent.name = %self.capabilities.agent, "a key-value call failed: {cause:#}");
                store::Error::Other("the store failed, try again later".into())
            }
        }
    }
}

impl store::Host for RunState {
    async fn open(
        &mut self,
        identifier: String,
    ) -> wasmtime::Result<Result<Resource<Bucket>, store::Error>> {
        let own = identifier.is_empty()
            || identifier == "default"
            || identifier == self.capabilities.agent;
        if !own {
            self.meter.deny(
                "key_value",
                format!("open `{}`", super::meter::escape(&identifier)),
                "an agent has its own key-value space only".into(),
                "nothing can allow this: exchange data through events or artifacts".into(),
            );
            return Ok(Err(store::Error::AccessDenied));
        }
        if self.capabilities.key_value.is_none() {
            return Ok(Err(store::Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket)?))
    }
}

impl store::HostBucket for RunState {
    async fn get(
        &mut self,
        _: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        let value = space.get(&self.capabilities.agent, &key).await;
        Ok(value.map_err(|error| self.told(error)))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        batch::Host::set_many(self, bucket, vec![(key, value)]).await
    }

    async fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        batch::Host::delete_many(self, bucket, vec![key]).await
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, store::Error>> {
        let value = self.get(bucket, key).await?;
        Ok(value.map(|value| value.is_some()))
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<store::KeyResponse, store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        let offset = cursor.unwrap_or(0);
        let keys = space
            .list(&self.capabilities.agent, offset, LIST_KEYS)
            .await;
        Ok(keys
            .map(|keys| store::KeyResponse {
                cursor: (keys.len() == LIST_KEYS as usize).then(|| offset + u64::from(LIST_KEYS)),
                keys,
            })
            .map_err(|error| self.told(error)))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for RunState {
    async fn increment(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        self.meter.row().await;
        let value = space
            .increment(&self.capabilities.agent, &key, delta, self.quota())
            .await;
        Ok(value.map_err(|error| self.told(error)))
    }
}

impl batch::Host for RunState {
    async fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        let mut values = Vec::new();
        for key in keys {
            // One by one, so that the answer is bounded by what the guest may take in: its own memory. Each counts as a call.
            self.meter.enter_host()?;
            self.meter.leave_host();
            match space.get(&self.capabilities.agent, &key).await {
                Ok(value) => values.push(value.map(|value| (key, value))),
                Err(error) => return Ok(Err(self.told(error))),
            }
        }
        Ok(Ok(values))
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        let bytes = pairs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        self.meter.cross(bytes as u64)?;
        let quota = self.quota();
        self.meter.row().await;
        let done = space.set_many(&self.capabilities.agent, pairs, quota).await;
        Ok(done.map_err(|error| self.told(error)))
    }

    async fn delete_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        self.meter.row().await;
        let done = space.delete_many(&self.capabilities.agent, keys).await;
        Ok(done.map_err(|error| self.told(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: KeyValueQuota = KeyValueQuota {
        bytes: 20,
        keys: 10,
    };

    #[tokio::test]
    async fn a_layer_hides_what_is_below_and_never_changes_it() {
        let below: Arc<dyn KeyValue> = Arc::new(Layered::over(Arc::new(Nothing)));
        let pairs = vec![("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())];
        below.set_many("x", pairs, ROOM).await.unwrap();
        let layer = Layered::over(Arc::clone(&below));
        assert_eq!(layer.increment("x", "a", 4, ROOM).await.unwrap(), 5);
        layer
            .delete_many("x", vec!["b".into(), "never".into()])
            .await
            .unwrap();
        layer
            .set_many("x", vec![("c".into(), Vec::new())], ROOM)
            .await
            .unwrap();
        assert_eq!(layer.get("x", "b").await.unwrap(), None);
        assert_eq!(layer.list("x", 0, 10).await.unwrap(), ["a", "c"]);
        assert_eq!(layer.list("x", 1, 10).await.unwrap(), ["c"]);
        // What was never there is not remembered as gone.
        assert_eq!(layer.own.lock().await.len(), 3);
        let large = vec![("d".into(), vec![0; 20])];
        assert!(matches!(
            layer.set_many("x", large, ROOM).await,
            Err(KeyValueError::Quota(_))
        ));
        assert_eq!(below.get("x", "a").await.unwrap(), Some(b"1".to_vec()));
        assert_eq!(below.list("x", 0, 10).await.unwrap(), ["a", "b"]);
    }

    /// A space without keys.
    struct Nothing;

    #[async_trait]
    impl KeyValue for Nothing {
        async fn get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
            Ok(None)
        }

        async fn set_many(
            &self,
            _: &str,
            _: Vec<(String, Vec<u8>)>,
            _: KeyValueQuota,
        ) -> Result<(), KeyValueError> {
            Ok(())
        }

        async fn delete_many(&self, _: &str, _: Vec<String>) -> Result<(), KeyValueError> {
            Ok(())
        }

        async fn list(&self, _: &str, _: u64, _: u32) -> Result<Vec<String>, KeyValueError> {
            Ok(Vec::new())
        }

        async fn increment(
            &self,
            _: &str,
            _: &str,
            _: u64,
            _: KeyValueQuota,
        ) -> Result<u64, KeyValueError> {
            Ok(0)
        }
    }
}
