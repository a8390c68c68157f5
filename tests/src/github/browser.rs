//! What a browser does where people sign in: it keeps cookies, follows redirects, and sends one form after the other.

use anyhow::{Context as _, bail};
use regex::{Captures, Regex};
use reqwest::blocking::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use std::collections::BTreeMap;
use std::time::Duration;

/// Pages and redirects until somebody is where they wanted to be, at most.
const STEPS_MAX: usize = 20;

/// Where a walk ended.
pub(crate) enum End {
    /// At an address of somebody else, which was not asked for.
    Left(String),
    /// At a page without a form, or one that says that something is wrong.
    Page(StatusCode, String),
}

/// A browser whose person has a word for each field.
pub(crate) struct Browser<'a> {
    client: Client,
    cookies: BTreeMap<String, String>,
    fields: &'a [(&'a str, &'a str)],
}

impl<'a> Browser<'a> {
    pub(crate) fn new(fields: &'a [(&'a str, &'a str)]) -> anyhow::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            client,
            cookies: BTreeMap::new(),
            fields,
        })
    }

    /// Opens an address, and fills in and sends the first form of each page.
    pub(crate) fn walk(mut self, address: &str) -> anyhow::Result<End> {
        let mut url = Url::parse(address)?;
        let origin = url.origin();
        let mut form = None;
        for _ in 0..STEPS_MAX {
            let request = match form.take() {
                None => self.client.get(url.clone()),
                Some(form) => self
                    .client
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body::<String>(form),
            };
            let answer = request
                .header(ACCEPT, "text/html")
                .header(COOKIE, self.cookies())
                .send()?;
            for cookie in answer.headers().get_all(SET_COOKIE) {
                self.keep(cookie.to_str()?);
            }
            let location = answer.headers().get(LOCATION).cloned();
            if let Some(location) = location.filter(|_| answer.status().is_redirection()) {
                url = url.join(location.to_str()?)?;
                if url.origin() != origin {
                    return Ok(End::Left(url.into()));
                }
                continue;
            }
            let status = answer.status();
            let text = answer.text()?;
            match self.filled(&text)? {
                Some((action, filled)) if status.is_success() => {
                    url = url.join(&action)?;
                    form = Some(filled);
                }
                _ => return Ok(End::Page(status, text)),
            }
        }
        bail!("{address} leads nowhere in {STEPS_MAX} steps")
    }

    /// All cookies go everywhere: of each name there is one, and all addresses are the same server's.
    fn cookies(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep(&mut self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Without a value it is taken back.
        if value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The first form of a page, filled in: where it goes, which is the page itself unless it says so, and what is sent.
    fn filled(&self, page: &str) -> anyhow::Result<Option<(String, String)>> {
        let form = Regex::new(r"(?s)<form\b([^>]*)>(.*?)</form>")?;
        let Some(found) = form.captures(page) else {
            return Ok(None);
        };
        let action = attribute(&found[1], "action")?.unwrap_or_default();
        // A form is encoded as the query of an address is.
        let mut sent = Url::parse("http://form/")?;
        for input in Regex::new(r"<input\b[^>]*>")?.find_iter(&found[2]) {
            let name = attribute(input.as_str(), "name")?.context("an input without a name")?;
            let given = self.fields.iter().find(|(field, _)| *field == name);
            let value = match given {
                Some((_, value)) => Some((*value).to_owned()),
                None => attribute(input.as_str(), "value")?,
            };
            let value =
                value.with_context(|| format!("nobody knows the field `{name}`: {page}"))?;
            sent.query_pairs_mut().append_pair(&name, &value);
        }
        Ok(Some((action, sent.query().unwrap_or_default().to_owned())))
    }
}

fn attribute(tag: &str, name: &str) -> anyhow::Result<Option<String>> {
    let found = Regex::new(&format!(r#"\s{name}="([^"]*)""#))?.captures(tag);
    found.map(|found| unescaped(&found[1])).transpose()
}

/// Text without the entities that stand for what HTML takes for itself.
fn unescaped(text: &str) -> anyhow::Result<String> {
    let entity = Regex::new(r"&(#\d+|amp|lt|gt|quot);")?;
    let plain = |found: &Captures<'_>| match &found[1] {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        number => {
            let number = number.trim_start_matches('#').parse().ok();
            let letter = number.and_then(char::from_u32);
            letter.map_or_else(|| found[0].to_owned(), String::from)
        }
    };
    Ok(entity.replace_all(text, plain).into_owned())
}
