//! Joins the rows of the journal: each carries the hash of itself and of the row before, so none can be changed, taken out or put in between without every later one being another. What that
//! does not show, a tail that was cut off or a whole older copy, a [`Checkpoint`] outside shows. Pure.

use crate::forge::signing::SigningKey;
use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ssh_key::{PublicKey, SshSig};
use utoipa::ToSchema;

/// What a chain begins with, so that no other hash of the same bytes is one of a row.
const DOMAIN: &[u8] = b"infinity-journal-1";

/// What a checkpoint's signature is for; signatures of commits are for another.
pub const NAMESPACE: &str = "infinity-checkpoint";

/// A hash, SHA-256.
pub type Hash = [u8; 32];

/// A row as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place: 1, 2, 3 and so on without a gap.
    pub seq: i64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What was done.
    pub action: String,
    /// The record.
    pub sealed: Vec<u8>,
    /// The hash of it all and of the row before.
    pub hash: Hash,
}

/// The end of a chain, to which the next row is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The last row's place; 0 before the first.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

impl End {
    /// Before the first row of the journal with this id.
    #[must_use]
    pub fn start(journal: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(DOMAIN);
        context.update(journal);
        Self {
            seq: 0,
            hash: finish(context),
        }
    }

    /// What the next row's hash is.
    #[must_use]
    pub fn next(&self, at: i64, action: &str, sealed: &[u8]) -> Hash {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(DOMAIN);
        context.update(&self.hash);
        context.update(&(self.seq + 1).to_be_bytes());
        context.update(&at.to_be_bytes());
        context.update(&(action.len() as u64).to_be_bytes());
        context.update(action.as_bytes());
        context.update(sealed);
        finish(context)
    }

    /// Goes on to a row, if it is the next one and whole.
    ///
    /// # Errors
    /// What is wrong at which place.
    pub fn follow(&mut self, row: &Row) -> Result<(), Broken> {
        let seq = self.seq + 1;
        if row.seq != seq {
            return Err(Broken {
                seq,
                what: "is missing".into(),
            });
        }
        if self.next(row.at, &row.action, &row.sealed) != row.hash {
            return Err(Broken {
                seq,
                what: "is not what was written there".into(),
            });
        }
        *self = Self {
            seq,
            hash: row.hash,
        };
        Ok(())
    }
}

fn finish(context: digest::Context) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The first place at which a journal is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("record {seq} {what}")]
pub struct Broken {
    /// The place.
    pub seq: i64,
    /// What is wrong there.
    pub what: String,
}

/// What the host vouches for: that its journal had this row at its end at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// The journal's id, in hexadecimal.
    pub journal: String,
    /// The last row's place.
    pub seq: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The SSH signature over the other fields, which `ssh-keygen -Y verify -n infinity-checkpoint` takes.
    pub signature: String,
}

/// Why a checkpoint says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The signature is another's, or over something else.
    #[error("the checkpoint of record {0} is not signed by this key")]
    Signature(i64),
    /// The key cannot sign.
    #[error("the checkpoint cannot be signed: {0}")]
    Sign(String),
}

impl Checkpoint {
    /// The end of a journal, signed.
    ///
    /// # Errors
    /// [`Unproven::Sign`]
    pub fn sign(
        journal: &[u8],
        end: End,
        at: Timestamp,
        key: &SigningKey,
    ) -> Result<Self, Unproven> {
        let mut checkpoint = Self {
            journal: hex::encode(journal),
            seq: end.seq,
            hash: hex::encode(end.hash),
            at,
            signature: String::new(),
        };
        checkpoint.signature = key
            .sign_for(NAMESPACE, checkpoint.text().as_bytes())
            .map_err(|error| Unproven::Sign(error.to_string()))?;
        Ok(checkpoint)
    }

    /// What is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{NAMESPACE}\njournal {}\nseq {}\nhash {}\nat {}\n",
            self.journal, self.seq, self.hash, self.at
        )
    }

    /// Whether it is from the owner of a key.
    ///
    /// # Errors
    /// [`Unproven::Signature`]
    pub fn verify(&self, key: &PublicKey) -> Result<(), Unproven> {
        let unproven = || Unproven::Signature(self.seq);
        let signature: SshSig = self.signature.parse().map_err(|_| unproven())?;
        key.verify(NAMESPACE, self.text().as_bytes(), &signature)
            .map_err(|_| unproven())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(rows: i64) -> Vec<Row> {
        let mut end = End::start(b"journal");
        (1..=rows)
            .map(|seq| {
                let sealed = format!("record {seq}").into_bytes();
                let hash = end.next(seq, "run.ended", &sealed);
                end = End { seq, hash };
                Row {
                    seq,
                    at: seq,
                    action: "run.ended".into(),
                    sealed,
                    hash,
                }
            })
            .collect()
    }

    fn first_wrong(rows: &[Row]) -> Option<i64> {
        let mut end = End::start(b"journal");
        rows.iter()
            .find_map(|row| end.follow(row).err())
            .map(|broken| broken.seq)
    }

    #[test]
    fn every_change_is_found_at_its_place() {
        let whole = chain(9);
        assert_eq!(first_wrong(&whole), None);
        let changes: [fn(&mut Vec<Row>); 7] = [
            |rows| rows[4].sealed.push(0),
            |rows| rows[4].at += 1,
            |rows| rows[4].action = "ban".into(),
            |rows| rows[4].hash[0] ^= 1,
            |rows| rows.swap(4, 5),
            |rows| {
                rows.remove(4);
            },
            |rows| {
                let row = rows[4].clone();
                rows.insert(4, row);
                rows[5].seq += 1;
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut rows = whole.clone();
            change(&mut rows);
            let expected = if index == 6 { 6 } else { 5 };
            assert_eq!(first_wrong(&rows), Some(expected), "change {index}");
        }
        // A cut tail is a whole chain: that is what checkpoints are for.
        assert_eq!(first_wrong(&whole[..5]), None);
        let mut other = End::start(b"another");
        assert!(other.follow(&whole[0]).is_err());
    }

    #[test]
    fn a_checkpoint_is_believed_from_its_key_alone() {
        let state = tempfile::tempdir().unwrap();
        let key = SigningKey::open(state.path()).unwrap();
        let end = End {
            seq: 7,
            hash: [3; 32],
        };
        let signed = Checkpoint::sign(b"journal", end, Timestamp::UNIX_EPOCH, &key).unwrap();
        let public = key.public();
        signed.verify(&public).unwrap();
        for change in [
            |checkpoint: &mut Checkpoint| checkpoint.seq -= 1,
            |checkpoint: &mut Checkpoint| checkpoint.hash = hex::encode([4; 32]),
            |checkpoint: &mut Checkpoint| checkpoint.journal.push('0'),
            |checkpoint: &mut Checkpoint| checkpoint.signature.clear(),
        ] {
            let mut forged = signed.clone();
            change(&mut forged);
            assert!(forged.verify(&public).is_err());
        }
        let other = SigningKey::open(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(signed.verify(&other.public()).is_err());
    }
}
