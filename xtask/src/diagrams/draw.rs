//! One picture: from Mermaid's language to SVG and PNG, by `merman`, with fonts that come along.
//!
//! Nothing of the machine enters: no installed font, no clock, no randomness. So the same source gives the same bytes.

use merman::svg::export::{NativeFontContext, NativeFontError, NativeFontLimits, RasterOptions};
use merman::svg::{SvgOutputPolicy, SvgPipelinePreset, SvgRenderOptions};
use merman::{
    Engine, MermaidConfig, OperationControl, ParseOptions, PngRequest, RenderError, RenderOutput, RenderRequest,
    Renderer, SvgEnvironment, SvgRequest,
};

use super::look::Look;
use super::sources::Source;

/// Keywords of Mermaid's, after which stands what is told to those who can't see the picture.
const TITLE: &str = "accTitle:";
const DESCRIPTION: &str = "accDescr:";

/// The renderer's code for a source that it takes for no diagram at all.
const NO_KIND: &str = "merman.parse.no_diagram_detected";

/// Pixels of a PNG for each of the SVG: sharp on dense screens.
const PNG_SCALE: f32 = 2.0;

/// Why a diagram could not be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrawError {
    /// The source is not in Mermaid's language.
    #[error("{path}:{line}: {problem}")]
    Parse {
        /// The source, relative to the checkout.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What was found there and what was expected.
        problem: String,
    },

    /// The source has nothing to tell those who can't see the picture.
    #[error("{path}: there is no `{keyword} …`; write one under the first line, for those who can't see the picture")]
    Silent {
        /// The source, relative to the checkout.
        path: String,
        /// What is to be written.
        keyword: &'static str,
    },

    /// The source was understood and can't be drawn.
    #[error("{path}: {problem}")]
    Undrawable {
        /// The source, relative to the checkout.
        path: String,
        /// What the renderer said.
        problem: String,
    },

    /// The fonts that come along can't be used.
    #[error("the fonts that come along can't be used: {problem}")]
    Fonts {
        /// What the renderer said.
        problem: String,
    },
}

/// Draws.
pub(super) struct Pen {
    environment: SvgEnvironment,
}

