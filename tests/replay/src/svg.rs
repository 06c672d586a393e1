//! The few pieces of SVG that every plot here is made of, readable on light and dark pages alike.

use std::fmt::{Display, Write as _};

/// Colours that keep their contrast in both schemes; the page's own scheme decides.
const STYLE: &str = include_str!("svg.css");

#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// A picture with a title, and under it what it is of.
    pub fn new(width: f64, height: f64, left: f64, title: &str, subtitle: &str) -> Self {
        let mut svg = Self {
            body: String::new(),
            width,
            height,
        };
        svg.text("ink title", left, 32.0, Anchor::Start, title);
        svg.text("dim", left, 52.0, Anchor::Start, subtitle);
        svg
    }

    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, words: impl Display) {
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

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub fn rectangle(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.push(format_args!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"));
    }

    pub fn circle(&mut self, class: &str, (x, y): (f64, f64)) {
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        ));
    }

    /// A line through points; nothing without any.
    pub fn path(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        self.steps(class, points, "");
    }

    /// A filled shape with these corners; nothing without any.
    pub fn shape(&mut self, class: &str, corners: impl IntoIterator<Item = (f64, f64)>) {
        self.steps(class, corners, "Z");
    }

    fn steps(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>, end: &str) {
        let points = points.into_iter();
        let steps: Vec<_> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        if !steps.is_empty() {
            let steps = steps.join("L");
            self.push(format_args!(
                "<path class=\"{class}\" d=\"M{steps}{end}\"/>"
            ));
        }
    }

    /// A colour with what it stands for; `y` is the line that its words stand on.
    pub fn legend(&mut self, colour: &str, x: f64, y: f64, words: &str) {
        self.rectangle(&format!("{colour} bar"), x, y - 10.0, 14.0, 10.0);
        self.text("ink", x + 20.0, y, Anchor::Start, words);
    }

    /// What the axis at the foot of the picture measures.
    pub fn caption(&mut self, panel: &Panel, words: &str) {
        let (middle, foot) = ((panel.left + panel.right) / 2.0, self.height - 12.0);
        self.text("dim", middle, foot, Anchor::Middle, words);
    }

    /// The whole file. `title` is what a screen reader says.
    pub fn finish(self, title: &str) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }

    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{piece}");
    }
}

/// A frame within a picture, with a scale from 0 at its foot to `peak` at its top.
#[derive(Debug, Clone, Copy)]
pub struct Panel {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub peak: f64,
}

impl Panel {
    /// Where a part of the width lies, 0 to 1.
    pub fn x(&self, part: f64) -> f64 {
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.bottom - (value / self.peak).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// The unit, and a line for each of so many equal steps from 0 to the peak.
    pub fn scale(&self, svg: &mut Svg, steps: u32, unit: &str) {
        for step in 0..=steps {
            self.level(svg, self.peak * f64::from(step) / f64::from(steps));
        }
        svg.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        svg.text("dim", self.left - 8.0, self.top - 12.0, Anchor::End, unit);
    }

    /// A line at a value, with its number.
    pub fn level(&self, svg: &mut Svg, value: f64) {
        let y = self.y(value);
        svg.line("grid", (self.left, y), (self.right, y));
        let number = thousands(value);
        svg.text("dim", self.left - 8.0, y + 4.0, Anchor::End, number);
    }

    /// A mark on the axis at the foot.
    pub fn tick(&self, svg: &mut Svg, x: f64, words: impl Display) {
        svg.line("axis", (x, self.bottom), (x, self.bottom + 5.0));
        svg.text("dim", x, self.bottom + 20.0, Anchor::Middle, words);
    }

    /// A mark at each round number of seconds of so many, which take the whole width.
    pub fn seconds(&self, svg: &mut Svg, seconds: f64) {
        let every = round_up(seconds / 8.0).max(1.0);
        let mut second = 0.0;
        while second <= seconds {
            self.tick(svg, self.x(second / seconds), second);
            second += every;
        }
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
pub fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].into_iter();
    steps
        .map(|step| step * magnitude)
        .find(|&step| step >= value * 0.999_999)
        .unwrap_or(value)
}

fn thousands(value: f64) -> String {
    match value >= 10_000.0 {
        true => format!("{}k", value / 1_000.0),
        false => format!("{value}"),
    }
}

fn escape(words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('"', "&quot;");
    words.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails unless the picture is well formed, says each of these words, and draws nothing outside of its frame.
    pub(crate) fn assert_sound(svg: &str, words: &[&str]) {
        let document = roxmltree::Document::parse(svg).unwrap();
        let nodes = || document.descendants();
        let texts: Vec<_> = nodes().filter_map(|node| node.text()).collect();
        for expected in words {
            assert!(texts.contains(expected), "{expected} is not in {texts:?}");
        }
        let number = |node: roxmltree::Node<'_, '_>, name| {
            let number: f64 = node.attribute(name).unwrap_or("0").parse().unwrap();
            assert!(number.is_finite());
            number
        };
        let root = document.root_element();
        let (width, height) = (number(root, "width"), number(root, "height"));
        for node in nodes().filter(|node| node.has_tag_name("rect")) {
            let (x, y) = (number(node, "x"), number(node, "y"));
            assert!(x >= 0.0 && x + number(node, "width") <= width + 0.1);
            assert!(y >= 0.0 && y + number(node, "height") <= height + 0.1);
        }
        for node in nodes().filter_map(|node| node.attribute("d")) {
            let numbers = node.split(|letter: char| letter.is_alphabetic() || letter == ' ');
            let numbers: Vec<f64> = numbers.filter_map(|text| text.parse().ok()).collect();
            let is_inside = |point: &[f64]| {
                (0.0..=width).contains(&point[0]) && (0.0..=height).contains(&point[1])
            };
            assert!(numbers.chunks(2).all(is_inside), "{node}");
        }
    }

    #[test]
    fn scales_end_at_round_numbers() {
        let rounded = [0.4, 1.0, 3.0, 47.0, 51.0, 100.0].map(round_up);
        assert_eq!(rounded, [0.5, 1.0, 5.0, 50.0, 100.0, 100.0]);
    }

    #[test]
    fn words_are_escaped_and_both_schemes_have_their_colours() {
        let svg = Svg::new(100.0, 100.0, 0.0, "a <b> & \"c\"", "").finish("<&>");
        assert_sound(&svg, &["a <b> & \"c\"", "<&>"]);
        assert!(svg.contains("prefers-color-scheme:dark"));
    }
}
