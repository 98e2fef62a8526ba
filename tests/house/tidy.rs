//! The house rules, checked. Run alone with `cargo test --test house tidy`.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn a_module_names_only_modules_declared_above_it() {
    let mut faults = Vec::new();
    for file in sources(Path::new("src")) {
        let own = module_path(&file);
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            if line.contains("super::") {
                faults.push(format!("{}:{}: no `super::`", file.display(), number + 1));
            }
            for named in line.split("crate::").skip(1) {
                if let Some(fault) = order_fault(&own, named) {
                    faults.push(format!("{}:{}: {fault}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What the order would allow and the house does not.
const NEVER: &[(&str, &[&str])] = &[
    ("smtpd", &["imapd", "portal", "delivery", "flow", "store", "mailboxes"]),
    ("imapd", &["smtpd", "portal", "delivery", "flow", "store", "queue"]),
    ("portal", &["smtpd", "imapd", "delivery", "flow", "store"]),
    ("control", &["smtpd", "imapd", "portal", "delivery", "flow", "store"]),
];

#[test]
fn doors_stay_doors() {
    for file in sources(Path::new("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for (door, strangers) in NEVER.iter().filter(|(door, _)| module_path(&file)[0] == *door) {
            for stranger in *strangers {
                let named = text.contains(&format!("crate::{stranger}"));
                assert!(!named, "{}: {door} names {stranger}", file.display());
            }
        }
    }
}

/// Walks the named path from the crate root beside the file's own path. Where the two part ways,
/// the named module must be declared first.
fn order_fault(own: &[String], named: &str) -> Option<String> {
    let mut contents = PathBuf::from("src/lib.rs");
    let mut folder = PathBuf::from("src");
    for (depth, segment) in named.split("::").enumerate() {
        let name: String = segment.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let mine = own.get(depth)?;
        if name == *mine {
            folder.push(&name);
            contents = folder.join("mod.rs");
            continue;
        }
        let order = declared(&contents);
        let rank = |module: &str| order.iter().position(|m| m == module);
        return match (rank(&name), rank(mine)) {
            (Some(theirs), Some(ours)) if theirs < ours => None,
            (Some(_), _) => Some(format!("`{name}` is declared below `{mine}`")),
            (None, _) => Some(format!("name a module, not `{segment}`", segment = segment.trim())),
        };
    }
    Some("a file does not name the folder it lives in".to_owned())
}

/// The modules a `lib.rs` or `mod.rs` declares, in order.
fn declared(contents: &Path) -> Vec<String> {
    let text = fs::read_to_string(contents).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .filter_map(|rest| rest.split_once(';'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// `src/queue/item.rs` is `["queue", "item"]`. A `mod.rs` is a table of contents and has no rank.
fn module_path(file: &Path) -> Vec<String> {
    let inner = file.strip_prefix("src").unwrap().with_extension("");
    inner.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !matches!(name, "lib.rs" | "main.rs" | "mod.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// As on the page on threats.
#[test]
fn every_test_that_the_page_on_features_names_is_there() {
    let page = fs::read_to_string("docs/features.md").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| F"));
    let proofs = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names: Vec<&str> = proofs.flat_map(|proofs| proofs.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20);
    for name in names.into_iter().filter(|name| name.contains("::")) {
        let (file, test) = match (name.strip_prefix("house::"), name.split_once("::tests")) {
            (Some(module), _) => (format!("tests/house/{module}.rs"), String::new()),
            (None, Some((module, test))) => {
                (format!("src/{}.rs", module.replace("::", "/")), test.trim_start_matches("::").to_owned())
            }
            (None, None) => panic!("{name} names no test"),
        };
        let text = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{name}: {file} is not there"));
        assert!(text.contains("#[test]") || text.contains("#[tokio::test"), "{name}: no test in {file}");
        assert!(test.is_empty() || text.contains(&format!("fn {test}(")), "{name} is not there");
    }
}

/// A page that names a proof must not outlive it.
#[test]
fn every_test_that_the_page_on_threats_names_is_there() {
    let page = fs::read_to_string("docs/threats.md").unwrap();
    let named = page.split('`').filter_map(|words| words.strip_prefix("house::")?.split_once("::"));
    let mut count = 0;
    for (file, test) in named {
        let text = fs::read_to_string(format!("tests/house/{file}.rs")).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "house::{file}::{test} is not there");
        count += 1;
    }
    assert!(count > 0);
}
