//! The few pieces of SVG that the plot is made of.

use std::fmt::{Arguments, Display, Write};

pub const WIDTH: f64 = 1_040.0;
pub const HEIGHT: f64 = 620.0;
pub const LEFT: f64 = 70.0;
pub const RIGHT: f64 = 24.0;
/// Colours of replicas; one beyond them begins again.
pub const COLOURS: usize = 6;
/// Colours that keep their contrast on light and dark pages; the page's own scheme decides.
const STYLE: &str = "\
    .page{fill:#fff}.ink{fill:#1c2430}.dim{fill:#5c6773}.grid{stroke:#dde2e8}.axis{stroke:#5c6773}.mark{stroke:#5c6773;stroke-dasharray:3 4}\
    .issued{stroke:#0b7a75;fill:#0b7a75}.refused{stroke:#c2410c;fill:#c2410c}.failed{stroke:#be123c;fill:#be123c}.replicas{stroke:#4f46e5;fill:#4f46e5}\
    .r0{fill:#0b7a75}.r1{fill:#4f46e5}.r2{fill:#a16207}.r3{fill:#be185d}.r4{fill:#0369a1}.r5{fill:#65a30d}\
    .line{fill:none;stroke-width:2;stroke-linejoin:round}.area{opacity:.75}\
    text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:12px}.title{font-size:17px;font-weight:600}\
    @media (prefers-color-scheme:dark){.page{fill:#12161c}.ink{fill:#e8ecf1}.dim{fill:#9aa6b2}.grid{stroke:#2a323c}.axis{stroke:#9aa6b2}.mark{stroke:#9aa6b2}\
    .issued{stroke:#2dd4bf;fill:#2dd4bf}.refused{stroke:#fb923c;fill:#fb923c}.failed{stroke:#fb7185;fill:#fb7185}.replicas{stroke:#818cf8;fill:#818cf8}\
    .r0{fill:#2dd4bf}.r1{fill:#818cf8}.r2{fill:#facc15}.r3{fill:#f472b6}.r4{fill:#38bdf8}.r5{fill:#a3e635}.line{fill:none}}";

#[derive(Debug, Default)]
pub struct Picture(String);

impl Picture {
    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, words: impl Display) {
        let words = escape(&words.to_string());
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        ));
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A path through points; nothing without any.
    pub fn path(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>, is_closed: bool) {
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        if points.is_empty() {
            return;
        }
        let end = if is_closed { "Z" } else { "" };
        self.push(format_args!(
            "<path class=\"{class}\" d=\"M{}{end}\"/>",
            points.join("L")
        ));
    }

    /// A colour with what it stands for, above a panel that begins at `y`.
    pub fn legend(&mut self, class: &str, x: f64, y: f64, words: &str) {
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"9\" rx=\"2\"/>",
            y - 9.0
        ));
        self.text("dim", x + 16.0, y, "start", words);
    }

    /// A panel's scale from 0 to `top`.
    pub fn scale(&mut self, panel: (f64, f64), top: f64, unit: &str) {
        for part in [0.0, 0.5, 1.0] {
            let y = height(panel, part);
            let class = if part == 0.0 { "axis" } else { "grid" };
            self.line(class, (LEFT, y), (WIDTH - RIGHT, y));
            self.text("dim", LEFT - 8.0, y + 4.0, "end", top * part);
        }
        self.text("dim", LEFT - 8.0, panel.0 - 10.0, "end", unit);
    }

    /// The whole file. `title` is what a screen reader says.
    pub fn finish(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n{}</svg>\n",
            escape(title),
            self.0
        )
    }

    fn push(&mut self, piece: Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{piece}");
    }
}

/// Where a part of a panel's height lies, 0 to 1 from below.
pub fn height(panel: (f64, f64), part: f64) -> f64 {
    panel.1 - part.clamp(0.0, 1.0) * (panel.1 - panel.0)
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
pub fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].into_iter();
    steps
        .map(|step| step * magnitude)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(value)
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
