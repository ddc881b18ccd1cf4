//! Pages of a listing (`ListObjectsV2`).

use helix_engine::seams::Listed;
use roxmltree::{Document, Node};

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    /// What to ask for the next page with; none on the last.
    pub(super) next: Option<String>,
}

/// Reads a page; `Err` says what is wrong with it.
pub(super) fn read(body: &[u8]) -> Result<Page, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "it is no text")?;
    let document = Document::parse(text).map_err(|_| "it is no XML")?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return Err("it is no listing");
    }
    let entries = root.children().filter(|node| node.tag_name().name() == "Contents");
    let objects = entries.map(object).collect::<Option<Vec<_>>>().ok_or("an entry lacks its key or its size")?;
    let next = match child(root, "IsTruncated") {
        Some("true") => Some(child(root, "NextContinuationToken").ok_or("it is cut and says no way to go on")?),
        Some("false") => None,
        _ => return Err("it does not say whether it is whole"),
    };
    Ok(Page { objects, next: next.map(str::to_owned) })
}

fn object(entry: Node<'_, '_>) -> Option<Listed> {
    Some(Listed { key: child(entry, "Key")?.to_owned(), size_bytes: child(entry, "Size")?.parse().ok()? })
}

/// The text of a child, whatever its namespace.
pub(super) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_half_a_page_is_not() {
        let page = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <IsTruncated>true</IsTruncated><NextContinuationToken>1/a==</NextContinuationToken>
            <Contents><Key>a&amp;b</Key><Size>7</Size><ETag>"x"</ETag></Contents>
            <Contents><Size>0</Size><Key>c</Key></Contents></ListBucketResult>"#;
        let listed = |key: &str, size_bytes| Listed { key: key.to_owned(), size_bytes };
        let expected = Page { objects: vec![listed("a&b", 7), listed("c", 0)], next: Some("1/a==".to_owned()) };
        assert_eq!(read(page.as_bytes()), Ok(expected));
        for length in 0..page.len() - 1 {
            assert!(read(&page.as_bytes()[..length]).is_err(), "{length}");
        }
        let last = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(read(last.as_bytes()), Ok(Page { objects: Vec::new(), next: None }));
    }

    #[test]
    fn what_is_no_listing_is_told() {
        let wrong = [
            ("<html/>", "it is no listing"),
            ("<ListBucketResult/>", "it does not say whether it is whole"),
            (
                "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
                "it is cut and says no way to go on",
            ),
            (
                "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
                "an entry lacks its key or its size",
            ),
            ("<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>", "it is no XML"),
            ("\u{0}", "it is no XML"),
        ];
        for (body, why) in wrong {
            assert_eq!(read(body.as_bytes()), Err(why), "{body}");
        }
        assert_eq!(read(b"\xff"), Err("it is no text"));
    }
}
