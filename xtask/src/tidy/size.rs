//! Files and functions that fit in a head, and files that say what they are for.

use crate::tidy::Finding;
use crate::tidy::scan::Source;

/// Lines of a file without its tests; comments count, for they are read, too.
const FILE_LINES: usize = 400;

/// Lines of code in a function, counted as clippy does: without blank lines and comments.
const FUNCTION_LINES: usize = 70;

/// Judges a Rust file. Files of tests may be as long as their scenarios, but they, too, say what they are for.
pub(crate) fn findings(file: &str, text: &str) -> Vec<Finding> {
    let finding = |line, message| Finding { file: file.to_owned(), line, message };
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        let message = "does not open with `//!`; say what the file is for and what it deliberately does not do";
        findings.push(finding(Some(1), message.to_owned()));
    }
    if is_test(file) {
        return findings;
    }
    let source = Source::of(text);
    let lines = source.lines_without_tests();
    if lines > FILE_LINES {
        let message = format!("{lines} lines without tests, at most {FILE_LINES}; split it by what its parts make");
        findings.push(finding(None, message));
    }
    let long = source.functions().into_iter().filter(|function| function.code_lines > FUNCTION_LINES);
    findings.extend(long.map(|function| {
        let message = format!(
            "`{}` has {} lines of code, at most {FUNCTION_LINES}; take a step of it out and name it",
            function.name, function.code_lines
        );
        finding(Some(function.line), message)
    }));
    findings
}

/// Whether the whole file is tests: an integration test, a benchmark, or the file of a `mod tests;`.
pub(crate) fn is_test(file: &str) -> bool {
    file.split('/').any(|part| ["tests", "benches", "tests.rs"].contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_functions_and_missing_openings_are_found_where_they_are() {
        let body = "    step();\n".repeat(FUNCTION_LINES + 1);
        let text = format!("use x;\n\nfn long() {{\n{body}}}\n{}", "\n".repeat(FILE_LINES));
        let lines: Vec<_> = findings("src/a.rs", &text).into_iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [Some(1), None, Some(3)]);
        assert_eq!(findings("tests/a.rs", &text).len(), 1);
    }

    #[test]
    fn bounds_themselves_are_allowed_and_comments_in_functions_are_free() {
        let body = "    step();\n    // why\n\n".repeat(FUNCTION_LINES);
        let text = format!("//! What for.\nfn long() {{\n{body}}}\n");
        assert_eq!(findings("src/a.rs", &text), []);
    }
}
