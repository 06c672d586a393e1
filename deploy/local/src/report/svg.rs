//! The few pieces of SVG that the plots are made of, readable on light and dark pages alike.

use std::fmt::{Display, Write as _};

/// Colours that keep their contrast in both schemes; the page's own scheme decides.
const STYLE: &str = "\
    .page{fill:#fff}.ink{fill:#1c2430}.dim{fill:#5c6773}.grid{stroke:#dde2e8}.axis{stroke:#5c6773}\
    .c0{stroke:#6b7785;fill:#6b7785}.c1{stroke:#0b7a75;fill:#0b7a75}.c2{stroke:#c2410c;fill:#c2410c}\
    .c3{stroke:#4f46e5;fill:#4f46e5}.c4{stroke:#a16207;fill:#a16207}.c5{stroke:#be185d;fill:#be185d}.line{fill:none;stroke-width:2;stroke-linejoin:round}\
    .c0.line{stroke-width:6;opacity:.45}.area{stroke:none;opacity:.14}.bar{stroke:none}\
    text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:12px}.title{font-size:17px;font-weight:600}\
    @media (prefers-color-scheme:dark){.page{fill:#12161c}.ink{fill:#e8ecf1}.dim{fill:#9aa6b2}.grid{stroke:#2a323c}.axis{stroke:#9aa6b2}\
    .c0{stroke:#9aa6b2;fill:#9aa6b2}.c1{stroke:#2dd4bf;fill:#2dd4bf}.c2{stroke:#fb923c;fill:#fb923c}\
    .c3{stroke:#818cf8;fill:#818cf8}.c4{stroke:#facc15;fill:#facc15}.c5{stroke:#f472b6;fill:#f472b6}.line{fill:none}.area{stroke:none}.bar{stroke:none}}";

/// Colours there are; a place beyond them begins again.
pub(super) const COLOURS: usize = 6;

/// Which end of a text its place names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            body: String::new(),
            width,
            height,
        }
    }

    pub(super) fn text(
        &mut self,
        class: &str,
        x: f64,
        y: f64,
        anchor: Anchor,
        words: impl Display,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(&words.to_string())
        ));
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn rectangle(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.push(format_args!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"));
    }

    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let steps: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        self.push(format_args!(
            "<path class=\"{class}\" d=\"M{}{}\"/>",
            steps.join("L"),
            if closed { "Z" } else { "" }
        ));
    }

    /// The whole file. `title` is what a screen reader says.
    pub(super) fn finish(self, title: &str) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }

    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{piece}");
    }
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
