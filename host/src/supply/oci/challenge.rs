//! What a registry answers to who did not say who asks: how to say it.

/// How to say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With name and password.
    Basic,
    /// With a token of a service.
    Bearer {
        /// Where tokens are made.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
}

/// Reads one `WWW-Authenticate`; none for schemes that are not known.
pub(super) fn parse(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = rest.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        let field = match name.trim().to_ascii_lowercase().as_str() {
            "realm" => Some(&mut realm),
            "service" => Some(&mut service),
            "scope" => Some(&mut scope),
            _ => None,
        };
        if let Some(field) = field {
            *field = Some(value.to_owned());
        }
        rest = after.trim_start_matches([',', ' ']);
    }
    Some(Challenge::Bearer {
        realm: realm?,
        service,
        scope,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_say() {
        assert_eq!(parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(parse("basic"), Some(Challenge::Basic));
        assert_eq!(
            parse(
                "Bearer realm=\"https://auth.example/token\",service=\"registry\", scope=\"repository:a:pull,push\""
            ),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("registry".into()),
                scope: Some("repository:a:pull,push".into()),
            })
        );
        assert_eq!(
            parse("Bearer realm=https://auth.example/token,error=x"),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: None,
                scope: None,
            })
        );
        for nothing in ["", "Digest realm=\"x\"", "Bearer", "Bearer realm=\"x"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }
}
