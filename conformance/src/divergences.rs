//! What backends skip, and what they do differently: written into the documentation from what the suites say, and so
//! never out of date.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::registry::{self, BACKENDS, Difference, Module};

/// If it is set, tests write the file rather than compare it.
const UPDATE: &str = "UPDATE_DIVERGENCES";

const HEADER: &str = "# Where backends differ

All backends run one suite of trials, in `conformance`, and give the same results, errors and order. This file lists what
some of them skip and what they do differently. The suite writes it: the trials say what they need where they are named.
";

/// What a suite contributes to the file.
pub(crate) struct Section<E: 'static> {
    /// Of trials of what.
    pub(crate) title: &'static str,
    /// What the test that compares it must be built with, as arguments of cargo.
    pub(crate) features: &'static str,
    pub(crate) modules: &'static [Module<E>],
    pub(crate) differences: &'static [Difference],
}

impl<E> Section<E> {
    /// Compares the file with what the suite says, or writes it.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub(crate) fn check(&self) {
        /// The sections are in one file, and tests run at the same time.
        static FILE: Mutex<()> = Mutex::new(());
        let _alone = FILE.lock();
        let path = path();
        let old = fs::read_to_string(&path).unwrap_or_else(|_| HEADER.to_owned());
        let new = replace(&old, self.title, &self.render());
        if std::env::var_os(UPDATE).is_some() {
            return fs::write(&path, new).expect("the documentation");
        }
        assert!(
            old == new && path.exists(),
            "docs/divergences.md is out of date. To write it: {UPDATE}=1 cargo test -p conformance{} divergences",
            self.features
        );
    }

    fn render(&self) -> String {
        let mut text = format!("\n## {}\n\n", self.title);
        text += &table("skips", "because", &self.skipped());
        let different: Vec<_> = self
            .differences
            .iter()
            .map(|difference| {
                self.assert_is_one(difference);
                (difference.backend, format!("`{}`", difference.trial), difference.what)
            })
            .collect();
        text += "\n";
        text += &match different[..] {
            [] => "What they do not skip, they all do alike.\n".to_owned(),
            _ => table("does otherwise", "namely", &different),
        };
        text += "\n";
        text
    }

    /// What each backend skips, by reason. A module of which it skips everything counts as one.
    fn skipped(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut rows: Vec<(&'static str, String, &'static str)> = Vec::new();
        for backend in &BACKENDS {
            let mut add =
                |name: String, why| match rows.iter_mut().find(|row| (row.0, row.2) == (backend.name, why)) {
                    Some((_, names, _)) => write!(names, ", `{name}`").expect("a string takes everything"),
                    None => rows.push((backend.name, format!("`{name}`"), why)),
                };
            registry::for_each_module(self.modules, &mut |path, module| {
                let reasons: Vec<_> = module.trials.iter().map(|trial| backend.lacks(trial.needs)).collect();
                match reasons[..] {
                    [Some(first), ..] if reasons.iter().all(|why| *why == Some(first)) => {
                        add(path.into(), first)
                    }
                    _ => {
                        for (trial, why) in module.trials.iter().zip(reasons) {
                            why.into_iter().for_each(|why| add(format!("{path}::{}", trial.name), why));
                        }
                    }
                }
            });
        }
        rows
    }

    fn assert_is_one(&self, difference: &Difference) {
        let mut exists = false;
        registry::for_each(self.modules, &mut |path, _| exists |= path == difference.trial);
        assert!(exists, "there is no trial {}", difference.trial);
        assert!(BACKENDS.iter().any(|backend| backend.name == difference.backend), "{}", difference.backend);
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/divergences.md")
}

fn table(what: &str, why: &str, rows: &[(&str, String, &str)]) -> String {
    let mut table = format!("| backend | {what} | {why} |\n|---|---|---|\n");
    for (backend, what, why) in rows {
        writeln!(table, "| {backend} | {what} | {why} |").expect("a string takes everything");
    }
    table
}

/// The text with the section of that name as `body`, wherever it is; at the end if it is new.
fn replace(text: &str, name: &str, body: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) => format!("{}{begin}{body}{}", &text[..from], &text[to..]),
        _ => format!("{text}\n{begin}{body}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_where_it_is() {
        let two = replace(&replace("head\n", "a", "1\n"), "b", "2\n");
        assert_eq!(two, "head\n\n<!-- a -->\n1\n<!-- end of a -->\n\n<!-- b -->\n2\n<!-- end of b -->\n");
        assert_eq!(replace(&two, "a", "1\n"), two);
        assert_eq!(replace(&two, "a", "3\n"), two.replace('1', "3"));
    }
}
