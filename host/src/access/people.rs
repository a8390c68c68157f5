//! What people who come by way of a provider are called here: each account by the name under which it came first, and no two by the same.
//!
//! Names are in approvals and own second factors, and at many providers people choose and change them.
//!
//! Invariants: an account keeps its name; a name stays its account's; checking reads memory alone.

use super::person::{Person, Stranger};
use super::sign_in::SignInError;
use crate::store::{SealedRow, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Accounts that are known: a large company's.
const PEOPLE_MAX: usize = 100_000;

const KIND: &str = "person";

#[derive(Default)]
struct Names {
    of: HashMap<Uuid, String>,
    whose: HashMap<String, Uuid>,
}

/// The accounts that came.
pub struct People {
    store: Arc<dyn Store>,
    names: Mutex<Names>,
    /// One change at a time.
    change: tokio::sync::Mutex<()>,
}

impl People {
    /// Those in the store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut names = Names::default();
        for row in store.sealed(KIND).await? {
            let Ok(name) = String::from_utf8(row.content) else {
                continue;
            };
            names.whose.insert(name.clone(), row.id);
            names.of.insert(row.id, name);
        }
        Ok(Self {
            store,
            names: Mutex::new(names),
            change: tokio::sync::Mutex::default(),
        })
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // Both maps are whole after every statement.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The person by the name that they have here.
    ///
    /// # Errors
    /// [`Stranger::Taken`]; when the store fails, or too many are known.
    pub async fn known(&self, mut person: Person) -> Result<Person, SignInError> {
        let of = |person: &mut Person| {
            let names = self.names();
            if let Some(name) = names.of.get(&person.id) {
                person.name.clone_from(name);
                return Some(Ok(()));
            }
            let taken = names.whose.contains_key(&person.name);
            taken.then(|| Err(Stranger::Taken(person.name.clone())))
        };
        if let Some(known) = of(&mut person) {
            return known.map(|()| person).map_err(SignInError::Stranger);
        }
        let _change = self.change.lock().await;
        if let Some(known) = of(&mut person) {
            return known.map(|()| person).map_err(SignInError::Stranger);
        }
        if self.names().of.len() >= PEOPLE_MAX {
            return Err(SignInError::Provider(format!(
                "{PEOPLE_MAX} accounts are known here, which is all that fit"
            )));
        }
        let row = SealedRow {
            id: person.id,
            content: person.name.clone().into_bytes(),
        };
        self.store
            .put_sealed(KIND, vec![row], Vec::new(), Vec::new())
            .await?;
        let mut names = self.names();
        names.whose.insert(person.name.clone(), person.id);
        names.of.insert(person.id, person.name.clone());
        drop(names);
        Ok(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::store::SqliteStore;

    fn person(id: u128, name: &str) -> Person {
        Person {
            id: Uuid::from_u128(id),
            name: name.into(),
            role: Role::Viewer,
            scopes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn an_account_keeps_its_name_and_a_name_its_account() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).await.unwrap());
        let open = || People::open(Arc::clone(&store) as Arc<dyn Store>);
        let own = open().await.unwrap();
        let name = |known: Result<Person, SignInError>| known.map(|person| person.name).ok();
        assert_eq!(
            name(own.known(person(1, "hub:ann")).await).as_deref(),
            Some("hub:ann")
        );
        // Renamed: who did something stays who did it.
        for own in [own, open().await.unwrap()] {
            let renamed = own.known(person(1, "hub:bob")).await;
            assert_eq!(name(renamed).as_deref(), Some("hub:ann"));
            let other = own.known(person(2, "hub:ann")).await;
            assert!(matches!(
                other,
                Err(SignInError::Stranger(Stranger::Taken(_)))
            ));
        }
        store.close().await.unwrap();
    }
}
