//! The pages of a site in their frame, with what they share: navigation, search, styles.

use crate::page::{self, Page, encoded, escaped, to_root};
use serde_json::json;
use std::collections::BTreeMap;

/// The styles of all pages.
const STYLE: &str = include_str!("style.css");

/// The search of all pages.
const SEARCH: &str = include_str!("search.js");

/// The file that says what a site was built from.
pub(crate) const BUILD: &str = "build.json";

/// A site: bytes by place.
pub(crate) type Site = BTreeMap<String, Vec<u8>>;

/// Builds a site. `inputs` is what it is made of, in a few characters.
pub(crate) fn build(
    title: &str,
    pages: &BTreeMap<String, Page>,
    commit: &str,
    inputs: &str,
) -> Site {
    let mut site = Site::new();
    let places: BTreeMap<&String, String> =
        pages.keys().map(|path| (path, page::place(path))).collect();
    for (path, page) in pages {
        let place = &places[path];
        site.insert(
            place.clone(),
            framed(title, page, place, pages, &places).into_bytes(),
        );
    }
    if !site.contains_key("index.html") {
        let list = Page {
            title: title.to_owned(),
            html: format!("<h1>{}</h1>\n", escaped(title)),
            ..Page::default()
        };
        site.insert(
            "index.html".into(),
            framed(title, &list, "index.html", pages, &places).into_bytes(),
        );
    }
    let search: Vec<serde_json::Value> = pages
        .iter()
        .map(|(path, page)| {
            let headings: Vec<_> = page.headings.iter().map(|one| json!({ "id": one.id, "text": one.text })).collect();
            json!({ "place": encoded(&places[path]), "title": page.title, "headings": headings, "text": page.text })
        })
        .collect();
    site.insert("assets/style.css".into(), STYLE.into());
    site.insert("assets/search.js".into(), SEARCH.into());
    site.insert("search.json".into(), json!(search).to_string().into_bytes());
    // Pages are shown as they are: without this file some servers take the site for sources to be rendered.
    site.insert(".nojekyll".into(), Vec::new());
    let build = json!({ "commit": commit, "inputs": inputs, "pages": pages.len() });
    site.insert(BUILD.into(), format!("{build}\n").into_bytes());
    site
}

fn framed(
    title: &str,
    page: &Page,
    place: &str,
    pages: &BTreeMap<String, Page>,
    places: &BTreeMap<&String, String>,
) -> String {
    let up = to_root(place);
    let mut navigation = String::new();
    let mut folder = "";
    for (path, other) in pages {
        let there = &places[path];
        let its_folder = there.rsplit_once('/').map_or("", |(folder, _)| folder);
        if its_folder != folder {
            navigation.push_str(&format!(
                "<li class=\"folder\">{}</li>\n",
                escaped(its_folder)
            ));
            folder = its_folder;
        }
        let current = if there == place {
            " aria-current=\"page\""
        } else {
            ""
        };
        navigation.push_str(&format!(
            "<li><a href=\"{up}{}\"{current}>{}</a></li>\n",
            encoded(there),
            escaped(&other.title)
        ));
    }
    let contents: String = page
        .headings
        .iter()
        .filter(|heading| (2..=3).contains(&heading.level))
        .map(|heading| {
            format!(
                "<li class=\"level-{}\"><a href=\"#{}\">{}</a></li>\n",
                heading.level,
                escaped(&heading.id),
                escaped(&heading.text)
            )
        })
        .collect();
    let contents = if contents.is_empty() {
        String::new()
    } else {
        format!("<nav class=\"contents\" aria-label=\"On this page\"><ul>\n{contents}</ul></nav>\n")
    };
    let heading = if page.title == title {
        escaped(title)
    } else {
        format!("{} · {}", escaped(&page.title), escaped(title))
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{heading}</title>\n<link rel=\"stylesheet\" href=\"{up}assets/style.css\">\n<script src=\"{up}assets/search.js\" data-root=\"{up}\" defer></script>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">To the text</a>\n<header><a class=\"home\" href=\"{up}index.html\">{}</a>\n<div class=\"search\" role=\"search\"><input type=\"search\" id=\"search\" placeholder=\"Search\" aria-label=\"Search\" autocomplete=\"off\"><ul id=\"found\" hidden></ul></div></header>\n<div class=\"columns\">\n<nav class=\"pages\" aria-label=\"Pages\"><ul>\n{navigation}</ul></nav>\n<main id=\"content\">\n{}</main>\n{contents}</div>\n</body>\n</html>\n",
        escaped(title),
        page.html
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use syntect::parsing::SyntaxSet;

    #[test]
    fn a_site_has_its_pages_a_start_and_a_search() {
        let files: BTreeSet<String> = ["docs/a.md".to_owned(), "docs/b c.md".to_owned()].into();
        let pages = files
            .iter()
            .map(|path| {
                (
                    path.clone(),
                    page::render(path, "# T <x>\n\n## S\n\nwords", &files, &SyntaxSet::new()),
                )
            })
            .collect();
        let site = build("Site & more", &pages, "c", "i");
        let places: Vec<&str> = site.keys().map(String::as_str).collect();
        assert_eq!(
            places,
            [
                ".nojekyll",
                "assets/search.js",
                "assets/style.css",
                "build.json",
                "docs/a.html",
                "docs/b c.html",
                "index.html",
                "search.json"
            ]
        );
        let page = String::from_utf8_lossy(&site["docs/a.html"]);
        assert!(
            page.contains("<title>T &lt;x&gt; · Site &amp; more</title>"),
            "{page}"
        );
        assert!(page.contains("href=\"../docs/b%20c.html\""), "{page}");
        assert!(page.contains("href=\"#s\""), "{page}");
        let search: serde_json::Value = serde_json::from_slice(&site["search.json"]).unwrap();
        assert_eq!(search[1]["place"], "docs/b%20c.html");
        assert!(search[0]["text"].as_str().unwrap().contains("words"));
        // The same pages give the same bytes.
        assert_eq!(build("Site & more", &pages, "c", "i"), site);
    }
}
