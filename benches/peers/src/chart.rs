//! The tables as bars, in an SVG that is legible on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: usize = 760;
const NAMES: usize = 264;
const FIGURES: usize = 130;
const LINE: usize = 22;
const HEAD: usize = 44;
const MARGIN: usize = 16;

/// One group of bars; `title` says whether longer is better.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) figure: String,
}

pub(crate) fn svg(panels: &[Panel]) -> String {
    let height = 2 * MARGIN + panels.iter().map(|panel| HEAD + panel.bars.len() * LINE).sum::<usize>();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>{}</title>\n\
         <style>\n\
         .page {{ fill: #ffffff }} text {{ fill: #1f2328 }} .bar {{ fill: #8c959f }} .ours {{ fill: #0969da }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         .page {{ fill: #0d1117 }} text {{ fill: #e6edf3 }} .bar {{ fill: #6e7681 }} .ours {{ fill: #4493f8 }}\n\
         }}\n\
         </style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n",
        escaped(&panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>().join("; "))
    );
    let mut top = MARGIN;
    for panel in panels {
        let _ = writeln!(
            text,
            "<text x=\"{MARGIN}\" y=\"{}\" font-weight=\"600\">{}</text>",
            top + 26,
            escaped(&panel.title)
        );
        top += HEAD;
        let longest = panel.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        let room = (WIDTH - NAMES - FIGURES - MARGIN) as f64;
        for bar in &panel.bars {
            let (length, middle) = (bar.value / longest * room, top + 15);
            let class = if bar.name.starts_with("Scopegate") { "bar ours" } else { "bar" };
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{NAMES}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{middle}\">{}</text>",
                NAMES - 8,
                escaped(&bar.name),
                top + 3,
                LINE - 6,
                NAMES as f64 + length + 6.0,
                escaped(&bar.figure),
            );
            top += LINE;
        }
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
