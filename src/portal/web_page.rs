//! HTML mail, made harmless: no scripts, no forms, nothing loaded from anywhere.

use std::collections::{HashMap, HashSet};

use ammonia::{Builder, UrlRelative};

use crate::texts::Language;

/// What the sanitised page may do: set its styles and show images that it carries itself; a link opens a window of its
/// own.
pub(crate) const POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// What a sender may set by `style`.
const STYLES: [&str; 22] = [
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-right",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "line-height",
    "margin",
    "padding",
    "text-align",
    "text-decoration",
    "vertical-align",
    "width",
];
const IMAGES: [&str; 4] = ["data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;"];

/// A whole page with the HTML of a mail in it.
pub(crate) fn web_page(language: Language, title: &str, html: &str) -> String {
    let safe = sanitised(html);
    let title = ammonia::clean_text(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>html{{background:#fff;color:#1c2126}}body{{margin:0;padding:16px;font:16px/1.5 system-ui,'Segoe UI',\
         Helvetica,Arial,sans-serif;overflow-wrap:anywhere}}img,table{{max-width:100%}}img:not([src]){{display:none}}a{{color:#14506e}}\
         blockquote{{margin:0 0 0 4px;padding-left:12px;border-left:3px solid #cbd3d8}}</style>\n</head>\n<body>\n\
         <main>\n{safe}\n</main>\n</body>\n</html>\n"
    )
}

fn sanitised(html: &str) -> String {
    let mut builder = Builder::default();
    builder
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "data"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_values(HashMap::from([("a", HashMap::from([("target", "_blank")]))]))
        .add_generic_attributes(["style", "align", "valign", "bgcolor", "dir"])
        .add_tags(["font"])
        .add_tag_attributes("font", ["color", "face", "size"])
        .add_tag_attributes("table", ["border", "cellpadding", "cellspacing", "width"])
        .filter_style_properties(HashSet::from(STYLES))
        .attribute_filter(|tag, name, value| {
            // Browsers pass over blanks and controls in an address (URL, 4.4).
            let address: String = value.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
            let is_data = address.to_ascii_lowercase().starts_with("data:");
            let keeps = match (tag, name) {
                ("img", "src") => IMAGES.iter().any(|image| value.starts_with(image)),
                (_, "src" | "background") => false,
                _ => !is_data,
            };
            keeps.then(|| value.into())
        });
    builder.clean(html).to_string()
}

#[cfg(test)]
mod tests {
    use crate::portal::web_page::*;

    #[test]
    fn nothing_runs_and_nothing_is_fetched() {
        let page = sanitised(
            "<p onclick=x() style='color:red;background:url(https://a.example/x);position:fixed'>Hej</p>\
             <script>alert(1)</script><img src='https://a.example/pixel.png'><img src='data:image/png;base64,AAAA'>\
             <img src='data:image/svg+xml,x'><iframe src='https://a.example'></iframe><form action=/logout><input></form>\
             <a href='javascript:x()'>a</a><a href='https://b.example/'>b</a><a href='data:text/html,x'>c</a><a href='da&#9;ta:text/html,x'>d</a><a href='&#1;data:text/html,x'>e</a>\
             <link rel=stylesheet href='https://a.example/s.css'><meta http-equiv=refresh content='0;url=//a.example'>",
        );
        for evil in [
            "script",
            "alert",
            "onclick",
            "a.example",
            "svg",
            "iframe",
            "form",
            "javascript",
            "text/html",
            "position",
            "meta",
        ] {
            assert!(!page.contains(evil), "{evil}: {page}");
        }
        for kept in ["color:red", "Hej", "data:image/png;base64,AAAA", "https://b.example/", "noopener"] {
            assert!(page.contains(kept), "{kept}: {page}");
        }
    }

    #[test]
    fn html_that_is_made_to_hurt_does_not() {
        let page = sanitised(&"<div>".repeat(20_000));
        assert!(page.len() < 1_000_000);
        sanitised(&"<b><i><p>".repeat(3_000));
        sanitised(&"<table><tr><td>".repeat(3_000));
        sanitised(&"&#x".repeat(50_000));
    }
}