impl Pen {
    /// One that has its fonts.
    ///
    /// # Errors
    /// [`DrawError::Fonts`].
    pub(super) fn new() -> Result<Self, DrawError> {
        let failure = |error: NativeFontError| DrawError::Fonts { problem: error.to_string() };
        let fonts = [dejavu::sans::regular(), dejavu::sans::bold(), dejavu::sans::oblique()];
        let fonts = fonts.map(<[u8]>::to_vec);
        let context = NativeFontContext::from_font_bytes(fonts, NativeFontLimits::default(), &OperationControl::new());
        let environment = SvgEnvironment::deterministic().with_native_font_context(context.map_err(failure)?);
        Ok(Self { environment: environment.map_err(failure)? })
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// When the source is not as it must be.
    pub(super) fn svg(&self, source: &Source, look: Look) -> Result<String, DrawError> {
        let said = |keyword| source.says(keyword).ok_or_else(|| DrawError::Silent { path: source.path(), keyword });
        let (title, description) = (said(TITLE)?, said(DESCRIPTION)?);
        let request = RenderRequest::svg(&source.text, OperationControl::new(), self.request(source, look));
        match renderer(look).render(request) {
            Ok(RenderOutput::Svg(Some(output))) => Ok(told(output.svg(), &id(source, look), title, description)),
            Ok(_) => Err(explain(source, &RenderError::NoDiagram)),
            Err(error) => Err(explain(source, &error)),
        }
    }

    /// The picture as PNG.
    ///
    /// # Errors
    /// As [`Pen::svg`].
    pub(super) fn png(&self, source: &Source, look: Look) -> Result<Vec<u8>, DrawError> {
        let options = RasterOptions::default().with_scale(PNG_SCALE).with_background(look.background());
        let request = PngRequest { svg: self.request(source, look), options };
        match renderer(look).render(RenderRequest::png(&source.text, OperationControl::new(), request)) {
            Ok(RenderOutput::Png(Some(output))) => Ok(output.bytes),
            Ok(_) => Err(explain(source, &RenderError::NoDiagram)),
            Err(error) => Err(explain(source, &error)),
        }
    }

    fn request(&self, source: &Source, look: Look) -> SvgRequest {
        // Texts as SVG's own: not every viewer shows HTML within a picture.
        let policy = SvgOutputPolicy {
            preset: SvgPipelinePreset::ResvgSafe,
            root_background_color: Some(look.background().to_owned()),
            ..SvgOutputPolicy::default()
        };
        SvgRequest {
            environment: self.environment.clone(),
            options: SvgRenderOptions { diagram_id: Some(id(source, look)), ..SvgRenderOptions::default() },
            pipeline: Some(policy.pipeline()),
            ..SvgRequest::default()
        }
    }
}

/// Several pictures in one page must not share ids.
fn id(source: &Source, look: Look) -> String {
    format!("{}-{}", source.name, look.name())
}

/// The picture with its title and description. Not every kind of Mermaid's diagrams carries them by itself.
fn told(svg: &str, id: &str, title: &str, description: &str) -> String {
    match svg.split_once('>') {
        Some((root, rest)) if !svg.contains("<title") => format!(
            "{root} aria-labelledby=\"{id}-title\" aria-describedby=\"{id}-desc\"><title id=\"{id}-title\">{}</title>\
             <desc id=\"{id}-desc\">{}</desc>{rest}",
            escaped(title),
            escaped(description)
        ),
        _ => svg.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn renderer(look: Look) -> Renderer {
    let engine = Engine::new().with_site_config(MermaidConfig::from_value(look.configuration()));
    Renderer::new().with_engine(engine).with_parse_options(ParseOptions::strict())
}

/// What the renderer said, with the place that it means.
fn explain(source: &Source, error: &RenderError) -> DrawError {
    let path = source.path();
    match error {
        RenderError::Parse(diagnostic) => {
            let details = diagnostic.terminal_diagnostic_details();
            if details.code == NO_KIND {
                return no_kind(path);
            }
            let line = details.span.map_or(1, |span| line_of(&source.text, span.start));
            DrawError::Parse { path, line, problem: error.to_string() }
        }
        RenderError::NoDiagram => no_kind(path),
        _ => DrawError::Undrawable { path, problem: error.to_string() },
    }
}

fn no_kind(path: String) -> DrawError {
    let problem = "no kind of diagram; expected one of those that xtask/Cargo.toml turns on, as in `flowchart LR`";
    DrawError::Parse { path, line: 1, problem: problem.to_owned() }
}

/// The line of a byte, counted from 1; the end of the file is on its last line.
fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count();
    (before + 1).min(text.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { name: "sample".to_owned(), text: text.to_owned() }
    }

    const SAMPLES: [&str; 4] = [
        "flowchart LR\n  accTitle: One & two\n  accDescr: It goes.\n  a[\"one\"] -- \"goes\" --> b[(two)]\n",
        "sequenceDiagram\n  accTitle: One & two\n  accDescr: It goes.\n  a->>b: goes\n",
        "stateDiagram-v2\n  accTitle: One & two\n  accDescr: It goes.\n  [*] --> one\n",
        "timeline\n  accTitle: One & two\n  accDescr: It goes.\n  section One\n    two : three\n",
    ];

    #[test]
    fn the_same_source_gives_the_same_bytes() {
        for text in SAMPLES {
            for look in Look::ALL {
                let svg = || Pen::new().unwrap().svg(&source(text), look).unwrap();
                let png = || Pen::new().unwrap().png(&source(text), look).unwrap();
                assert_eq!(svg(), svg(), "{text}");
                assert_eq!(png(), png(), "{text}");
            }
        }
    }

    #[test]
    fn every_kind_tells_what_it_shows() {
        for text in SAMPLES {
            let svg = Pen::new().unwrap().svg(&source(text), Look::Dark).unwrap();
            for part in
                ["role=\"", "aria-labelledby=\"", "aria-describedby=\"", ">One &amp; two</title>", ">It goes.</desc>"]
            {
                assert_eq!(svg.matches(part).count(), 1, "{part} in {svg}");
            }
            assert!(svg.contains(Look::Dark.background()), "{svg}");
            assert!(!svg.contains("<foreignObject"), "{svg}");
        }
    }

    #[test]
    fn what_does_not_parse_is_told_with_its_line() {
        let text = "flowchart LR\n  accTitle: One\n  accDescr: Two\n  a --> b\n  c -->\n";
        let error = Pen::new().unwrap().svg(&source(text), Look::Light).unwrap_err();
        assert!(error.to_string().starts_with("diagrams/sample.mmd:5: "), "{error}");
        assert!(error.to_string().contains("expected node identifier"), "{error}");
        let error = Pen::new().unwrap().svg(&source(&text.replace("flowchart", "flowchrt")), Look::Light).unwrap_err();
        assert!(error.to_string().starts_with("diagrams/sample.mmd:1: no kind of diagram"), "{error}");
    }

    #[test]
    fn what_tells_nothing_is_not_drawn() {
        let error =
            Pen::new().unwrap().svg(&source("flowchart LR\n  accTitle: One\n  a --> b\n"), Look::Light).unwrap_err();
        assert!(matches!(error, DrawError::Silent { keyword: DESCRIPTION, .. }), "{error}");
    }
}
