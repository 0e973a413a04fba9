//! The project's documents agree with the project: ARCHITECTURE.md's map and its lists
//! of tests, and no file speaks of anything but the product.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_crate_is_on_the_map() {
    let map = architecture();
    let named = spans(&map);
    let missing: Vec<String> = folders("crates")
        .into_iter()
        .map(|name| format!("crates/{name}"))
        .filter(|path| !named.contains(path.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in ARCHITECTURE.md: {missing:?}");
}

#[test]
fn every_path_on_the_map_exists() {
    let map = architecture();
    let paths: Vec<&str> = spans(&map).into_iter().filter(|s| is_path(s)).collect();
    assert!(paths.len() > 20, "the map names hardly any path: {paths:?}");
    let missing: Vec<&str> = paths
        .into_iter()
        .filter(|path| !root().join(path).exists())
        .collect();
    assert!(missing.is_empty(), "in ARCHITECTURE.md only: {missing:?}");
}

#[test]
fn every_invariant_is_held_by_tests_that_exist() {
    let known = names_of_tests();
    let map = architecture();
    let (_, chapter) = map
        .split_once("\n## What always holds\n")
        .expect("the chapter is there");
    let chapter = chapter.split("\n## ").next().unwrap_or_default();

    let mut invariants = 0;
    for section in chapter.split("\n### ").skip(1) {
        invariants += 1;
        let title = section.lines().next().unwrap_or_default();
        let (_, held) = section.split_once("\nHeld by:").unwrap_or_default();
        let held = held.split("\n\n").next().unwrap_or_default();
        let tests = spans(held);
        assert!(!tests.is_empty(), "{title:?} names no test");
        for test in tests {
            assert!(known.contains(test), "{title:?}: no test is {test:?}");
        }
    }
    assert_eq!(invariants, 13, "every invariant has a section");
}

/// What the guides and the README say with one of these words has a test that holds it.
const STRONG: [&str; 6] = [
    "never", "always", "at most", "at least", "exactly", "at once",
];

#[test]
fn every_promise_of_the_guides_is_held_by_tests_that_exist() {
    let known = names_of_tests();
    let list = fs::read_to_string(root().join("tests/promises.md")).expect("the list");
    let mut held = BTreeSet::new();
    for item in list.split("\n- ").skip(1) {
        let (promise, tests) = item.split_once("\n  ").expect("tests below a promise");
        let tests = tests.split("\n\n").next().unwrap_or_default().trim();
        if !tests.starts_with('(') {
            assert!(!spans(tests).is_empty(), "{promise:?} names no test");
            for test in spans(tests) {
                assert!(known.contains(test), "{promise:?}: no test is {test:?}");
            }
        }
        held.insert(promise.trim().to_owned());
    }

    let guides = files(&root().join("crates/tenure/src/guides"));
    let said: BTreeSet<String> = guides
        .into_iter()
        .chain([root().join("README.md")])
        .flat_map(|page| strong_sentences(&fs::read_to_string(page).expect("text")))
        .collect();
    assert!(
        said.len() > 10,
        "the guides promise hardly anything: {said:#?}"
    );
    let missing: Vec<_> = said.difference(&held).collect();
    assert!(missing.is_empty(), "not in tests/promises.md: {missing:#?}");
    let gone: Vec<_> = held.difference(&said).collect();
    assert!(gone.is_empty(), "in tests/promises.md only: {gone:#?}");
}

/// The sentences of a page with a strong word in them, each on one line, without the signs of
/// a list around it.
fn strong_sentences(page: &str) -> Vec<String> {
    let prose: String = page.split("```").step_by(2).collect();
    let mut blocks = vec![String::new()];
    for line in prose.lines() {
        let line = line.trim();
        let begins = line.starts_with(['-', '#', '|'])
            || line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(". ");
        if line.is_empty() || begins {
            blocks.push(String::new());
        }
        let block = blocks.last_mut().expect("one at least");
        block.push_str(line);
        block.push(' ');
    }
    let mut found = Vec::new();
    for block in blocks.iter().filter(|block| !block.starts_with('#')) {
        let block = block
            .trim()
            .trim_start_matches("- ")
            .trim_matches(['|', ' ']);
        let mut rest = block;
        while !rest.is_empty() {
            // A sentence ends before a capital letter, or what is set off like one.
            let end = rest.match_indices(['.', '!', '?']).find_map(|(at, _)| {
                let (end, next) = match rest[at + 1..].strip_prefix("**") {
                    Some(next) => (at + 3, next),
                    None => (at + 1, &rest[at + 1..]),
                };
                let first = next
                    .strip_prefix(' ')?
                    .trim_start_matches(['*', '`', '[', '|', ' ']);
                let begins = first.starts_with(|c: char| c.is_uppercase());
                begins.then_some(end)
            });
            let (sentence, next) = rest.split_at(end.unwrap_or(rest.len()));
            let lower = sentence.to_lowercase();
            if STRONG.iter().any(|word| has_word(&lower, word)) {
                found.push(sentence.trim().trim_matches(['|', ' ']).to_owned());
            }
            rest = next.trim_start();
        }
    }
    found
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after]
            .into_iter()
            .flatten()
            .any(char::is_alphanumeric)
    })
}

#[test]
fn no_file_speaks_of_how_it_was_made() {
    // In two parts each, so that this file does not name them.
    let unwanted = [
        ("shared/", "DESIGN"),
        ("DESIGN", ".md"),
        ("SCENARIOS", ".md"),
        ("STORIES", ".md"),
        ("PEERS", ".md"),
        ("/wo", "rk/"),
        ("TO", "DO"),
        ("FIX", "ME"),
    ]
    .map(|(head, tail)| format!("{head}{tail}"));
    let mut found = Vec::new();
    for path in files(&root()) {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("readable")).into_owned();
        for (number, line) in (1..).zip(text.lines()) {
            if unwanted.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md")
}

/// What stands between backticks, code blocks left out.
fn spans(text: &str) -> BTreeSet<&str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether a span names a file or folder of the project: plain characters with a slash,
/// or one of the documents at the top.
fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ending = Path::new(span).extension().and_then(OsStr::to_str);
    span.chars().all(plain) && (span.contains('/') || matches!(ending, Some("md" | "toml")))
}

fn folders(under: &str) -> Vec<String> {
    fs::read_dir(root().join(under))
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Every file of the project, what was built or downloaded left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        // A link leads to a file that is looked at where it lies.
        if name == ".git" || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// What a test can be called by: the name of a function, or a case's id on the
/// conformance suite's list.
fn names_of_tests() -> BTreeSet<String> {
    let list = root().join("crates/tenure-conformance/src/list.rs");
    let mut names: BTreeSet<String> = words(&list).into_iter().collect();
    for path in files(&root()) {
        // This file's own functions hold no invariant.
        if path.extension().is_some_and(|end| end == "rs") && path != root().join("tests/map.rs") {
            let words = words(&path);
            let functions = words.windows(2).filter(|pair| pair[0] == "fn");
            names.extend(functions.map(|pair| pair[1].clone()));
        }
    }
    names
}

fn words(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .expect("UTF-8")
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
