//! Files that a run makes, kept in memory within the output limit until the run's record is written.

use super::contract::agent::infinity::agent::artifacts::{Error, Host};
use super::digest;
use super::state::RunState;
use crate::model::{Artifact, ArtifactInfo, Limit};
use crate::secrets::known;

/// The longest name, in characters; it becomes part of a URL.
const NAME_MAX: usize = 200;

/// Artifacts of one run; more of them belong into an archive.
const COUNT_MAX: usize = 1_000;

/// The longest media type, in characters.
const MEDIA_TYPE_MAX: usize = 100;

fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name.chars().any(|character| character != '.')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || ".-_".contains(character))
}

impl Host for RunState {
    async fn put(
        &mut self,
        name: String,
        media_type: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<Result<String, Error>> {
        self.meter.cross(content.len() as u64)?;
        let content = known::mask_bytes(&content).unwrap_or(content);
        let size = content.len() as u64;
        if !valid_name(&name) {
            return Ok(Err(Error::InvalidName(
                "an artifact's name is 1 to 200 letters, digits, `.`, `_` or `-`".into(),
            )));
        }
        let plain = media_type.len() <= MEDIA_TYPE_MAX
            && media_type.contains('/')
            && media_type
                .chars()
                .all(|character| character.is_ascii_graphic() || character == ' ');
        if !plain {
            return Ok(Err(Error::Other(format!(
                "`{}` is no media type",
                super::meter::escape(&media_type)
            ))));
        }
        let artifacts = std::sync::Arc::clone(&self.artifacts);
        let mut artifacts = artifacts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let replaced = artifacts.get(&name).map_or(0, |old| old.info.size);
        if replaced == 0 && artifacts.len() >= COUNT_MAX {
            return Ok(Err(Error::TooLarge(format!(
                "a run has at most {COUNT_MAX} artifacts"
            ))));
        }
        self.meter.return_output(replaced);
        if !self.meter.charge_output(size) {
            let limit = self.meter.budget.output_bytes;
            // What stood there before stays.
            self.meter.charge_output(replaced);
            let message = format!("the run's output would be larger than {limit} bytes");
            self.meter.refuse(Limit::Output, message.clone());
            return Ok(Err(Error::TooLarge(message)));
        }
        let digest = digest(&content);
        artifacts.insert(
            name.clone(),
            Artifact {
                info: ArtifactInfo {
                    name,
                    media_type,
                    size,
                    digest: digest.clone(),
                },
                content: content.into(),
            },
        );
        Ok(Ok(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::valid_name;

    #[test]
    fn takes_plain_names_only() {
        for name in ["a", "report.json", "A-1_b.svg"] {
            assert!(valid_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(201)] {
            assert!(!valid_name(name), "{name:?}");
        }
    }
}
