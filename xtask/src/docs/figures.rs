//! A page in which figures stand between marks, `<!-- figures: NAME -->` and `<!-- /figures -->`, and the figure that is
//! counted from the checkout itself: how much code there is.

use std::fmt::Write as _;

use crate::codegen::Generated;
use crate::error::Error;
use crate::repository::Repository;
use crate::tidy::scan::Source;
use crate::tidy::size::is_test;

const END: &str = "<!-- /figures -->";

/// A page with figures in it.
pub(super) struct Page {
    path: &'static str,
    text: String,
}

impl Page {
    pub(super) fn new(path: &'static str, text: String) -> Self {
        Self { path, text }
    }

    /// The figures of that name, as they are.
    ///
    /// # Errors
    /// [`Error::Content`] where the page has no such place.
    pub(super) fn get(&self, name: &str) -> Result<&str, Error> {
        let (from, to) = self.place(name)?;
        Ok(self.text[from..to].trim_matches('\n'))
    }

    /// Writes figures into their place.
    ///
    /// # Errors
    /// [`Error::Content`] where the page has no such place.
    pub(super) fn put(&mut self, name: &str, figures: &str) -> Result<(), Error> {
        let (from, to) = self.place(name)?;
        self.text.replace_range(from..to, &format!("\n\n{}\n\n", figures.trim_matches('\n')));
        Ok(())
    }

    fn place(&self, name: &str) -> Result<(usize, usize), Error> {
        let begin = format!("<!-- figures: {name} -->");
        let missing = |mark: &str| Error::Content {
            path: self.path.into(),
            problem: format!("has no `{mark}` where the figures `{name}` are to stand; write it there"),
        };
        let from = self.text.find(&begin).ok_or_else(|| missing(&begin))? + begin.len();
        let length = self.text[from..].find(END).ok_or_else(|| missing(END))?;
        Ok((from, from + length))
    }
}

impl From<Page> for Generated {
    fn from(page: Page) -> Self {
        Self { path: page.path.to_owned(), content: page.text }
    }
}

/// Today, in UTC.
pub(super) fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Lines of Rust in each package; as they stand, date and all, where none has changed.
///
/// # Errors
/// When the checkout can't be read.
pub(super) fn code_size(repository: &Repository, before: &str) -> Result<String, Error> {
    let mut rows = String::from("| package | files | lines without tests | lines of tests |\n|---|---:|---:|---:|\n");
    let metadata = repository.metadata()?;
    let mut total = (0, 0, 0);
    for package in metadata.packages() {
        let (files, code, tests) = package_size(repository, &package.directory(repository))?;
        let _ = writeln!(rows, "| `{}` | {files} | {code} | {tests} |", package.name());
        total = (total.0 + files, total.1 + code, total.2 + tests);
    }
    let _ = writeln!(rows, "| all | {} | {} | {} |", total.0, total.1, total.2);
    if before.contains(rows.trim()) {
        return Ok(before.to_owned());
    }
    Ok(format!("{rows}\nCounted on {} by `cargo xtask docs`; comments count, for they are read, too.", today()))
}

fn package_size(repository: &Repository, directory: &str) -> Result<(usize, usize, usize), Error> {
    let (mut files, mut code, mut tests) = (0, 0, 0);
    for file in repository.files()? {
        if !file.starts_with(&format!("{directory}/")) || !file.ends_with(".rs") {
            continue;
        }
        let text = repository.read(&file)?;
        let (all, without) = (text.lines().count(), Source::of(&text).lines_without_tests());
        files += 1;
        let counted = if is_test(&file) { 0 } else { without.min(all) };
        code += counted;
        tests += all - counted;
    }
    Ok((files, code, tests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_into_their_place_and_nowhere_else() {
        let text = "a\n<!-- figures: x -->\nold\n<!-- /figures -->\nb\n<!-- figures: y --><!-- /figures -->\n";
        let mut page = Page::new("page.md", text.to_owned());
        assert_eq!(page.get("x").unwrap(), "old");
        page.put("y", "| 1 |").unwrap();
        page.put("x", "new\n").unwrap();
        let expected = "a\n<!-- figures: x -->\n\nnew\n\n<!-- /figures -->\nb\n<!-- figures: y -->\n\n| 1 |\n\n<!-- /figures -->\n";
        assert_eq!(page.text, expected);
        let again = page.text.clone();
        page.put("x", "new").unwrap();
        assert_eq!(page.text, again);
        let error = page.put("z", "").unwrap_err().to_string();
        assert!(error.starts_with("page.md: has no `<!-- figures: z -->`"), "{error}");
    }
}
