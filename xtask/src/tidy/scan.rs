//! Just enough of Rust's syntax to count by: which characters are code, which lines belong to tests, where functions
//! begin and end. It is no parser, and deliberately knows nothing of macros: braces are braces.

/// What stands for a character of a string: visible, so that a line inside of a string counts as code.
const IN_STRING: char = '"';

/// Rust source with comments and the content of literals blanked out, line by line as it was.
pub(crate) struct Source {
    code: Vec<char>,
    /// The line, from 0, of each character of `code`.
    line_of: Vec<usize>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of the `fn`, counted from 1.
    pub(crate) line: usize,
    /// The lines between its braces that hold code: neither blank nor only comments.
    pub(crate) code_lines: usize,
}

impl Source {
    /// Reads source text.
    pub(crate) fn of(text: &str) -> Self {
        let code = Blanker::new(text).run();
        let mut line = 0;
        let line_of = code
            .iter()
            .map(|character| {
                let this = line;
                line += usize::from(*character == '\n');
                this
            })
            .collect();
        Self { code, line_of }
    }

    /// How many lines there are outside of items that are `#[cfg(test)]`.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let all = self.code.split(|character| *character == '\n').count() - usize::from(self.code.ends_with(&['\n']));
        let tests: usize = self.tests().iter().map(|(from, to)| self.line_of[*to] - self.line_of[*from] + 1).sum();
        all - tests
    }

    /// The functions outside of items that are `#[cfg(test)]`, nested ones included.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let tests = self.tests();
        let outside_tests = |at: &usize| !tests.iter().any(|(from, to)| (from..=to).contains(&at));
        self.positions_of("fn ")
            .filter(|at| *at == 0 || !is_word(self.code[*at - 1]))
            .filter(outside_tests)
            .filter_map(|at| self.function(at))
            .collect()
    }

    /// The function whose `fn` is at an index; none without a name (`fn (u8)` is a type) or a body (as in a trait).
    fn function(&self, at: usize) -> Option<Function> {
        let name: String = self.code[at + 3..].iter().copied().take_while(|character| is_word(*character)).collect();
        let body = self.block(at).filter(|_| !name.is_empty())?;
        let inner: String = self.code[body.0 + 1..body.1].iter().collect();
        let code_lines = inner.lines().filter(|line| !line.trim().is_empty()).count();
        Some(Function { name, line: self.line_of[at] + 1, code_lines })
    }

    /// The items that are `#[cfg(test)]`: from the attribute to the closing brace or the semicolon, as indexes.
    fn tests(&self) -> Vec<(usize, usize)> {
        let mut tests: Vec<(usize, usize)> = Vec::new();
        for at in self.positions_of("#[cfg(test)]") {
            if tests.last().is_some_and(|(_, end)| at < *end) {
                continue;
            }
            let end = self.block(at).map(|(_, end)| end).or_else(|| self.semicolon(at));
            tests.push((at, end.unwrap_or(self.code.len() - 1)));
        }
        tests
    }

    fn positions_of(&self, wanted: &str) -> impl Iterator<Item = usize> {
        let wanted: Vec<char> = wanted.chars().collect();
        let windows = self.code.windows(wanted.len()).enumerate();
        windows.filter(|(_, window)| *window == wanted).map(|(at, _)| at).collect::<Vec<_>>().into_iter()
    }

    /// The indexes of the braces of the item that begins at an index; none when a semicolon ends it first. A semicolon
    /// or a brace within brackets or parentheses (`[u8; 4]`) is part of a type.
    fn block(&self, at: usize) -> Option<(usize, usize)> {
        let mut nesting = 0_usize;
        let open = self.code.iter().enumerate().skip(at).find(|(_, character)| {
            match character {
                '(' | '[' => nesting += 1,
                ')' | ']' => nesting = nesting.saturating_sub(1),
                _ => {}
            }
            nesting == 0 && matches!(character, '{' | ';')
        });
        let (open, _) = open.filter(|(_, character)| **character == '{')?;
        let mut depth = 0_usize;
        let close = self.code.iter().enumerate().skip(open).find(|(_, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        close.map(|(close, _)| (open, close))
    }

    fn semicolon(&self, at: usize) -> Option<usize> {
        self.code.iter().skip(at).position(|character| *character == ';').map(|offset| at + offset)
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Walks once over the text and blanks what is no code.
struct Blanker {
    text: Vec<char>,
    at: usize,
    code: Vec<char>,
}

impl Blanker {
    fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        Self { code: Vec::with_capacity(text.len()), text, at: 0 }
    }

    fn run(mut self) -> Vec<char> {
        while let Some(character) = self.peek(0) {
            match character {
                '/' if self.peek(1) == Some('/') => self.blank_while(' ', |rest| rest[0] != '\n'),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if self.starts_raw_string() => self.raw_string(),
                '\'' if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') => self.character(),
                _ => self.keep(),
            }
        }
        self.code
    }

    fn peek(&self, offset: usize) -> Option<char> {
        self.text.get(self.at + offset).copied()
    }

    fn keep(&mut self) {
        self.code.extend(self.peek(0));
        self.at += 1;
    }

    /// Writes `with` for the next character, but keeps the end of a line.
    fn blank(&mut self, with: char) {
        self.code.extend(self.peek(0).map(|character| if character == '\n' { '\n' } else { with }));
        self.at += 1;
    }

    fn blank_while(&mut self, with: char, goes_on: impl Fn(&[char]) -> bool) {
        while self.at < self.text.len() && goes_on(&self.text[self.at..]) {
            self.blank(with);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return,
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.blank(' ');
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.blank(' ');
                }
                _ => {}
            }
            self.blank(' ');
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.blank(IN_STRING);
        while let Some(character) = self.peek(0) {
            self.blank(IN_STRING);
            match character {
                '"' => return,
                '\\' => self.blank(IN_STRING),
                _ => {}
            }
        }
    }

    /// `r"` or `r#"`, also after `b` or `c`, but not the end of a word and not a raw identifier.
    fn starts_raw_string(&self) -> bool {
        let word: Vec<char> = self.code.iter().rev().copied().take_while(|character| is_word(*character)).collect();
        let hashes = self.hashes(1);
        matches!(word[..], [] | ['b' | 'c']) && self.peek(1 + hashes) == Some('"')
    }

    fn hashes(&self, offset: usize) -> usize {
        self.text[self.at + offset..].iter().take_while(|character| **character == '#').count()
    }

    fn raw_string(&mut self) {
        let hashes = self.hashes(1);
        let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
        for _ in 0..hashes + 2 {
            self.blank(IN_STRING);
        }
        self.blank_while(IN_STRING, |rest| !rest.starts_with(&end));
        for _ in 0..end.len() {
            self.blank(IN_STRING);
        }
    }

    /// A character literal; a lifetime has no second quote and is kept.
    fn character(&mut self) {
        self.blank(IN_STRING);
        if self.peek(0) == Some('\\') {
            self.blank(IN_STRING);
        }
        self.blank(IN_STRING);
        self.blank_while(IN_STRING, |rest| rest[0] != '\'');
        self.blank(IN_STRING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(text: &str) -> Vec<(String, usize, usize)> {
        let functions = Source::of(text).functions();
        functions.into_iter().map(|function| (function.name, function.line, function.code_lines)).collect()
    }

    #[test]
    fn braces_in_literals_and_comments_are_no_code() {
        let text = r##"
fn a<'x>(s: &'x str) -> [u8; 2] {
    // }
    let open = '{'; let quote = '\''; let hex = '\u{7d}';
    let text = "} \" }";

    let raw = br#"}" }"#;
    /* } /* } */ } */
    r#fn(open)
}
fn b() { a("'") }
"##;
        assert_eq!(functions(text), [("a".to_owned(), 2, 4), ("b".to_owned(), 11, 1)]);
    }

    #[test]
    fn lines_of_a_string_count_and_types_are_no_functions() {
        let text = "fn a(f: fn (u8) -> u8) {\n    \"one\n  two\"\n}\ntrait T { fn later(&self) -> [u8; 3]; }\n";
        assert_eq!(functions(text), [("a".to_owned(), 1, 2)]);
    }

    #[test]
    fn tests_count_nowhere() {
        let text = "//! x\n#[cfg(test)]\nmod proofs;\nfn a() {\n}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        let source = Source::of(text);
        assert_eq!(source.lines_without_tests(), 4);
        assert_eq!(functions(text).len(), 2);
    }
}
